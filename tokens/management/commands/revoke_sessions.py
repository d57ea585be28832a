"""``manage.py revoke_sessions``: ends the sessions of a user or a device, old sessions, or all."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management import BaseCommand, CommandError

from tokens.database.transactions import clock, writer
from tokens.management.accounts import user_named
from tokens.management.durations import duration
from tokens.models import RefreshToken
from tokens.service import trust
from tokens.service.revocation import revoke_all


class Command(BaseCommand):
    help = (
        "Ends live sessions. Several options narrow the choice. A restore from a backup brings back revoked sessions "
        "and trusted devices, so use --older-than with the age of the backup afterwards."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", metavar="NAME", help="sessions of this user, by user name or address")
        parser.add_argument("--device", type=UUID, metavar="ID", help="sessions of this device")
        parser.add_argument(
            "--older-than", type=duration, metavar="DURATION", help="sessions opened longer ago than this (12h, 30d)"
        )
        parser.add_argument("--all", action="store_true", help="all sessions of all users")
        parser.add_argument("--reason", default="", metavar="TEXT", help="a text that the security events show")
        parser.add_argument("--no-input", "--noinput", action="store_true", help="do not ask for confirmation")

    def handle(
        self,
        *args: Any,
        user: str | None,
        device: UUID | None,
        older_than: timedelta | None,
        all: bool,
        reason: str,
        no_input: bool,
        **options: Any,
    ) -> None:
        narrowed = user is not None or device is not None or older_than is not None
        if narrowed == all:
            raise CommandError("say which sessions: --user, --device or --older-than, or only --all")
        alias = writer(RefreshToken)
        sessions = RefreshToken.objects.using(alias).unended()
        found = user_named(user) if user is not None else None
        trusted: dict[str, Any] = {}
        if found is not None:
            sessions, trusted["user"] = sessions.filter(user=found), found.pk
        if device is not None:
            sessions, trusted["pk"] = sessions.filter(device=device), device
        if older_than is not None:
            # A backup also brings back that devices were trusted. All its devices are older than the backup.
            instant = clock(alias) - older_than
            sessions, trusted["created_at__lt"] = sessions.filter(created_at__lt=instant), instant
        if not no_input and not self._confirmed(sessions.count()):
            raise CommandError("nothing was revoked")
        all_of = found if device is None and older_than is None else None
        with trust.ending(**trusted):
            ended = revoke_all(sessions, RefreshToken.Reason.ENDED_BY_COMMAND, user=all_of, note=reason)
        self.stdout.write(f"{len(ended)} sessions revoked")

    def _confirmed(self, count: int) -> bool:
        self.stdout.write(f"End {count} live sessions? [y/N] ", ending="")
        self.stdout.flush()
        try:
            return input().strip().lower() in {"y", "yes"}
        except EOFError:
            return False
