"""``manage.py purge_tokens``: deletes what is past its retention. See `tokens.service.purge`."""

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from tokens.service.purge import purges, record
from tokens.service.reporting import Report, at, counted

MAX_BATCH = 50_000
"""Rows in one transaction, which keeps the keys of those it deletes in memory."""

DEFAULT_BATCH = 10_000


class Command(BaseCommand):
    help = (
        "Deletes ended sessions, security events and revocations that are past their retention, with the devices that "
        "have no session any more. It may run while users sign in, and more than once at the same time. Run it daily."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="delete nothing: say what would be deleted, and up to which time"
        )
        parser.add_argument(
            "--batch-size",
            type=int,
            default=DEFAULT_BATCH,
            metavar="ROWS",
            help=f"how many rows one transaction looks at, from 1 to {MAX_BATCH}. Default: {DEFAULT_BATCH}",
        )

    def handle(self, *args: Any, dry_run: bool, batch_size: int, verbosity: int, **options: Any) -> None:
        if not 1 <= batch_size <= MAX_BATCH:
            raise CommandError(f"--batch-size must be at least 1, and no more than {MAX_BATCH}")
        with Report(self, verbosity) as report:
            if dry_run:
                self._say_what_would_be_deleted(report)
                return
            done = {}
            for purge in purges():
                done[purge.name] = report.follow(purge.name, "deleted", purge.batches(batch_size), purge.count)
                report.say(f"{purge.name}: {done[purge.name]} deleted")
            if done:
                record(done, report.seconds)
            report.say(f"{counted(sum(done.values()), 'row')} deleted in {report.duration}")

    def _say_what_would_be_deleted(self, report: Report) -> None:
        every = 0
        for purge in purges():
            limits = purge.limits()
            count = sum(part for _name, _limit, part in limits)
            every += count
            report.say(f"{purge.name}: {count} would be deleted")
            for name, limit, part in limits:
                did = "ended" if name == "sessions" else "written"
                of_kind = f"{name}: " if len(limits) > 1 else ""
                report.say(f"    {of_kind}{part} {did} before {at(limit)}")
        report.say(f"{counted(every, 'row')} would be deleted. Counted in {report.duration}")
