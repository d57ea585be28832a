from importlib.util import find_spec

from django.apps import AppConfig, apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("accounts")
    is_latchkey = True  # A project may have an app of its own with this name: see `tokens.checks`.

    def import_models(self) -> None:
        # The models import `tokens`. No system check can run without them.
        if find_spec("tokens.sessions") is None:
            [folder, *_] = getattr(find_spec("tokens"), "submodule_search_locations", [])
            raise ImproperlyConfigured(
                f"Latchkey's app accounts needs Latchkey's app tokens, but {folder} is another package of that name. "
                "Rename it, because Latchkey's apps cannot be renamed."
            )
        super().import_models()

    def ready(self) -> None:
        from accounts import checks  # noqa: F401

        if apps.is_installed("tokens"):  # Without `tokens` there are no events.
            from accounts import notices  # noqa: F401
            from accounts.service import pending_changes  # noqa: F401
