"""``factors.policy.enrolled``: a policy for the setting SIGN_IN_POLICY."""

from typing import Any

from factors.service import passkeys, recovery_codes, totp
from tokens.sessions import MoreNeeded, Open, is_device_trusted

ENOUGH = {"mfa", "otp"}
"""The authentication methods of which one is enough: several factors, such as those of a passkey, or a code."""


def enrolled(request: Any, user: Any, methods: Any) -> Open | MoreNeeded:
    """Ask users who have a passkey or an authenticator app for an answer to it, or for a recovery code.

    An impersonation is not asked, because nobody can prove anything for it. Nor is a device that the user trusts.
    """
    if methods.actor is not None or not ENOUGH.isdisjoint(methods):
        return Open()
    if totp.of_user(user) is None and not passkeys.has_some(user):
        return Open()
    if is_device_trusted(request, user):
        return Open()
    return MoreNeeded([passkeys.NAME, totp.NAME, recovery_codes.NAME])
