"""The project over TLS, served by a separate process on a PostgreSQL of this test run, for real browsers to visit."""

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

from tests.clients.projects import ROOT, Server, clean_environment, started

SECRET_KEY = "the secret of a site that browsers visit, as long as it has to be"
HOSTS = ("app.test", "*.app.test", "example.test", "*.example.test", "*.example.org", "evil.test")
"""Names that the tests' browser resolves to this machine. `example.test` has a host for each part of a site.

For WebKit two hosts are one site only below a public suffix, such as ``.org``.
"""
PASSWORD = "a password of somebody's"
THREE_MODES = {"TOKENS_MODES": "cookie,scoped,body"}
"""The variables for the settings of a site whose clients choose their storage mode."""
UNBOUND = {"TOKENS_DEVICE_BOUND": "off"}
"""The variables for a site whose sessions are refreshed by rotation in every browser."""


class Certificate:
    """One certificate for all hosts, and the digest (``spki``) by which the tests' browser is told to accept it.

    ``authority_path``: the certificate of the authority that signed it, for clients that verify certificates.
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
    """A user's credentials."""

    email: str
    password: str = PASSWORD


class Site(Server):
    """A process that serves the project at `origin`, and runs the code that a test sends it (`do`)."""

    def __init__(self, process: Any, host: str, origin: str = "") -> None:
        super().__init__(process)
        self.host = host
        self.origin = origin or f"https://{host}:{self.port}"
        self.binds = False
        """Whether the browser of the tests binds its sessions at this site to keys."""

    def new_person(self, **fields: Any) -> Person:
        """Create a user who has never signed in. ``fields``: of the model, such as ``is_superuser``."""
        person = Person(f"somebody-{uuid4().hex[:12]}@{self.host}")
        self.do(
            "from accounts.models import User\nUser.objects.create_user(email, password, **fields)",
            email=person.email,
            password=person.password,
            fields=fields,
        )
        return person

    def forward(self, seconds: float) -> None:
        """Move the clock of this site forward, or back. The browser's clock does not move."""
        self.do("forward(seconds)", seconds=seconds)

    @contextmanager
    def replaced(self, name: str, code: str, **names: Any) -> Iterator[None]:
        """Replace an attribute of a class or module in this process for the length of a block.

        ``code`` imports the class or module as ``owner``, and defines ``new``. ``new.old`` is the original.
        """
        self.do(f"{code}\nnew.old = owner.{name}\nowner.{name} = new", **names)
        try:
            yield
        finally:
            self.do(f"{code}\nowner.{name} = owner.{name}.old", **names)

    def down(self) -> Any:
        """Let every query for a session fail during a block: a refresh is answered with 503 and Retry-After."""
        return self.replaced(
            "for_decision",
            "from django.db import OperationalError\n"
            "from tokens.models import RefreshTokenQuerySet as owner\n"
            "def new(self): raise OperationalError('down')",
        )

    @contextmanager
    def lose_answers(self, path: str) -> Iterator[None]:
        """Process requests for this path during a block, but cut the connection instead of answering."""
        self.do("wire.lose(path)", path=path)
        try:
            yield
        finally:
            lost = self.deliver()
        assert lost >= 1

    @contextmanager
    def stand_in(self, path: str, status: int = 0) -> Iterator[None]:
        """Answer requests for this path during a block like a proxy that cannot reach the application.

        ``status``: of its answer, or 0 to cut the connection.
        """
        self.do("wire.stand_in(path, status)", path=path, status=status)
        try:
            yield
        finally:
            self.deliver()

    def hold_answers(self, path: str) -> None:
        """From now on process requests for this path, and delay their answers until `deliver` is called."""
        self.do("wire.hold(path)", path=path)

    def wait_until_held(self) -> None:
        """Wait until an answer is held."""
        assert self.do("result = wire.wait_until_held()"), "no request came"

    def deliver_to_nobody(self) -> None:
        """Wait until the browser has closed the connections of the held answers, and deliver these."""
        assert self.do("result = wire.wait_until_nobody_listens()"), "the browser still waits"
        self.deliver()

    def deliver(self) -> int:
        """Deliver the held answers, answer normally from now on, and return how many answers were lost."""
        return self.do("result = wire.lost; wire.deliver()")

    def revoke(self, person: Person, reason: str = "ENDED_BY_STAFF") -> None:
        """End all sessions of a user, as an administrator does."""
        self.do(
            "from tokens.models import RefreshToken\n"
            "from tokens.service.revocation import revoke_all\n"
            "revoke_all(RefreshToken.objects.filter(user__email=email), RefreshToken.Reason[reason])",
            email=person.email,
            reason=reason,
        )

    def sessions(self, person: Person) -> list[dict[str, Any]]:
        """Return the rows of a user's sessions, oldest first."""
        return self.do(
            "from tokens.models import RefreshToken\n"
            "rows = RefreshToken.objects.filter(user__email=email).order_by('id')\n"
            "columns = 'id', 'mode', 'generation', 'revoked_reason', 'bound_at', 'device__name', 'remember'\n"
            "result = list(rows.values(*columns))",
            email=person.email,
        )

    def generations(self, person: Person) -> list[int]:
        """Return the generation of each of a user's sessions, oldest first: how often it was rotated."""
        return [row["generation"] for row in self.sessions(person)]

    def reasons(self, person: Person) -> list[str]:
        """Return why each of a user's sessions was revoked, oldest first; "" if it was not."""
        return [row["revoked_reason"] for row in self.sessions(person)]

    def events(self, person: Person) -> list[str]:
        """Return the kinds of a user's security events, oldest first."""
        return self.do(
            "from tokens.models import SecurityEvent\n"
            "events = SecurityEvent.objects.filter(user__email=email).order_by('id')\n"
            "result = list(events.values_list('kind', flat=True))",
            email=person.email,
        )

    def mails(self, person: Person) -> list[dict[str, str]]:
        """Return the mails to a user, oldest first, including those that are still being sent."""
        return self.do(
            "from django.core import mail\n"
            "from accounts import delivery as ours\n"
            "for done in [ours._pool.submit(lambda: None) for _ in range(20)]: done.result()\n"
            "result = [\n"
            "    {'subject': m.subject, 'text': m.body,\n"
            "     'html': next((str(c) for c, _ in getattr(m, 'alternatives', [])), '')}\n"
            "    for m in getattr(mail, 'outbox', []) if email in m.to\n"
            "]",
            email=person.email,
        )


@contextmanager
def served(database_url: str, certificate: Certificate, host: str = "app.test", **environment: str) -> Iterator[Site]:
    """Serve the project. ``environment``: more variables for its settings; with ORIGIN, a proxy does the TLS."""
    command = [sys.executable, "-m", "tests.browser.serve", host, certificate.path, certificate.key_path]
    with started(command, ROOT, _environment(database_url, **environment)) as process:
        yield Site(process, host, environment.get("ORIGIN", ""))


def migrate(database_url: str) -> None:
    """Create the project's tables."""
    command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
    subprocess.run(command, cwd=ROOT, env=_environment(database_url, DEBUG="true"), check=True)


def _environment(database_url: str, **more: str) -> dict[str, str]:
    given = {
        "DJANGO_SETTINGS_MODULE": "tests.browser.settings",
        "DATABASE_URL": database_url,
        "DEBUG": "false",
        "SECRET_KEY": SECRET_KEY,
        "TOKENS_THROTTLES": "off",  # All tests come from one address, more often than users do.
    }
    return clean_environment(**{**given, **more})
