from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FactorsConfig(AppConfig):
    name = "factors"
    default_auto_field = "django.db.models.BigAutoField"  # As in the migrations, whatever the project's setting is.
    verbose_name = _("factors")
    is_latchkey = True  # A project may have an app of its own with this name: see `tokens.checks`.

    def ready(self) -> None:
        from factors import checks, receivers  # noqa: F401
