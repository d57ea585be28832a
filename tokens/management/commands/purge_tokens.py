"""``manage.py purge_tokens``: deletes what is past its retention. See `tokens.service.purge`."""

import sys
from contextlib import nullcontext
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from tokens.service.purge import purges, record

MAX_BATCH = 50_000
"""Rows in one transaction, which keeps the keys of those it deletes in memory."""

DEFAULT_BATCH = 10_000


class Command(BaseCommand):
    help = (
        "Deletes ended sessions, events and revocations that are past their retention. Run it once a day. It can run "
        "during operation, and several at the same time."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count what would be deleted")
        parser.add_argument(
            "--batch-size",
            type=int,
            default=DEFAULT_BATCH,
            metavar="ROWS",
            help=f"rows in one transaction, at most {MAX_BATCH}. Default: {DEFAULT_BATCH}",
        )

    def handle(self, *args: Any, dry_run: bool, batch_size: int, **options: Any) -> None:
        if not 1 <= batch_size <= MAX_BATCH:
            raise CommandError(f"--batch-size must be at least 1, and no more than {MAX_BATCH}")
        watched = sys.stderr.isatty() and find_spec("tqdm") is not None
        done, began = {}, perf_counter()
        for purge in purges():
            if dry_run:
                self.stdout.write(f"{purge.name}: {purge.count()} would be deleted")
                continue
            deleted = 0
            # The total is only needed for the progress bar.
            total = purge.count() if watched else None
            with _progress(purge.name, total) if watched else nullcontext() as bar:
                for batch in purge.batches(batch_size):
                    deleted += batch
                    if bar:
                        bar.update(batch)
            done[purge.name] = deleted
            self.stdout.write(f"{purge.name}: {deleted} deleted")
        if done:
            record(done, perf_counter() - began)


def _progress(name: str, total: int | None) -> Any:
    """Return a progress bar. tqdm, which the extra ``progress`` installs, must be there."""
    from tqdm import tqdm

    return tqdm(total=total, desc=name, unit=" rows")
