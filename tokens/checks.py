"""System checks: what is wrong with the settings.

- ``tokens.E009``: the revocation feed does not support the database.
- ``tokens.E010``, ``E011``, ``E016``: the middleware is missing, in the wrong place, or beside Django's.
- ``tokens.E012``: TRUSTED_PROXIES cannot be read.
- ``tokens.E013``: a hook cannot be called.
- ``tokens.E030``: USE_TZ is off.
- ``tokens.E040``: SQLite stores times in a time zone.
- ``tokens.E050``, ``W050``: the project has an app named `accounts` or `tokens`, and one of the two is hidden.
- ``tokens.E060``: the claims hook does not take the session.
- ``tokens.E041``: the router sends users, or some of our tables, to another database than sessions.
- ``tokens.W051``, ``W052``, ``W053``: the API, REST framework or the public keys are missing beside the others.
- ``tokens.W003``: sign-ins are not throttled.
- ``tokens.W004``: each process counts for itself what is throttled.
- ``tokens.W006``: a trigger is missing, so that some changes of users are not noticed.
- ``tokens.W011``: clients can say that they use https.
- ``tokens.W008``: impersonations by django-hijack look like sign-ins of the user.
- ``tokens.W026``: Django's own cookies have the same names as those of another site on the host.
- ``tokens.W027``: what django-oauth-toolkit grants outlives the session.
- ``tokens.W028``: django-allauth's list of sessions does not end ours.
- ``tokens.W054``: each tenant has a schema, and tokens of one tenant are good at another.
- ``tokens.W029``: our public keys and those of django-allauth are at the same URL.

`tokens.conf` has all other checks.
"""

import inspect
import ipaddress
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections
from django.urls import Resolver404, URLResolver, get_resolver, resolve
from django.utils.module_loading import import_string

from tokens.backends import ModelBackend
from tokens.conf import read
from tokens.database.transactions import writer
from tokens.models import RefreshToken
from tokens.service import triggers
from tokens.web.hand_over import OUR_BACKEND
from tokens.web.paths import auth_api

MIDDLEWARE = "tokens.middleware.TokenMiddleware"
DJANGO_MIDDLEWARE = "django.contrib.auth.middleware.AuthenticationMiddleware"
ALLAUTH_ADAPTER = "tokens.contrib.allauth.UserSessionsAdapter"
OAUTH_ADAPTER = "tokens.contrib.oauth_toolkit"
JWKS = "/.well-known/jwks.json"
HOOKS = ("CLAIMS_HOOK", "TENANT_HOOK", "TENANT_KEYS", "TENANT_CONTEXT")
SCHEMA_PACKAGES = "django_tenants", "tenant_schemas", "django_pgschemas"
"""The packages whose database backend selects a schema for each tenant."""
HIJACK_MIDDLEWARE = "tokens.contrib.hijack.HijackUserMiddleware"


@register(Tags.security)
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Check the settings of `tokens`, and import the hooks."""
    found, messages = read()
    paths = {name: getattr(found, name.lower()) for name in HOOKS}
    wrong = {name: error for name, path in paths.items() if path and (error := _wrong_hook(path))}
    hint = "Write a dotted path: package.module.name"
    errors = [Error(f"{name}: {error}.", hint=hint, id="tokens.E013") for name, error in wrong.items()]
    if found.claims_hook and "CLAIMS_HOOK" not in wrong:
        errors += _wrong_arguments(found.claims_hook)
    return [*messages, *errors]


def _wrong_arguments(path: str) -> list[Error]:
    """Return the error of a claims hook that does not take the user and the session."""
    hook = import_string(path)
    if _takes(hook, "user", "session"):
        return []
    number = "one argument only, as in earlier releases" if _takes(hook, "user") else "other arguments"
    hint = "Let it take the session too: def claims(user, session). The README says what the session has."
    return [Error(f"CLAIMS_HOOK: {path} takes {number}.", hint=hint, id="tokens.E060")]


def _wrong_hook(path: str) -> str:
    try:
        hook = import_string(path)
    except (ImportError, TypeError, ValueError) as error:
        return str(error)
    if inspect.iscoroutinefunction(hook):
        return "it is an async function"
    return "" if callable(hook) else "it is not a function"


def _takes(function: Any, *arguments: Any) -> bool:
    """Return whether a function can be called with so many arguments. True if it does not say what it takes."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:
        pass
    return True


