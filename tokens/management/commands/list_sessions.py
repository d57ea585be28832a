"""``manage.py list_sessions``: lists live sessions, one per line, as a table or as JSON."""

import json
from typing import Any

from django.core.management import BaseCommand, CommandParser
from django.db import transaction

from tokens.database.transactions import writer
from tokens.management.accounts import user_named
from tokens.models import RefreshToken
from tokens.service import lifetimes
from tokens.service.reporting import Report, counted


class Command(BaseCommand):
    help = (
        "Lists the sessions that have not ended, the newest first. The list is on the standard output, and how many "
        "sessions it has is on the standard error."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--user", metavar="NAME", help="only the sessions of the user with this user name or e-mail address"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object per line instead of a table")

    def handle(self, *args: Any, user: str | None, json: bool, verbosity: int, **options: Any) -> None:
        alias = writer(RefreshToken)
        sessions = RefreshToken.objects.using(alias).unended().select_related("user", "actor", "device")
        if user is not None:
            sessions = sessions.filter(user=user_named(user))
        # Between the rows on a terminal, progress would be in the way.
        is_shown = not self.stdout.isatty()
        count = 0
        # In one transaction, because behind a pooler in transaction mode a cursor lives no longer.
        with (
            Report(self, verbosity) as report,
            transaction.atomic(using=alias),
            report.task("sessions", "listed", sessions.count, is_shown=is_shown) as step,
        ):
            for session in sessions.order_by("-id").iterator(chunk_size=1000):
                line = _as_json(session) if json else _as_line(session)
                # Users choose the names of devices. They must not contain escape sequences for the terminal.
                self.stdout.write("".join(c if c.isprintable() else _escaped(c) for c in line))
                count += 1
                step(1)
        report.note(f"{counted(count, 'session')} listed in {report.duration}")


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1]


def _as_json(session: RefreshToken) -> str:
    return json.dumps(
        {
            "id": str(session.id),
            "user": session.user.get_username(),
            "actor": session.actor and session.actor.get_username(),
            "device": {"id": str(session.device_id), "name": session.device.name},
            "mode": session.mode,
            "ip": session.ip,
            "created_at": session.created_at.isoformat(),
            "refreshed_at": session.since.isoformat(),
            "ends_at": lifetimes.kept_until(session).isoformat(),
            "generation": session.generation,
        },
        ensure_ascii=False,
    )


def _as_line(session: RefreshToken) -> str:
    refreshed = session.since.strftime("%Y-%m-%d %H:%M")
    actor = f" (used by {session.actor.get_username()})" if session.actor else ""
    user = f"{session.user.get_username()}{actor}"
    return f"{session.id}  {refreshed}  {session.ip or '-':<15}  {user}  {session.device.name}"
