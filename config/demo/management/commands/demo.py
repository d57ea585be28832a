"""``manage.py demo``: sets up everything and serves the demo."""

import re
import socket
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, CommandParser, call_command

from accounts.demo_accounts import FLAGS, PASSWORD


class Command(BaseCommand):
    help = "Creates the database, migrates it, creates the demo accounts, and serves. It needs DEBUG."
    # The tables may not exist yet.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, help="default: 8000")

    def handle(self, *args: Any, port: int | None, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("the demo needs DEBUG, because the password of its accounts is published")
        if port is None:
            found = re.search(r":(\d+)$", settings.ORIGIN)
            port = int(found[1]) if found else 8000
        _refuse_taken_port(port)
        self.check()
        call_command("migrate", interactive=False, verbosity=0)
        users = get_user_model().objects
        for email, flags in FLAGS.items():
            if not users.filter(email=email).exists():
                users.create_user(email, PASSWORD, **flags)
        pages = addresses(settings.ORIGIN, port)
        width = max(map(len, pages))
        self.stdout.write("\n" + "\n".join(f"  {url:<{width}}   {what}" for url, what in pages.items()) + "\n\n")
        for email in FLAGS:
            self.stdout.write(f"  {email:<22} {PASSWORD}")
        self.stdout.write("")
        self.stdout.flush()
        call_command("runserver", f"localhost:{port}", use_reloader=False)


def addresses(origin: str, port: int) -> dict[str, str]:
    """Return what is at which address of the browser. ``port``: of this server, behind which another one may be.

    Next.js, for example, passes on neither the admin nor the first page.
    """
    own = f"http://localhost:{port}"
    is_behind = origin != own
    return {
        f"{origin}/demo": "start here: the protocol in seven steps",
        f"{origin}/sign-in" if is_behind else f"{origin}/": "sign in",
        f"{origin}/demo/factors": "try passkeys and codes",
        f"{own}/admin/": "revoke sessions",
        f"{origin}/mailbox": "read the mails",
    }


def _refuse_taken_port(port: int) -> None:
    if not 1 <= port <= 65535:
        raise CommandError(f"{port} is not a port. Choose one from 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(f"port {port} cannot be used ({error}). Choose another one with --port") from None
