"""``factors.policy.enrolled``: a policy for the setting SIGN_IN_POLICY."""

from typing import Any

from django.db import router
from django.db.models import QuerySet

from factors.models import Passkey, Totp
from factors.service import passkeys, recovery_codes, totp
from tokens.service.public import Read
from tokens.sessions import MoreNeeded, Open, is_device_trusted

ENOUGH = {"mfa", "otp"}
"""The authentication methods of which one is enough: several factors, such as those of a passkey, or a code."""


def enrolled(request: Any, user: Any, methods: Any) -> Open | MoreNeeded:
    """Ask users who have a passkey or an authenticator app for an answer to it, or for a recovery code.

    An impersonation is not asked, because nobody can prove anything for it. Nor is a device that the user trusts.
    """
    if methods.actor is not None or not ENOUGH.isdisjoint(methods):
        return Open()
    if not _apps_and_passkeys(router.db_for_write(Totp), user_id=user.pk):
        return Open()
    if is_device_trusted(request, user):
        return Open()
    return MoreNeeded([passkeys.NAME, totp.NAME, recovery_codes.NAME])


@Read
def _apps_and_passkeys(alias: str, user_id: Any) -> QuerySet[Any, Any]:
    """Select a row for each kind of factor that the user has. Two statements would cost each sign-in twice as much."""
    apps = Totp._default_manager.using(alias).filter(user_id=user_id, confirmed_at__isnull=False)
    keys = Passkey._default_manager.using(alias).filter(user_id=user_id)
    return apps.values_list("user_id").union(keys.values_list("user_id"))
