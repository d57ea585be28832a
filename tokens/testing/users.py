"""A user of whatever model, without a password and so without the cost of a hash."""

from secrets import token_hex
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db.models import EmailField

from tokens.testing.guard import only_in_tests


@only_in_tests
def create_user(**fields: Any) -> Any:
    """Make a user with ``create_user`` of the model's manager. The user name and the address are new ones.

    ``fields``: others, and those that the model requires. Without a ``password`` the user has none.
    """
    model: Any = get_user_model()
    name = f"user-{token_hex(6)}"
    given = {}
    for field in {model.USERNAME_FIELD, *_address_of(model)}:
        is_address = isinstance(model._meta.get_field(field), EmailField)
        given[field] = f"{name}@example.org" if is_address else name
    return model._default_manager.create_user(**{**given, **fields})


def _address_of(model: Any) -> list[str]:
    name = model.get_email_field_name()
    try:
        return [model._meta.get_field(name).name]
    except FieldDoesNotExist:
        return []
