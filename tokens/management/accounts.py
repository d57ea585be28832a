"""Finds the user that an option of a command names."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import CommandError


def user_named(login: str) -> Any:
    """Return the user with this user name. Raise `CommandError` if there is none, or more than one."""
    users = get_user_model()._default_manager
    try:
        return users.get_by_natural_key(login)
    except get_user_model().DoesNotExist:
        raise CommandError(f"there is no user {login!r}") from None
    except get_user_model().MultipleObjectsReturned:
        found = users.filter(**{get_user_model().USERNAME_FIELD: login}).first()
        if found is None:
            raise CommandError(f"several users have a name like {login!r}. Write it as it is stored") from None
        return found
