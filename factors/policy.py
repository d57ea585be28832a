"""``factors.policy.enrolled``: a policy for the setting SIGN_IN_POLICY."""

from typing import Any

from factors.service import recovery_codes, totp
from tokens.sessions import MoreNeeded, Open, is_device_trusted

ENOUGH = {"mfa", "otp"}
"""The authentication methods of which one is enough: several factors, such as those of a passkey, or a code."""


def enrolled(request: Any, user: Any, methods: Any) -> Open | MoreNeeded:
    """Ask users who have an authenticator app for a code of it, or for a recovery code.

    An impersonation is not asked, because nobody can prove anything for it. Nor is a device that the user trusts.
    """
    if methods.actor is not None or not ENOUGH.isdisjoint(methods) or totp.of_user(user) is None:
        return Open()
    if is_device_trusted(request, user):
        return Open()
    return MoreNeeded([totp.NAME, recovery_codes.NAME])
