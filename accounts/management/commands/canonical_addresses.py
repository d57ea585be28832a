"""``manage.py canonical_addresses``: repairs the table of canonical addresses, and lists the collisions.

A collision is one address that several accounts have in different spellings (`accounts.addresses`). Each can sign in
only with its exact spelling, until an operator has deleted all of them but one, or given them other addresses, and has
run the command again.

A project with another user model has no such table. There the command lists the users that share an address, which
signs in none of them, and those whose addresses are spellings of one.
"""

import json
from collections.abc import Iterator
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError
from django.db import router, transaction

from accounts import addresses, users
from accounts.models import CanonicalAddress


class Command(BaseCommand):
    help = (
        "Repairs the table of canonical addresses, and lists the accounts whose addresses are spellings of one. With a "
        "user model of your own, lists the users that share an address."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        field = users.address_field()
        if field is None:
            raise CommandError("The users of this project have no e-mail address.")
        for address, accounts in _collisions(field):
            self.stdout.write(_printable(address))
            for user in accounts:
                last = user.last_login.strftime("%Y-%m-%d") if user.last_login else "never"
                state = "active" if user.is_active else "switched off"
                self.stdout.write(f"  {user.pk}  {_printable(users.address_of(user))}  {state}, last sign-in: {last}")


def _collisions(field: str) -> Iterator[tuple[str, list[Any]]]:
    model = get_user_model()
    alias = router.db_for_write(model)
    rows, entries = model._base_manager.using(alias), CanonicalAddress.objects.using(alias)
    if not users.are_addresses_unique():
        return addresses.collisions_of(rows, field)
    with transaction.atomic(using=alias):
        addresses.rebuild(rows, entries)
    return addresses.collisions(rows, entries)


def _printable(text: str) -> str:
    """Return the text and, if it is not plain ASCII, its escaped form: spellings may look the same."""
    if text.isascii() and text.isprintable():
        return text
    return f"{text} ({json.dumps(text)})" if text.isprintable() else json.dumps(text)
