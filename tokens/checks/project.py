"""Checks of how the project has taken our apps in: its middleware, its URLs and the names of its apps."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, resolve
from django.utils.module_loading import import_string

from tokens.conf import read
from tokens.web.http.paths import auth_api

MIDDLEWARE = "tokens.middleware.TokenMiddleware"
DJANGO_MIDDLEWARE = "django.contrib.auth.middleware.AuthenticationMiddleware"
JWKS = "/.well-known/jwks.json"


@register(Tags.security)
def check_middleware(**kwargs: Any) -> list[CheckMessage]:
    """Check that our middleware stands after Django's session middleware, and replaces Django's authentication."""
    order = list(settings.MIDDLEWARE)
    if MIDDLEWARE not in order:
        hint = f"Replace {DJANGO_MIDDLEWARE!r} by {MIDDLEWARE!r}."
        return [Error(f"{MIDDLEWARE} is not in MIDDLEWARE.", hint=hint, id="tokens.E010")]
    if not any(_is_session_middleware(path) for path in order[: order.index(MIDDLEWARE)]):
        hint = "Sign-ins and sign-outs write request.session, with or without Django's session app."
        return [Error(f"{MIDDLEWARE} does not stand after SessionMiddleware.", hint=hint, id="tokens.E011")]
    if DJANGO_MIDDLEWARE in order:
        hint = f"Remove {DJANGO_MIDDLEWARE!r}. The last of the two would decide who the user is."
        return [Error("MIDDLEWARE has Django's authentication middleware and ours.", hint=hint, id="tokens.E016")]
    return []


def _is_session_middleware(path: str) -> bool:
    found = import_string(path)
    return isinstance(found, type) and issubclass(found, SessionMiddleware)


@register(Tags.security)
def check_urls(**kwargs: Any) -> list[CheckMessage]:
    """Check that the API, REST framework and the public keys are there together, or none of them."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    has_api, has_framework = auth_api() is not None, apps.is_installed("rest_framework")
    if has_framework and not has_api:
        hint = (
            'Add path("api/", include("tokens.api.urls")) at the end of the URLs. Without an API, silence this check.'
        )
        return [Warning("tokens.api.urls is not in the URLs.", hint=hint, id="tokens.W051")]
    messages: list[CheckMessage] = []
    if has_api and not has_framework:
        hint = "Add 'rest_framework' to INSTALLED_APPS. Its messages are not translated otherwise."
        messages.append(Warning("rest_framework is not in INSTALLED_APPS.", hint=hint, id="tokens.W052"))
    if has_api and not _is_found(JWKS):
        hint = f'Add path("{JWKS[1:]}", jwks), with jwks of tokens.api.public. Services need these keys.'
        messages.append(Warning(f"{JWKS} is not in the URLs.", hint=hint, id="tokens.W053"))
    return messages


@register(Tags.security)
def check_reauthentication_url(**kwargs: Any) -> list[CheckMessage]:
    """Check that REAUTHENTICATION_URL leads to a page, if the project has set it."""
    found, *_ = read()
    url = found.reauthentication_url
    is_default = url == type(found)().reauthentication_url
    if is_default or not getattr(settings, "ROOT_URLCONF", None) or _leads_somewhere(url):
        return []
    hint = "Set it to the name of a URL, or to a path. Without a page, browsers get the problem as JSON."
    return [Warning(f"REAUTHENTICATION_URL is {url!r}, which leads nowhere.", hint=hint, id="tokens.W058")]


def _leads_somewhere(url: str) -> bool:
    """Return whether this is a path or the name of a page of this site, or the URL of another site."""
    try:
        parts = urlsplit(resolve_url(url))
    except NoReverseMatch:
        return False
    return bool(parts.netloc) or _is_found(f"/{parts.path.removeprefix(get_script_prefix()).removeprefix('/')}")


def _is_found(path: str) -> bool:
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


NAMES = {"accounts", "factors", "tokens"}
"""The names of our apps."""


@register(Tags.security)
def check_names_of_apps(**kwargs: Any) -> list[CheckMessage]:
    """Check that no app of the project has the name of one of ours. Python imports the one that it finds first."""
    return [message for app in apps.get_app_configs() if app.name in NAMES for message in _hiding(app)]


def _hiding(app: AppConfig) -> Iterator[CheckMessage]:
    is_ours = getattr(app, "is_latchkey", False)
    for folder in _other_packages(app):
        if is_ours and not _is_ours(folder):
            yield Error(
                f"The app {app.name!r} of the project, in {folder}, is hidden by Latchkey's.",
                hint="Rename the app of the project. Latchkey's apps cannot be renamed.",
                id="tokens.E050",
            )
        elif not is_ours and _is_ours(folder):
            yield Warning(
                f"Latchkey's app {app.name!r}, in {folder}, is hidden by the project's own, in {app.path}.",
                hint="To use Latchkey's, rename your app. To use only `tokens`, add tokens.W050 to "
                "SILENCED_SYSTEM_CHECKS.",
                id="tokens.W050",
            )


def _other_packages(app: AppConfig) -> set[Path]:
    """Return the folders of other apps that Python would find under the same name, if they came first."""
    folders = {(Path(entry) / app.name).resolve() for entry in sys.path}
    looks_like_an_app = ("apps.py", "models.py", "models", "migrations")
    found = {folder for folder in folders if any((folder / name).exists() for name in looks_like_an_app)}
    return found - {Path(app.path).resolve()}


def _is_ours(folder: Path) -> bool:
    config = folder / "apps.py"
    return config.is_file() and "is_latchkey" in config.read_text(errors="replace")
