"""``manage.py reset_factors``: removes the factors of a user who has lost all of them, also of the last superuser."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError

from factors.models import MAX_REASON
from factors.service import resetting
from tokens import sessions


class Command(BaseCommand):
    help = "Removes all factors of a user, and ends all sessions of the user, who gets a mail with the reason."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="NAME", help="the user name, or the e-mail address")
        parser.add_argument("--reason", required=True, metavar="TEXT", help="text for the security event and the mail")
        parser.add_argument("--no-input", "--noinput", action="store_true", help="do not ask for confirmation")

    def handle(self, *args: Any, user: str, reason: str, no_input: bool, **options: Any) -> None:
        found = sessions.user_of(user)
        if found is None:
            raise CommandError(f"there is no user {user!r}")
        if not 0 < len(reason.strip()) <= MAX_REASON:
            raise CommandError(f"the reason must have 1 to {MAX_REASON} characters")
        if not no_input and not self._confirmed(found):
            raise CommandError("nothing was reset")
        resetting.reset_by_command(found, reason.strip())
        self.stdout.write("the factors are reset")

    def _confirmed(self, user: Any) -> bool:
        self.stdout.write(f"Reset the factors of {user.get_username()}? [y/N] ", ending="")
        self.stdout.flush()
        try:
            return input().strip().lower() in {"y", "yes"}
        except EOFError:
            return False
