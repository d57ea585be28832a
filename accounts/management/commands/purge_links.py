"""``manage.py purge_links``: deletes registrations and pending changes whose links are too old (`accounts.links`)."""

from typing import Any

from django.core.management import BaseCommand, CommandParser

from accounts.service import pending_changes, registration
from tokens.service.public import Report, counted

PURGES = {"registrations": registration, "pending changes": pending_changes}


class Command(BaseCommand):
    help = (
        "Deletes registrations that were not confirmed within a day, and changes of accounts whose links are too old. "
        "It may run while users register. Run it as often as purge_tokens."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="delete nothing: say how many rows of each kind would be deleted"
        )

    def handle(self, *args: Any, dry_run: bool, verbosity: int, **options: Any) -> None:
        every = 0
        with Report(self, verbosity) as report:
            for name, purge in PURGES.items():
                if dry_run:
                    count = purge.expired().count()
                    report.say(f"{name}: {count} would be deleted")
                else:
                    count = report.follow(name, "deleted", purge.purge(), purge.expired().count)
                    report.say(f"{name}: {count} deleted")
                every += count
            done = "would be deleted. Counted" if dry_run else "deleted"
            report.say(f"{counted(every, 'row')} {done} in {report.duration}")
