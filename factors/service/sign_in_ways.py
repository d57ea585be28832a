"""The ways into an account: by what its user can sign in, with nothing before it."""

from typing import Any

from django.http import HttpRequest

from factors.service import recovery_codes
from factors.service.assertions import NAME as PASSKEY
from factors.service.assertions import rows_of
from tokens import sessions

_SECOND_STEPS = {PASSKEY, "totp", recovery_codes.NAME}
"""Factors of which most are no way in by themselves. `require_another` looks at each passkey."""


class LastFactor(Exception):
    """Without it the user could not sign in any more."""


def require_another(request: HttpRequest, user: Any, *, without: Any = None) -> None:
    """Raise `LastFactor` unless there is a way into this account without an app, and without this passkey.

    ``without`` is its id. A passkey that browsers find only by a user's name is no way in.
    """
    names = {*sessions.factors.offered(request, user)}
    others = rows_of(user).exclude(pk=without).exclude(is_discoverable=False)
    if not names - _SECOND_STEPS and not (PASSKEY in names and others.exists()):
        raise LastFactor