@register(Tags.security)
def check_cookie_names(**kwargs: Any) -> list[CheckMessage]:
    """Check that with COOKIE_SUFFIX the names of Django's own cookies end in it too."""
    found, _ = read()
    names = ("SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME")
    same = [name for name in names if not getattr(settings, name).endswith(found.suffix)]
    what = "Another site on this host may use the same name"
    return [
        Warning(f"{what}: {name}.", hint=f"Let it end in {found.suffix!r}, like our names.", id="tokens.W026")
        for name in same
    ]


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
def check_proxies(**kwargs: Any) -> list[CheckMessage]:
    """Check that TRUSTED_PROXIES lists addresses or networks."""
    messages: list[CheckMessage] = []
    for proxy in getattr(settings, "TRUSTED_PROXIES", ()):
        try:
            ipaddress.ip_network(proxy)
        except ValueError as error:
            hint = "List addresses or networks: 10.0.0.0/8, ::1"
            messages.append(Error(f"TRUSTED_PROXIES: {error}.", hint=hint, id="tokens.E012"))
    return messages


@register(Tags.security, deploy=True)
def check_scheme(**kwargs: Any) -> list[CheckMessage]:
    """Check that only proxies can say that a client uses https, if a header says it."""
    if settings.SECURE_PROXY_SSL_HEADER is None:
        return []
    proxies = [str(proxy) for proxy in getattr(settings, "TRUSTED_PROXIES", ())]
    if proxies and not any(proxy.endswith("/0") for proxy in proxies):
        return []
    hint = "List the addresses or networks of your proxies in TRUSTED_PROXIES. The header of others is then removed."
    what = "TRUSTED_PROXIES has all addresses" if proxies else "TRUSTED_PROXIES is empty"
    return [Warning(f"Any client can set SECURE_PROXY_SSL_HEADER: {what}.", hint=hint, id="tokens.W011")]


@register(Tags.security)
def check_time_zone(**kwargs: Any) -> list[CheckMessage]:
    """Check that USE_TZ is on."""
    if settings.USE_TZ:
        return []
    hint = "Set USE_TZ = True, Django's default since 5.0. Django's documentation, “Time zones”, says how to migrate."
    return [Error("USE_TZ is off, but sessions end at points in time with a time zone.", hint=hint, id="tokens.E030")]


@register(Tags.security)
def check_backends(**kwargs: Any) -> list[CheckMessage]:
    """Check that sign-ins are throttled."""
    throttled = any(issubclass(import_string(path), ModelBackend) for path in settings.AUTHENTICATION_BACKENDS)
    if throttled or read()[0].throttles.are_off:
        return []
    hint = f"Put {OUR_BACKEND!r} first in AUTHENTICATION_BACKENDS, instead of Django's, or set THROTTLES = off."
    return [Warning("Sign-ins are not throttled.", hint=hint, id="tokens.W003")]


@register(Tags.security)
def check_hijack(**kwargs: Any) -> list[CheckMessage]:
    """Check that the adapter for django-hijack is there, if django-hijack is."""
    if not apps.is_installed("hijack") or HIJACK_MIDDLEWARE in settings.MIDDLEWARE:
        return []
    hint = f"Replace 'hijack.middleware.HijackUserMiddleware' by {HIJACK_MIDDLEWARE!r}."
    return [Warning("Impersonations by django-hijack look like sign-ins.", hint=hint, id="tokens.W008")]


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


def _is_found(path: str) -> bool:
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


@register(Tags.security)
def check_names_of_apps(**kwargs: Any) -> list[CheckMessage]:
    """Check that no app of the project has the name of one of ours. Python imports the one that it finds first."""
    return [message for app in apps.get_app_configs() if app.name in {"accounts", "tokens"} for message in _hiding(app)]


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


@register(Tags.security)
def check_oauth_toolkit(**kwargs: Any) -> list[CheckMessage]:
    """Check that the adapter for django-oauth-toolkit is there, if django-oauth-toolkit is."""
    if not apps.is_installed("oauth2_provider") or apps.is_installed(OAUTH_ADAPTER):
        return []
    hint = f"Add {OAUTH_ADAPTER!r} to INSTALLED_APPS, and set its validator (README, “Beside other packages”)."
    what = "Tokens of django-oauth-toolkit outlive the session, the alarm and a new password"
    return [Warning(f"{what}.", hint=hint, id="tokens.W027")]


@register(Tags.security)
def check_allauth(**kwargs: Any) -> list[CheckMessage]:
    """Check what of django-allauth would go past us: its list of sessions, and its keys at the URL of ours."""
    messages: list[CheckMessage] = []
    adapter = getattr(settings, "USERSESSIONS_ADAPTER", "allauth.usersessions.adapter.DefaultUserSessionsAdapter")
    if apps.is_installed("allauth.usersessions") and not hasattr(import_string(adapter), "ends_ours"):
        hint = f"Set USERSESSIONS_ADAPTER to {ALLAUTH_ADAPTER!r}, or let yours inherit from it."
        what = "Ending a session in django-allauth's list does not end ours"
        messages.append(Warning(f"{what}.", hint=hint, id="tokens.W028"))
    if apps.is_installed("allauth.idp.oidc"):
        packages = {view.__module__.partition(".")[0] for view in _views_at(JWKS[1:], get_resolver().url_patterns)}
        if packages >= {"allauth", "tokens"}:
            hint = "Serve ours at another path, such as .well-known/latchkey/jwks.json, and tell those who verify."
            what = f"Our keys and those of django-allauth are both at {JWKS}, and only one of them is served"
            messages.append(Warning(f"{what}.", hint=hint, id="tokens.W029"))
    return messages


