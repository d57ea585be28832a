from django.apps import AppConfig, apps
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("accounts")

    def ready(self) -> None:
        from accounts import checks  # noqa: F401

        if apps.is_installed("tokens"):  # Without `tokens` there are no events.
            from accounts import notices  # noqa: F401
            from accounts.service import pending_changes  # noqa: F401
