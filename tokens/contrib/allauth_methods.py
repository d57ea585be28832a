"""Reads how a user has authenticated in django-allauth's views. It is used if ``allauth.account`` is installed.

django-allauth signs in with `django.contrib.auth.login`, often some requests after the password. It keeps a record of
each step in Django's session (``account_authentication_methods``), with the user whom the records are about::

    {"method": "password", "at": 1893495600.25}
    {"method": "mfa", "at": 1893495612.5, "type": "totp", "id": 7}

Steps that are no authentication factor have no method here: a code by e-mail, a link in a mail, a social sign-in. Steps
that are older than ACCOUNT_LOGIN_TIMEOUT belong to an earlier attempt to sign in.

A signed-in user who authenticates again in its views, by a page or ``headless``, has authenticated again in our session
too: its signal says so.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from allauth.account import app_settings
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.signals import authentication_step_completed
from django.dispatch import receiver
from django.utils import timezone

from tokens.service.impersonation import ImpersonationRefused
from tokens.web.methods import ATTRIBUTE, asked, proved
from tokens.web.operations import session as own_session

_USER_SESSION_KEY = "account_authentication_methods_user"
"""The key in Django's session of the user whom the records are about."""


@receiver(asked)
def say_methods(*, request: Any, user: Any, **kwargs: Any) -> None:
    """Set ``user.authenticated_by`` to the methods in django-allauth's records, if it has any about this user."""
    session = getattr(request, "session", {})
    records = session.get(AUTHENTICATION_METHODS_SESSION_KEY)
    if not isinstance(records, list) or hasattr(user, ATTRIBUTE):
        return
    if session.get(_USER_SESSION_KEY) != user._meta.pk.value_to_string(user):
        return
    since = timezone.now() - timedelta(seconds=app_settings.LOGIN_TIMEOUT)
    found: dict[str, datetime] = {}
    for record in records:
        at = datetime.fromtimestamp(record["at"], UTC)
        if at >= since:
            found |= dict.fromkeys(_methods_of(record, user), at)
    setattr(user, ATTRIBUTE, found)


@receiver(authentication_step_completed)
def follow_reauthentication(*, request: Any, user: Any, method: str, **extra: Any) -> None:
    """Record in our session that the user has authenticated again in django-allauth's views."""
    if not extra.get("reauthenticated") or user.pk != getattr(request.user, "pk", None):
        return
    names = _methods_of({"method": method, **extra}, user)
    with suppress(ImpersonationRefused):
        own_session.add_methods(request, proved(names))


def _methods_of(record: dict[str, Any], user: Any) -> Iterator[str]:
    """Yield the methods of one step."""
    match record["method"], record.get("type"):
        case "password", _:
            yield "pwd"
        case "code", _ if record.get("phone"):
            yield "sms"
        case "mfa", "totp" | "recovery_codes":
            yield "otp"
        case "mfa", "webauthn":
            yield from ("pop", "user")
            if record.get("passwordless"):
                yield "mfa"  # django-allauth requires that the authenticator verifies the user.
            if _is_backup_eligible(record, user):
                yield "swk"


def _is_backup_eligible(record: dict[str, Any], user: Any) -> bool:
    """Return whether the key of a passkey can be copied to other devices (WebAuthn section 6.1.3)."""
    from allauth.mfa.models import Authenticator  # A project may have django-allauth without its `allauth.mfa`.

    passkey = Authenticator.objects.filter(pk=record.get("id"), user=user, type=Authenticator.Type.WEBAUTHN).first()
    return passkey is not None and passkey.wrap().authenticator_data.is_backup_eligible()
