"""Finds the user that an option of a command names."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import CommandError


def user_named(login: str) -> Any:
    """Return the user with this user name. Raise `CommandError` if there is none."""
    users = get_user_model()._default_manager
    try:
        return users.get_by_natural_key(login)
    except get_user_model().DoesNotExist:
        raise CommandError(f"there is no user {login!r}") from None
