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
from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import router, transaction

from accounts import addresses, users
from accounts.models import CanonicalAddress
from tokens.service.public import Report, counted


class Command(BaseCommand):
    help = (
        "Repairs the table of canonical addresses, and lists the accounts whose addresses are spellings of one. The "
        "list is on the standard output, and what was repaired is on the standard error. With a user model of your "
        "own, it lists the users that share an address."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="repair nothing: say how many rows are wrong, and list the accounts"
        )

    def handle(self, *args: Any, dry_run: bool, verbosity: int, **options: Any) -> None:
        field = users.address_field()
        if field is None:
            raise CommandError(
                "the users of this project have no e-mail address, so there is nothing to repair. The user model names "
                "its field for the address in EMAIL_FIELD"
            )
        model = get_user_model()
        alias = router.db_for_write(model)
        rows, entries = model._base_manager.using(alias), CanonicalAddress.objects.using(alias)
        with Report(self, verbosity, is_whole=True) as report:
            if not users.are_addresses_unique():
                listed = self._list(addresses.collisions_of(rows, field))
                report.note(f"{counted(listed, 'shared address', 'shared addresses')}, found in {report.duration}")
                return
            with transaction.atomic(using=alias), report.task("users", "compared", rows.count) as step:
                found = addresses.rebuild(rows, entries, step)
                if dry_run:
                    listed = self._list(addresses.collisions(rows, entries))
                    transaction.set_rollback(True, using=alias)
            if not dry_run:
                listed = self._list(addresses.collisions(rows, entries))
            would = "would be " if dry_run else ""
            report.note(
                f"{counted(found.removed, 'wrong row')} {would}removed, {counted(found.added, 'missing row')} {would}"
                f"added, {counted(listed, 'address', 'addresses')} of several accounts, in {report.duration}"
            )

    def _list(self, collisions: Iterator[tuple[str, list[Any]]]) -> int:
        """Print the accounts of each address, and return how many addresses there are."""
        count = 0
        for address, accounts in collisions:
            count += 1
            self.stdout.write(_printable(address))
            for user in accounts:
                last = user.last_login.strftime("%Y-%m-%d") if user.last_login else "never"
                state = "active" if user.is_active else "switched off"
                self.stdout.write(f"  {user.pk}  {_printable(users.address_of(user))}  {state}, last sign-in: {last}")
        return count


def _printable(text: str) -> str:
    """Return the text and, if it is not plain ASCII, its escaped form: spellings may look the same."""
    if text.isascii() and text.isprintable():
        return text
    return f"{text} ({json.dumps(text)})" if text.isprintable() else json.dumps(text)
