"""The project's users, whatever their model is (AUTH_USER_MODEL).

A model may have an e-mail address that is not the user name, one that is not unique, or none. Only `accounts.models`
knows `accounts.models.User`, whose manager finds the user of an address by itself, with the table of canonical
addresses. For other models `tokens.service.addresses` says whom an address means.
"""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import router
from django.db.models import CharField, QuerySet
from django.http import Http404

from tokens.service import public
from tokens.service.public import address_field as address_field
from tokens.service.public import address_of as address_of
from tokens.service.public import no_such_account as no_such_account

CONFIRMED_AT = "email_confirmed_at"
"""The field of a user with the time at which the address was confirmed, if the model has it."""


def has_addresses() -> bool:
    """Return whether users have an e-mail address."""
    return address_field() is not None


def rows() -> QuerySet[Any]:
    """Return the users in the database that takes writes, because a replica may be behind."""
    model: Any = get_user_model()
    users: QuerySet[Any] = model._default_manager.using(router.db_for_write(model))
    return users


def find(key: Any) -> Any:
    """Return the user with this primary key, or None. The key may be text that is no key of this model."""
    return _first(rows(), key)


def lock(key: Any) -> Any:
    """Return the user with this primary key, locked until the commit, or None.

    FOR UPDATE would wait for transactions that insert events about this user.
    """
    return _first(rows().select_for_update(no_key=True), key)


def find_active(key: Any) -> Any:
    """Return the user with this primary key, if there is one who is active, or None."""
    user = find(key)
    return user if user is not None and user.is_active else None


def at_address(address: str) -> Any:
    """Return the user whom this spelling of an address means, or None. This takes one statement."""
    model: Any = get_user_model()
    if are_addresses_unique():
        return model._default_manager.db_manager(router.db_for_write(model)).at_address(address)
    return public.holder(rows(), address)


def owners_of(address: str) -> list[Any]:
    """Return the users that have this address: none, one, or several who share it. This takes one statement."""
    if are_addresses_unique():
        found = at_address(address)
        return [] if found is None else [found]
    return public.holders(rows(), address)


def are_addresses_unique() -> bool:
    """Return whether the model itself keeps two users from having one address, whatever the spelling."""
    return public.are_found_by_the_model()


def has_name(name: Any) -> bool:
    """Return whether there is a user with this user name, which may differ by upper and lower case."""
    field = name_field()
    lookup = "iexact" if isinstance(field, CharField) else "exact"
    return rows().filter(**{f"{field.name}__{lookup}": name}).exists()


def unsaved(address: str, name: str = "", password: str = "") -> Any:
    """Return a user who is not saved. ``password`` is a hash, and ``name`` a user name that is not the address."""
    fields = {address_field(): address, "password": password}
    if (field := name_field()) is not None:
        fields[field.name] = name
    return get_user_model()(**{key: value for key, value in fields.items() if key is not None})


def set_address(user: Any, address: str, confirmed_at: Any) -> list[str]:
    """Set the user's address, and when it was confirmed. Return the names of the fields to save."""
    name = address_field()
    if name is None:
        raise Http404
    setattr(user, name, address)
    if not hasattr(user, CONFIRMED_AT):
        return [name]
    setattr(user, CONFIRMED_AT, confirmed_at)
    return [name, CONFIRMED_AT]


def is_confirmed(user: Any) -> bool:
    """Return whether the user's address is confirmed. The address of a model without such a field counts as it."""
    return getattr(user, CONFIRMED_AT, True) is not None


def name_field() -> Any:
    """Return the model's field for the user name, or None if the address is the user name."""
    model = get_user_model()
    return model._meta.get_field(model.USERNAME_FIELD) if address_field() != model.USERNAME_FIELD else None


def missing_fields() -> list[str]:
    """Return the names of the fields that a new user needs, and for which the registration does not ask.

    They are in REQUIRED_FIELDS, or a row without them cannot be saved.
    """
    model = get_user_model()
    known = {model.USERNAME_FIELD, address_field(), "password"}
    needed = [field.name for field in model._meta.concrete_fields if _has_to_be_given(field)]
    return [name for name in dict.fromkeys([*model.REQUIRED_FIELDS, *needed]) if name not in known]


def can_register() -> bool:
    """Return whether people can register: each has an address, and nothing else has to be given but a user name."""
    return has_addresses() and not missing_fields()


def _has_to_be_given(field: Any) -> bool:
    is_set = field.primary_key or field.generated or field.has_db_default()
    is_set_by_django = is_set or getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
    return not (field.null or field.blank or is_set_by_django) and field.get_default() is None


def _first(users: QuerySet[Any], key: Any) -> Any:
    try:
        return users.filter(pk=key).first()
    except (ValidationError, ValueError):
        return None
