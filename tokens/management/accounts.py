"""Finds the user that an option of a command names."""

from typing import Any

from django.core.management import CommandError

from tokens.service.addresses import user_of


def user_named(login: str) -> Any:
    """Return the user with this user name, or with this e-mail address. Raise `CommandError` if there is none."""
    try:
        user = user_of(login)
    except UnicodeEncodeError:  # The shell has passed bytes that are no UTF-8.
        user = None
    if user is None:
        raise CommandError(
            f"there is no user {login!r}. Give the user name, or an e-mail address that only one user has"
        )
    return user
