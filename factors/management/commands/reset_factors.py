"""``manage.py reset_factors``: removes the factors of a user who has lost all of them, also of the last superuser."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError

from factors.models import MAX_REASON
from factors.service import resetting
from tokens import sessions
from tokens.service.public import Report, counted, is_confirmed


class Command(BaseCommand):
    help = (
        "Removes all factors of a user who has lost them, and ends all sessions of the user, who gets a mail with the "
        "reason. It works for every user, also for the last superuser."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="NAME", help="the user name, or the e-mail address")
        parser.add_argument("--reason", required=True, metavar="TEXT", help="text for the security event and the mail")
        parser.add_argument("--no-input", "--noinput", action="store_true", help="do not ask for confirmation")
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="change nothing: say which factors would be removed",
        )

    def handle(
        self,
        *args: Any,
        user: str,
        reason: str,
        no_input: bool,
        dry_run: bool = False,
        verbosity: int = 1,
        **options: Any,
    ) -> None:
        found = sessions.user_of(user)
        if found is None:
            raise CommandError(
                f"there is no user {user!r}. Give the user name, or an e-mail address that only one user has"
            )
        if not 0 < len(reason.strip()) <= MAX_REASON:
            raise CommandError(f"the reason must have 1 to {MAX_REASON} characters")
        with Report(self, verbosity, is_whole=True) as report:
            counts = resetting.what_is_reset(found)
            kinds = ", ".join(counted(count, kind) for kind, count in counts.items())
            if dry_run:
                report.say(f"{found.get_username()}: {kinds} would be removed or end")
                return
            if not no_input and not is_confirmed(self, f"Reset the factors of {found.get_username()} ({kinds})?"):
                raise CommandError("nothing was reset. Answer y, or use --no-input where nobody can answer")
            resetting.reset_by_command(found, reason.strip())
            report.say(f"the factors of {found.get_username()} are reset ({kinds}) in {report.duration}")