def _views_at(path: str, patterns: Iterable[Any]) -> Iterator[Any]:
    """Yield all views whose URL patterns match the path, also those that an earlier one hides."""
    for pattern in patterns:
        if (match := pattern.pattern.match(path)) is None:
            continue
        if isinstance(pattern, URLResolver):
            yield from _views_at(match[0], pattern.url_patterns)
        else:
            yield pattern.callback


@register(Tags.security, deploy=True)
def check_cache(**kwargs: Any) -> list[CheckMessage]:
    """Check that all processes share the counts of the throttles."""
    backend = settings.CACHES["default"]["BACKEND"]
    if read()[0].throttles.are_off or not backend.endswith((".LocMemCache", ".DummyCache")):
        return []
    hint = "Set CACHE_URL to a Redis, Valkey or Memcached. With a single process, silence this check."
    return [Warning("Each process counts for itself what is throttled.", hint=hint, id="tokens.W004")]


@register(Tags.database)
def check_database(**kwargs: Any) -> list[CheckMessage]:
    """Check that the revocation feed supports the database."""
    alias = writer(RefreshToken)
    vendor = connections[alias].vendor
    if vendor == "sqlite" and connections[alias].settings_dict.get("TIME_ZONE"):
        what = f'DATABASES["{alias}"] has a TIME_ZONE, in which SQLite stores times without saying so'
        hint = "Remove it: an hour of each year comes twice there. Django shows times in the TIME_ZONE of the settings."
        return [Error(f"{what}.", hint=hint, id="tokens.E040")]
    if vendor in {"postgresql", "sqlite"}:
        return []
    return [Error(f"{vendor} is not supported.", hint="Use PostgreSQL 15 or newer, or SQLite.", id="tokens.E009")]


@register(Tags.security)
def check_router(**kwargs: Any) -> list[CheckMessage]:
    """Check that users and all our tables are in one database: they are joined, and written in one transaction."""
    alias = writer(RefreshToken)
    others = {
        model._meta.label: found
        for model in (get_user_model(), *apps.get_app_config("tokens").get_models())
        if (found := writer(model)) != alias
    }
    hint = "Let db_for_write of your DATABASE_ROUTERS answer the same for the user model and for the app tokens."
    return [
        Error(f"{label} is written to {found!r}, but sessions to {alias!r}.", hint=hint, id="tokens.E041")
        for label, found in others.items()
    ]


@register(Tags.security)
def check_tenants(**kwargs: Any) -> list[CheckMessage]:
    """Check that the tenant of a request is named where each tenant has a schema, and that users are in it too."""
    engine = str(settings.DATABASES.get(writer(RefreshToken), {}).get("ENGINE"))
    if not {engine.partition(".")[0], *settings.INSTALLED_APPS}.intersection(SCHEMA_PACKAGES):
        return []
    if not read()[0].tenant_hook:
        hint = "Set TENANT_HOOK to a function such as: def tenant(request): return request.tenant.schema_name"
        what = "Each tenant has a schema, but tokens of one tenant are good at another"
        return [Warning(f"{what}.", hint=hint, id="tokens.W054")]
    if _lists_of(apps.get_app_config("tokens")) == _lists_of(get_user_model()._meta.app_config):
        return []
    hint = "List tokens and the app of the user model in the same of SHARED_APPS and TENANT_APPS."
    what = "Sessions and users are in different schemas: changes of users by SQL or by querysets end no session"
    return [Warning(f"{what}.", hint=hint, id="tokens.W054")]


def _lists_of(app: AppConfig) -> set[str]:
    """Return which of the lists of django-tenants name an app, by its module or by its configuration."""
    names = {app.name, f"{type(app).__module__}.{type(app).__qualname__}"}
    return {name for name in ("SHARED_APPS", "TENANT_APPS") if names.intersection(getattr(settings, name, ()))}


@register(Tags.database)
def check_triggers(databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that the triggers are installed, when all migrations have been applied."""
    alias = writer(RefreshToken)
    if alias not in (databases or ()) or not triggers.has_tables(alias):
        return []
    hint = "Run `manage.py migrate` as a role that may create triggers on these tables."
    what = "Changes of users by SQL or by querysets end no session until its next refresh"
    return [Warning(f"{what}: {name} is missing.", hint=hint, id="tokens.W006") for name in triggers.missing(alias)]
