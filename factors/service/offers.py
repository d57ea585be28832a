"""Whether people are offered to create a passkey after a sign-in."""

from typing import Any

from django.db import router

from factors.models import UserHandle
from factors.service import passkeys


def is_wanted(user: Any) -> bool:
    """Return whether the user has no passkey, and has not said that they want none."""
    rows = UserHandle._default_manager.using(router.db_for_write(UserHandle))
    return not passkeys.has_some(user) and not rows.filter(user_id=user.pk, is_offer_dismissed=True).exists()


def dismiss(user: Any) -> None:
    """Never offer it to this user again."""
    rows = UserHandle._default_manager.using(router.db_for_write(UserHandle))
    rows.update_or_create(user_id=user.pk, defaults={"is_offer_dismissed": True})
