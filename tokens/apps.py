from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TokensConfig(AppConfig):
    name = "tokens"
    default_auto_field = "django.db.models.BigAutoField"  # As in the migrations, whatever the project's setting is.
    verbose_name = _("sign-ins")

    def ready(self) -> None:
        from tokens import checks, receivers  # noqa: F401
        from tokens.web import cors  # noqa: F401
