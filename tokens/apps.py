from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TokensConfig(AppConfig):
    name = "tokens"
    verbose_name = _("sign-ins")

    def ready(self) -> None:
        from tokens import checks, cors, signals  # noqa: F401
