"""The project behind TLS, in a process of its own, on a PostgreSQL of its own, for real browsers to visit."""

import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate

from tests.clients.projects import Server

ROOT = Path(__file__).parents[2]
SECRET_KEY = "the secret of a site that browsers visit, as long as it has to be"
HOSTS = ("app.test", "*.app.test", "example.test", "*.example.test", "evil.test")
"""Names that the tests' browser takes for this machine; `example.test` has hosts for each part of a site."""
PASSWORD = "a password of somebody's"


class Certificate:
    """One certificate for all hosts, and the digest by which the tests' browser is told to accept it.

    ``authority_path``: of the certificate that vouches for it, for clients that are told whom to trust.
    """

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        leaf = authority.issue_cert(*HOSTS)
        self.path, self.key_path = folder / "certificate.pem", folder / "key.pem"
        self.authority_path = folder / "authority.pem"
        authority.cert_pem.write_to_path(self.authority_path)
        leaf.cert_chain_pems[0].write_to_path(self.path)
        leaf.private_key_pem.write_to_path(self.key_path)

    @cached_property
    def spki(self) -> str:
        public = load_pem_x509_certificate(self.path.read_bytes()).public_key()
        return b64encode(sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()).decode()


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account."""

    email: str
    password: str = PASSWORD


class Site(Server):
    """A process that serves the project at `origin`, and does in it what it is told (`do`)."""

    def __init__(self, process: Any, host: str, origin: str = "") -> None:
        super().__init__(process)
        self.host = host
        self.origin = origin or f"https://{host}:{self.port}"

    def new_person(self, **fields: Any) -> Person:
        """Make an account that nobody has used. ``fields``: of the user, such as ``is_superuser``."""
        person = Person(f"somebody-{uuid4().hex[:12]}@{self.host}")
        self.do(
            "from accounts.models import User; User.objects.create_user(email, password, **fields)",
            email=person.email,
            password=person.password,
            fields=fields,
        )
        return person

    def forward(self, seconds: float) -> None:
        """Move the clock of this site on, or back; the browser's stays."""
        self.do("forward(seconds)", seconds=seconds)

    def lose_answers(self, path: str) -> None:
        """From now on do what requests for this path ask, and cut the connection instead of answering."""
        self.do("wire.lose(path)", path=path)

    def stand_in(self, path: str, status: int = 0) -> None:
        """From now on answer requests for this path as a proxy does that cannot reach us, or cut the connection."""
        self.do("wire.stand_in(path, status)", path=path, status=status)

    def hold_answers(self, path: str) -> None:
        """From now on do what requests for this path ask, and answer when `deliver` is called."""
        self.do("wire.hold(path)", path=path)

    def wait_until_held(self) -> None:
        """Wait until an answer is held."""
        assert self.do("result = wire.wait_until_held()"), "no request came"

    def deliver_to_nobody(self) -> None:
        """Deliver what is held when the browser does not wait for it any more."""
        assert self.do("result = wire.wait_until_nobody_listens()"), "the browser still waits"
        self.deliver()

    def deliver(self) -> int:
        """Answer again, what is held included; return how many answers were lost."""
        lost: int = self.do("result = wire.lost; wire.deliver()")
        return lost

    def shut_gate(self) -> None:
        """Let the view at /probe/slow wait from now on."""
        self.do("from tests.browser.urls import Gate; Gate.reached.clear(); Gate.open.clear()")

    def wait_for_gate(self) -> None:
        """Wait until a request is in that view."""
        assert self.do("from tests.browser.urls import Gate; result = Gate.reached.wait(10)"), "no request came"

    def open_gate(self) -> None:
        """Let that view go on."""
        self.do("from tests.browser.urls import Gate; Gate.open.set()")

    def revoke(self, person: Person) -> None:
        """End all sessions of a person, as an administrator does."""
        self.do(
            "from tokens.models import RefreshToken\n"
            "from tokens.service.ending import end_all\n"
            "end_all(RefreshToken.objects.filter(user__email=email), RefreshToken.Reason.ENDED_BY_STAFF)",
            email=person.email,
        )

    def sessions(self, person: Person) -> list[dict[str, Any]]:
        """The rows of a person's sessions, oldest first: what a test asks of the protocol's state."""
        fields = ["id", "mode", "generation", "recovered", "acknowledged", "revoked_reason", "device__name"]
        rows: list[dict[str, Any]] = self.do(
            "from tokens.models import RefreshToken\n"
            "result = list(RefreshToken.objects.filter(user__email=email).order_by('id').values(*fields))",
            email=person.email,
            fields=fields,
        )
        return rows

    def events(self, person: Person) -> list[str]:
        """What happened to a person, oldest first."""
        kinds: list[str] = self.do(
            "from tokens.models import SecurityEvent\n"
            "events = SecurityEvent.objects.filter(user__email=email).order_by('id')\n"
            "result = list(events.values_list('kind', flat=True))",
            email=person.email,
        )
        return kinds

    def mails(self, person: Person) -> list[dict[str, str]]:
        """The mails that a person was sent, oldest first, those on their way included."""
        mails: list[dict[str, str]] = self.do(
            "from django.core import mail\n"
            "from accounts import mail as ours\n"
            "for done in [ours._pool.submit(lambda: None) for _ in range(20)]: done.result()\n"
            "result = [\n"
            "    {'subject': m.subject, 'text': m.body,\n"
            "     'html': next((str(c) for c, _ in getattr(m, 'alternatives', [])), '')}\n"
            "    for m in getattr(mail, 'outbox', []) if email in m.to\n"
            "]",
            email=person.email,
        )
        return mails


@contextmanager
def served(database_url: str, certificate: Certificate, host: str = "app.test", **environment: str) -> Iterator[Site]:
    """Serve the project. ``environment``: more of what its settings read; with ORIGIN, for a proxy that has the TLS."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.browser.serve", host, certificate.path, certificate.key_path],
        cwd=ROOT,
        env=_environment(database_url, **environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Site(process, host, environment.get("ORIGIN", ""))
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def migrate(database_url: str) -> None:
    """Make the project's tables."""
    command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
    subprocess.run(command, cwd=ROOT, env=_environment(database_url, DEBUG="true"), check=True)


def _environment(database_url: str, **more: str) -> dict[str, str]:
    # Nothing of this process's own settings, nor of this machine's.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    given = {
        "DJANGO_SETTINGS_MODULE": "tests.browser.settings",
        "DATABASE_URL": database_url,
        "DEBUG": "false",
        "SECRET_KEY": SECRET_KEY,
        "TOKENS_THROTTLES": "off",  # All tests come from one address, and more often than people.
    }
    return {**kept, **given, **more}
