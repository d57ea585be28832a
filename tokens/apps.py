import encodings
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.apps import AppConfig, apps
from django.utils.translation import gettext_lazy as _

ADAPTERS = {"allauth.account": "tokens.contrib.allauth_methods"}
"""Modules that say what a package has checked."""


class _Encodings(dict[str, Any]):
    """What Python remembers of encodings, without the names of none.

    Python keeps every name that it was asked for, whether there is such an encoding or not. A client can send any
    number of them, each as long as a header: Django looks up the charset of each ``Content-Type``.
    """

    def __setitem__(self, name: str, found: Any) -> None:
        if found is not None:
            super().__setitem__(name, found)


class TokensConfig(AppConfig):
    name = "tokens"
    default_auto_field = "django.db.models.BigAutoField"  # As in the migrations, whatever the project's setting is.
    verbose_name = _("sign-ins")
    is_latchkey = True  # A project may have an app of its own with this name: see `tokens.checks`.

    def ready(self) -> None:
        for app, adapter in ADAPTERS.items():
            if apps.is_installed(app):
                import_module(adapter)
        if find_spec("rest_framework"):  # A project can use it without installing it as an app.
            import_module("tokens.contrib.rest_framework")

        from tokens import checks, receivers  # noqa: F401

        if find_spec("corsheaders"):
            from tokens.web import cors  # noqa: F401

        encodings._cache = _Encodings(encodings._cache)
