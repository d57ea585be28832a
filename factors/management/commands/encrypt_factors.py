"""``manage.py encrypt_factors``: encrypts secrets again that are encrypted under an older ``SECRET_KEY``."""

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from factors.service import totp
from tokens.service.public import Report, counted


class Command(BaseCommand):
    help = (
        "Encrypts the secrets of authenticator apps under the current SECRET_KEY. Run it after a change of SECRET_KEY, "
        "before you remove the old key from SECRET_KEY_FALLBACKS. It fails if a secret cannot be read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="change nothing: say how many secrets would be encrypted again"
        )

    def handle(self, *args: Any, dry_run: bool, verbosity: int, **options: Any) -> None:
        again = lost = 0
        with (
            Report(self, verbosity) as report,
            report.task("secrets", "read" if dry_run else "encrypted again", totp.under_older_keys().count) as step,
        ):
            for is_readable in totp.encrypt_again(dry_run=dry_run):
                again += is_readable
                lost += not is_readable
                step(is_readable)
        would = "would be " if dry_run else ""
        report.say(f"{counted(again, 'secret')} {would}encrypted again in {report.duration}")
        if lost:
            raise CommandError(
                f"{counted(lost, 'secret')} cannot be read. Add the SECRET_KEY that was used for them to "
                "SECRET_KEY_FALLBACKS, and run the command again"
            )
