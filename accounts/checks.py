"""System checks.

- ``accounts.W001``: the accounts of the demo are in the database, and DEBUG is off.
- ``accounts.W002``: users share an e-mail address.
- ``accounts.W003``: nobody can register, because new users need more than the registration asks for.
- ``accounts.W004``: users have no e-mail address.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import connections, router

from accounts import addresses, demo_accounts, users


@register(Tags.database)
def check_demo_accounts(databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that the accounts whose password is published are not in the database of a production server."""
    email = users.address_field()
    if settings.DEBUG or email is None or not _has_table(databases):
        return []
    rows = users.rows().filter(**{f"{email}__in": demo_accounts.FLAGS}).order_by(email)
    found = ", ".join(rows.values_list(email, flat=True))
    if not found:
        return []
    hint = "Their password is published, so they cannot sign in while DEBUG is off. Delete them."
    return [Warning(f"The accounts of the demo are in the database: {found}.", hint=hint, id="accounts.W001")]


@register(Tags.database)
def check_shared_addresses(databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that no two users have the same address, where the user model itself does not see to it."""
    email = users.address_field()
    if email is None or users.are_addresses_unique() or not _has_table(databases):
        return []
    shared = addresses.shared(users.rows(), email)
    count = shared.count()
    if not count:
        return []
    hint = "`manage.py canonical_addresses` lists their users. Delete all but one, or give them other addresses."
    what = f"Several users share an e-mail address ({count} such), which signs in, resets and registers nobody."
    return [Warning(what, hint=hint, id="accounts.W002")]


@register
def check_registration(**kwargs: Any) -> list[CheckMessage]:
    """Check that the registration asks for all that a new user needs."""
    if not users.has_addresses() or users.can_register():
        return []
    label, missing = get_user_model()._meta.label, ", ".join(users.missing_fields())
    hint = "Give these fields a default, or make users in a view of your own. Silence this check if that is intended."
    what = f"Nobody can register: {label} requires fields that the registration does not ask for: {missing}."
    return [Warning(what, hint=hint, id="accounts.W003")]


@register
def check_addresses(**kwargs: Any) -> list[CheckMessage]:
    """Check that users have an e-mail address."""
    if users.has_addresses():
        return []
    label = get_user_model()._meta.label
    without = "So there is no registration, no reset of the password, no notice of a new device, and no alarm."
    hint = "Add an e-mail field to the model, and name it in EMAIL_FIELD. Silence this check if that is intended."
    return [Warning(f"{label} has no e-mail field. {without}", hint=hint, id="accounts.W004")]


def _has_table(databases: Any) -> bool:
    """Return whether the table of users is there, in one of these databases."""
    model = get_user_model()
    alias = router.db_for_write(model)
    if alias not in (databases or ()):
        return False
    return model._meta.db_table in connections[alias].introspection.table_names()
