from importlib import import_module

from django.apps import AppConfig, apps

SOURCES = {
    "rest_framework_simplejwt.token_blacklist": "simplejwt",
    "knox": "knox",
    "allauth.headless": "allauth_jwt",
}
"""The app of each package that can end a credential, and our module for it."""


class ComingOverConfig(AppConfig):
    name = "tokens.contrib.coming_over"
    label = "tokens_coming_over"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from tokens.contrib.coming_over import checks, revocation  # noqa: F401

        for app, module in SOURCES.items():
            if apps.is_installed(app):
                import_module(f"tokens.contrib.coming_over.{module}")
