"""The e-mail addresses of users, whatever the project's user model is.

A model may have another name for the field, or none. Many, such as Django's ``auth.User``, neither make addresses
unique nor compare them without case. An address that several users share belongs to none of them here.
"""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Q
from django.utils.translation import gettext_noop as _

from tokens.service.canonical_names import canonical

_BY_ADDRESS = _("There is no active account with this e-mail address and password.")
_BY_EITHER = _("There is no active account with this user name or e-mail address and password.")
_BY_NAME = _("There is no active account with this user name and password.")
MOST = 10
"""Users with one address that are read. An address of more users is shared in any case."""


def address_field() -> str | None:
    """Return the name of the user model's field for the e-mail address, or None if there is no such field."""
    model = get_user_model()
    name: str = model.get_email_field_name()
    try:
        model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return name


def address_of(user: Any) -> str:
    """Return the user's e-mail address, or "" without one."""
    name = address_field()
    return (getattr(user, name) or "") if name is not None else ""


def are_beside_names() -> bool:
    """Return whether users have an e-mail address that is not their user name."""
    return address_field() not in {None, get_user_model().USERNAME_FIELD}


def are_found_by_the_model() -> bool:
    """Return whether the model's manager finds the user of an address by itself, in every spelling.

    It has a method ``at_address`` then, and where the address is the user name, ``get_by_natural_key`` calls it.
    """
    return hasattr(get_user_model()._default_manager, "at_address")


def holders(users: Any, address: str) -> list[Any]:
    """Return users that have this address, at most `MOST` + 1. ``users`` is a queryset. This takes one statement.

    They have it in the given spelling, in the canonical one, or in one that differs from these by upper and lower case.
    Letters that only the database takes for the same are different: with ``mıke@example.org`` nobody finds Mike.
    """
    name, wanted = address_field(), canonical(address)
    if name is None or "@" not in address or "\0" in address:
        return []
    is_there = Q(**{f"{name}__iexact": address}) | Q(**{f"{name}__iexact": wanted})
    found = users.filter(is_there).order_by("pk")[: MOST + 1]
    return [user for user in found if canonical(getattr(user, name)) == wanted]


def holder(users: Any, address: str) -> Any:
    """Return the only user with this address, or None. Of several spellings the given one wins."""
    found = holders(users, address)
    exact = [user for user in found if address_of(user).lower() == address.lower()]
    candidates = exact or found
    return candidates[0] if len(candidates) == 1 and len(found) <= MOST else None


def no_such_account() -> str:
    """Return the error of a sign-in, in English. It names what a user of this model signs in with."""
    if address_field() == get_user_model().USERNAME_FIELD:
        return _BY_ADDRESS
    return _BY_NAME if address_field() is None else _BY_EITHER


def user_of(name: str) -> Any:
    """Return the user with this user name by Django's own rules, or else the only one with this address, or None.

    The statements depend on ``name`` only, and not on whether there is such a user.
    """
    model = get_user_model()
    if "\0" in name:
        return None  # PostgreSQL stores no NUL in a text.
    try:
        user = model._default_manager.get_by_natural_key(name)
    except model.DoesNotExist:
        user = None
    except model.MultipleObjectsReturned:
        # The project's manager ignores case, and older users have names that differ in nothing else.
        user = model._default_manager.filter(**{model.USERNAME_FIELD: name}).first()
    if "@" in name and (are_beside_names() or not are_found_by_the_model()):
        found = holder(model._default_manager.all(), name)
        return user or found
    return user
