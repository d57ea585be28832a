"""``manage.py canonical_addresses``: repairs the table of canonical addresses, and lists the collisions.

A collision is one address that several accounts have in different spellings (`accounts.addresses`). Each can sign in
only with its exact spelling, until an operator has deleted all of them but one, or given them other addresses, and has
run the command again.
"""

import json
from typing import Any

from django.core.management import BaseCommand
from django.db import router, transaction

from accounts import addresses
from accounts.models import CanonicalAddress, User


class Command(BaseCommand):
    help = "Repairs the table of canonical addresses, and lists the accounts whose addresses are spellings of one."

    def handle(self, *args: Any, **options: Any) -> None:
        alias = router.db_for_write(User)
        users, entries = User._base_manager.using(alias), CanonicalAddress.objects.using(alias)
        with transaction.atomic(using=alias):
            addresses.rebuild(users, entries)
        for address, accounts in addresses.collisions(users, entries):
            self.stdout.write(_printable(address))
            for user in accounts:
                last = user.last_login.strftime("%Y-%m-%d") if user.last_login else "never"
                state = "active" if user.is_active else "switched off"
                self.stdout.write(f"  {user.pk}  {_printable(user.email)}  {state}, last sign-in: {last}")


def _printable(text: str) -> str:
    """Return the text and, if it is not plain ASCII, its escaped form: spellings may look the same."""
    if text.isascii() and text.isprintable():
        return text
    return f"{text} ({json.dumps(text)})" if text.isprintable() else json.dumps(text)
