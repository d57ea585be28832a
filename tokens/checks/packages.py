"""Checks of other packages that would go past us."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.urls import URLResolver, get_resolver
from django.utils.module_loading import import_string

from tokens.checks.project import JWKS
from tokens.conf import read

ALLAUTH_ADAPTER = "tokens.contrib.allauth.UserSessionsAdapter"
ALLAUTH_POLICY = "tokens.contrib.allauth_policy.sign_in_policy"
OAUTH_ADAPTER = "tokens.contrib.oauth_toolkit"
HIJACK_MIDDLEWARE = "tokens.contrib.hijack.HijackUserMiddleware"


@register(Tags.security)
def check_hijack(**kwargs: Any) -> list[CheckMessage]:
    """Check that the adapter for django-hijack is there, if django-hijack is."""
    if not apps.is_installed("hijack") or HIJACK_MIDDLEWARE in settings.MIDDLEWARE:
        return []
    hint = f"Replace 'hijack.middleware.HijackUserMiddleware' by {HIJACK_MIDDLEWARE!r}."
    return [Warning("Impersonations by django-hijack look like sign-ins.", hint=hint, id="tokens.W008")]


@register(Tags.security)
def check_oauth_toolkit(**kwargs: Any) -> list[CheckMessage]:
    """Check that the adapter for django-oauth-toolkit is there, if django-oauth-toolkit is."""
    if not apps.is_installed("oauth2_provider") or apps.is_installed(OAUTH_ADAPTER):
        return []
    hint = f"Add {OAUTH_ADAPTER!r} to INSTALLED_APPS, and set its validator (docs/how-to/other-packages.md)."
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


@register(Tags.security)
def check_second_factor(**kwargs: Any) -> list[CheckMessage]:
    """Check that what django-allauth asks for at a sign-in is asked for at our entry points too."""
    rules = {
        "second factor": apps.is_installed("allauth.mfa"),
        "confirmation of addresses": apps.is_installed("allauth.account")
        and getattr(settings, "ACCOUNT_EMAIL_VERIFICATION", "") == "mandatory",
    }
    missing = " and ".join(what for what, holds in rules.items() if holds)
    if not missing or read()[0].sign_in_policy:
        return []
    hint = f"Set SIGN_IN_POLICY to {ALLAUTH_POLICY!r}, or to a policy of your own (docs/how-to/other-packages.md)."
    what = f"django-allauth's {missing} can be walked round: our API, our pages and the admin do not know it"
    return [Warning(f"{what}.", hint=hint, id="tokens.W030")]


def _views_at(path: str, patterns: Iterable[Any]) -> Iterator[Any]:
    """Yield all views whose URL patterns match the path, also those that an earlier one hides."""
    for pattern in patterns:
        if (match := pattern.pattern.match(path)) is None:
            continue
        if isinstance(pattern, URLResolver):
            yield from _views_at(match[0], pattern.url_patterns)
        else:
            yield pattern.callback
