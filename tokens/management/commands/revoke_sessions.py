"""``manage.py revoke_sessions``: ends the sessions of a user or a device, old sessions, or all."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management import BaseCommand, CommandError
from django.db.models import Count

from tokens.database.transactions import clock, writer
from tokens.management.accounts import user_named
from tokens.management.durations import duration
from tokens.models import Device, RefreshToken, RefreshTokenQuerySet
from tokens.service import trust
from tokens.service.reporting import Report, at, counted, is_confirmed
from tokens.service.revocation import revoke_all


class Command(BaseCommand):
    help = (
        "Ends live sessions, and the trust in their devices. Several options narrow the choice. After a restore from a "
        "backup, use --older-than with the age of the backup."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", metavar="NAME", help="sessions of the user with this user name or e-mail address")
        parser.add_argument(
            "--device", type=UUID, metavar="ID", help="sessions of this device, by its id in list_sessions --json"
        )
        parser.add_argument(
            "--older-than",
            type=duration,
            metavar="DURATION",
            help="sessions opened longer ago than this: 90s, 15m, 12h or 30d",
        )
        parser.add_argument("--all", action="store_true", help="all sessions of all users")
        parser.add_argument("--reason", default="", metavar="TEXT", help="text for the security events")
        parser.add_argument("--no-input", "--noinput", action="store_true", help="do not ask for confirmation")
        parser.add_argument(
            "--dry-run", action="store_true", help="end nothing: say how many sessions would end, by storage mode"
        )

    def handle(
        self,
        *args: Any,
        user: str | None,
        device: UUID | None,
        older_than: timedelta | None,
        all: bool,
        reason: str,
        no_input: bool,
        dry_run: bool = False,
        verbosity: int = 1,
        **options: Any,
    ) -> None:
        narrowed = user is not None or device is not None or older_than is not None
        if narrowed == all:
            raise CommandError("say which sessions: --user, --device or --older-than, or only --all")
        alias = writer(RefreshToken)
        sessions = RefreshToken.objects.using(alias).unended()
        found = user_named(user) if user is not None else None
        trusted: dict[str, Any] = {}
        limit = ""
        if found is not None:
            sessions, trusted["user"] = sessions.filter(user=found), found.pk
        if device is not None:
            sessions, trusted["pk"] = sessions.filter(device=device), device
        if older_than is not None:
            # A backup also brings back that devices were trusted. All its devices are older than the backup.
            instant = clock(alias) - older_than
            sessions, trusted["created_at__lt"] = sessions.filter(created_at__lt=instant), instant
            limit = f", opened before {at(instant)}"
        with Report(self, verbosity) as report:
            if dry_run:
                _say_what_would_end(report, sessions, trusted, limit)
                return
            if not no_input and not is_confirmed(self, f"End {counted(sessions.count(), 'live session')}?"):
                raise CommandError("nothing was revoked. Answer y, or use --no-input where nobody can answer")
            all_of = found if device is None and older_than is None else None
            with trust.ending(**trusted), report.task("sessions", "revoked", sessions.count) as step:
                # A shell may pass bytes that are no UTF-8. They must not prevent the revocation.
                note = reason.encode("utf-8", "replace").decode()
                ended = revoke_all(
                    sessions, RefreshToken.Reason.ENDED_BY_COMMAND, user=all_of, note=note, on_batch=step
                )
            report.say(f"{counted(len(ended), 'session')} revoked in {report.duration}")


def _say_what_would_end(report: Report, sessions: RefreshTokenQuerySet, trusted: dict[str, Any], limit: str) -> None:
    modes = dict(sessions.order_by().values_list("mode").annotate(Count("pk")))
    users = sessions.order_by().aggregate(found=Count("user", distinct=True))["found"]
    devices = Device.objects.using(sessions.db).filter(trusted_until__isnull=False, **trusted).count()
    of_users = f" of {counted(users, 'user')}" if users else ""
    report.say(f"{counted(sum(modes.values()), 'session')}{of_users} would be revoked{limit}")
    for mode, count in sorted(modes.items()):
        report.say(f"    {count} in the storage mode {mode}")
    report.say(f"{counted(devices, 'device')} would not be trusted any more. Counted in {report.duration}")
