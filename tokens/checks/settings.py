"""Checks of the settings of `tokens`, and of those of Django that they depend on."""

import inspect
import ipaddress
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.utils.module_loading import import_string

from tokens.backends import ModelBackend
from tokens.conf import read
from tokens.conf.methods import NAME
from tokens.web.django.django_sign_in import OUR_BACKEND
from tokens.web.factors import Factor

HOOKS = ("CLAIMS_HOOK", "SIGN_IN_POLICY", "TENANT_HOOK", "TENANT_KEYS", "TENANT_CONTEXT")


@register(Tags.security)
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Check the settings of `tokens`, and import the hooks."""
    found, messages = read()
    paths = {name: getattr(found, name.lower()) for name in HOOKS}
    wrong = {name: error for name, path in paths.items() if path and (error := wrong_hook(path))}
    hint = "Write a dotted path: package.module.name"
    errors = [Error(f"{name}: {error}.", hint=hint, id="tokens.E013") for name, error in wrong.items()]
    if found.claims_hook and "CLAIMS_HOOK" not in wrong:
        errors += _wrong_arguments(found.claims_hook)
    if found.sign_in_policy and "SIGN_IN_POLICY" not in wrong:
        policy = import_string(found.sign_in_policy)
        if not takes(policy, "request", "user", "methods"):
            hint = "Write it as def sign_in_policy(request, user, methods): see docs/how-to/sign-in-policy.md."
            what = f"{found.sign_in_policy} does not take three arguments"
            errors.append(Error(f"SIGN_IN_POLICY: {what}.", hint=hint, id="tokens.E065"))
    return [*messages, *errors]


def _wrong_arguments(path: str) -> list[Error]:
    """Return the error of a claims hook that does not take the user and the session."""
    hook = import_string(path)
    if takes(hook, "user", "session"):
        return []
    number = "one argument only, as in earlier releases" if takes(hook, "user") else "other arguments"
    hint = "Let it take the session too: def claims(user, session): see docs/reference/settings.md."
    return [Error(f"CLAIMS_HOOK: {path} takes {number}.", hint=hint, id="tokens.E060")]


@register(Tags.security)
def check_factors(**kwargs: Any) -> list[CheckMessage]:
    """Check that each entry of FACTORS is a class of `tokens.web.factors`, with a name of its own."""
    found: dict[str, str] = {}
    errors: list[CheckMessage] = []
    for path in read()[0].factors:
        name = ""
        try:
            factor = import_string(path)
            error = "" if inspect.isclass(factor) and issubclass(factor, Factor) else "it is no subclass of Factor"
            name = "" if error else factor.name
        except ImportError as raised:
            error = str(raised)
        if not error and not NAME.fullmatch(name):
            error = f"its name is {name!r}"
        elif not error and found.setdefault(name, path) != path:
            error = f"{found[name]} has the name {name!r} too"
        if error:
            hint = "Write the dotted path of a subclass of tokens.sessions.Factor, with a name of ASCII letters."
            errors.append(Error(f"FACTORS: {path}: {error}.", hint=hint, id="tokens.E063"))
    return errors


def wrong_hook(path: str) -> str:
    """Return why this is no dotted path of a function, or ""."""
    try:
        hook = import_string(path)
    except (ImportError, TypeError, ValueError) as error:
        return str(error)
    if inspect.iscoroutinefunction(hook):
        return "it is an async function"
    return "" if callable(hook) else "it is not a function"


def takes(function: Any, *arguments: Any) -> bool:
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


@register(Tags.security, deploy=True)
def check_cache(**kwargs: Any) -> list[CheckMessage]:
    """Check that all processes share the counts of the throttles."""
    backend = settings.CACHES["default"]["BACKEND"]
    if read()[0].throttles.are_off or not backend.endswith((".LocMemCache", ".DummyCache")):
        return []
    hint = "Set CACHE_URL to a Redis, Valkey or Memcached. With a single process, silence this check."
    return [Warning("Each process counts for itself what is throttled.", hint=hint, id="tokens.W004")]
