from django.apps import AppConfig


class OAuthToolkitConfig(AppConfig):
    name = "tokens.contrib.oauth_toolkit"
    label = "tokens_oauth_toolkit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from tokens.contrib.oauth_toolkit import checks, revocation  # noqa: F401
