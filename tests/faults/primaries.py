"""A site whose users are divided over two primaries, built from the blocks of `docs/how-to/several-primaries.md`.

nginx sends a request to the node of its primary, and any other request to both nodes in turn. The nodes connect to the
primaries directly.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from email import message_from_bytes, policy
from getpass import getuser
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.browser.proxies import nginx_running, reserved_port
from tests.browser.sites import Certificate
from tests.clients.projects import Answer, Server
from tests.docs.blocks import Block, block, blocks
from tests.faults.site import ENVIRONMENT
from tests.programs import completed
from tests.scale.cluster import (
    DEPLOY,
    HOST,
    PASSWORD,
    ROOT,
    Database,
    Front,
    environment_of_nodes,
    node_started,
    primary_started,
    wait_for,
)
from tests.scale.people import Account, Browser

PAGE = "docs/how-to/several-primaries.md"
MODULES = [block(PAGE, f"# primaries/{name}.py") for name in ("places", "models", "middleware")]
SETTINGS = block(PAGE, "# settings.py, with two primaries")
[COMMANDS] = blocks(PAGE, "sh")
[NGINX] = blocks(PAGE, "nginx")
MOVE_IN = block(PAGE, "# Once, in a shell with the new settings")
FIRST, SECOND = NAMES = "default", "second"
MAIL_LINK = re.compile(r"https://\S+token=\S+")


class Person(Browser):
    """A browser of somebody, in which they can sign in."""

    def __init__(self, origin: str, address: str) -> None:
        super().__init__(origin)
        self.account = Account(origin, email=address)

    def anew(self) -> "Person":
        """Return a new browser of the same person, without cookies."""
        return Person(self.origin, self.account.email)

    def enter(self, at: Server) -> Answer:
        return self.try_to_sign_in(at, self.account)


class DividedSite:
    """``servers``: PostgreSQL's, by the names of the primaries. ``front``: nginx. ``nodes``: one for each primary."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._folder, self._mails = folder, folder / "mails"
        certificate = Certificate(folder)
        https, *ports = (stack.enter_context(reserved_port()) for _ in range(3))
        with ThreadPoolExecutor() as pool:
            started = [pool.submit(stack.enter_context, primary_started()) for _ in NAMES]
            self.servers: dict[str, Database] = dict(zip(NAMES, (each.result() for each in started), strict=True))
        urls = [f"postgres://latchkey:{PASSWORD}@/latchkey?host={server.folder}" for server in self.servers.values()]
        self.origin = f"https://{HOST}:{https}"
        given = {
            **ENVIRONMENT,
            "PYTHONPATH": os.pathsep.join(map(str, (folder, ROOT))),
            "DJANGO_SETTINGS_MODULE": "divided_settings",
            "DATABASE_URL": urls[0],
            "SECOND_URL": urls[1],
            "DATABASE_POOL": "8",
            "EMAIL_URL": f"filemail://{self._mails}",
        }
        self.environment = environment_of_nodes(self.origin, **given)
        self._write_project()
        self.command("makemigrations", "primaries")
        migrations = [line.split() for line in COMMANDS.text.splitlines() if " migrate " in line]
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda words: self.command(*words[2:], **dict([words[0].split("=")])), migrations))
            nodes = {
                name: pool.submit(stack.enter_context, node_started(port, {**self.environment, "PRIMARY": name}))
                for name, port in zip(NAMES, ports, strict=True)
            }
            self.nodes = {name: node.result() for name, node in nodes.items()}
        self._configure_nginx(certificate, https, *ports)
        stack.enter_context(nginx_running(folder))
        self.front = Front(https, certificate)

    def _write_project(self) -> None:
        package = self._folder / "primaries"
        package.mkdir()
        (package / "__init__.py").touch()
        for module in MODULES:
            (self._folder / module.first.removeprefix("# ")).write_text(module.text)
        names = "database_settings, postgresql, whole_number"
        lines = ("from config.environment import " + names, "from tests.faults.settings import *", SETTINGS.text)
        (self._folder / "divided_settings.py").write_text("\n".join(lines))

    def _configure_nginx(self, certificate: Certificate, https: int, *ports: int) -> None:
        text = (DEPLOY / "nginx.conf.template").read_text()
        for old, new in (("    server {\n", f"{NGINX.text}    server {{\n"), ("http://nodes", "http://$nodes")):
            assert text.count(old) == 1
            text = text.replace(old, new)
        words = {"NGINX_USER": getuser(), "CERTIFICATE": certificate.path, "KEY": certificate.key_path}
        addresses = zip(("HTTPS", "NODE_A", "NODE_B"), (https, *ports), strict=True)
        words |= {name: f"127.0.0.1:{port}" for name, port in addresses}
        (self._folder / "nginx.conf").write_text(Template(text).safe_substitute(words, ERROR_LOG="error.log"))

    def command(self, *arguments: str, **environment: str) -> str:
        """Run a command of `manage.py`, and return what it prints."""
        variables = {**self.environment, **environment}
        return completed(sys.executable, "-m", "django", *arguments, cwd=self._folder, env=variables).stdout

    def addresses(self) -> dict[str, list[str]]:
        """Return some addresses by their homes."""
        code = "import json; from primaries.places import home_of; "
        code += "print(json.dumps([(home_of(a), a) for a in (f'user-{i}@app.test' for i in range(40))]))"
        found: dict[str, list[str]] = {name: [] for name in NAMES}
        for home, address in json.loads(self.command("shell", "--no-imports", "-c", code).splitlines()[-1]):
            found[home].append(address)
        return found

    def link_to(self, address: str) -> str:
        """Wait for a mail with a link to this address, and return the token of the newest one."""
        found: str = wait_for(lambda: self._newest_link(address), f"a mail to {address}")
        return found

    def _newest_link(self, address: str) -> str | None:
        # A thread of the node writes the mails after the answer.
        for path in sorted(self._mails.glob("*"), key=lambda path: path.stat().st_mtime_ns, reverse=True):
            for text in reversed(path.read_bytes().split(b"-" * 79)):
                mail: Any = message_from_bytes(text.lstrip(), policy=policy.default)
                body = mail.get_body(("plain",)) if mail["To"] == address else None
                if body is not None and (link := MAIL_LINK.search(body.get_content())):
                    return parse_qs(urlsplit(link[0]).query)["token"][0]
        return None

    def register(self, address: str) -> Person:
        """Register as a person does, and confirm the address in a browser without cookies. Return a third browser."""
        person = Person(self.origin, address)
        given = {"email": address, "password": person.account.password}
        assert person.post_json(self.front, "/api/auth/register", given).status == 202
        confirmed = {"token": self.link_to(address), "password": given["password"]}
        answer = person.anew().post_json(self.front, "/api/auth/email/confirm", confirmed)
        assert answer.status == 204, answer.text
        return person.anew()


def runs_blocks() -> list[Block]:
    return [*MODULES, SETTINGS, COMMANDS, NGINX, MOVE_IN]


@contextmanager
def divided(folder: Path) -> Iterator[DividedSite]:
    with ExitStack() as stack:
        yield DividedSite(stack, folder)
