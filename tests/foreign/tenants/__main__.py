"""Run a project with django-tenants: two tenants by host name, two processes, one PostgreSQL. Print what was seen.

python -m tests.foreign.tenants [--asgi]

The same user has the same primary key in both schemas. What is signed in at one tenant must be nobody at the other, in
both processes, and a revocation must be heard in both, at its own tenant only.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

from tests.foreign import suites
from tests.foreign.suites import ROOT
from tests.postgresql import start_server
from tests.programs import completed, free_port

FIRST, SECOND = NAMES = "first", "second"
PASSWORD = "correct horse battery staple"
PATIENCE = 30
"""Seconds after which what must become true has failed."""

MAKE_TENANTS = f"""
from django.contrib.auth import get_user_model
from django_tenants.utils import schema_context
from tests.foreign.tenants.models import Domain, Shop
for name in {NAMES!r}:
    shop = Shop.objects.create(schema_name=name, name=name)
    Domain.objects.create(domain=name + ".localhost", tenant=shop, is_primary=True)
    with schema_context(name):
        get_user_model().objects.create_user("ada", password={PASSWORD!r})
"""
CHANGE_USER = """
from django.contrib.auth import get_user_model
from django_tenants.utils import schema_context
with schema_context("first"):
    get_user_model().objects.update(is_active={})
"""


class Browser:
    """A client of one tenant, with its cookies. Each request names the process that it is sent to."""

    def __init__(self, tenant: str, cookies: dict[str, str] | None = None) -> None:
        self.tenant, self.cookies = tenant, dict(cookies or {})

    def ask(self, method: str, path: str, port: int, body: Any = None) -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        headers = {"Host": f"{self.tenant}.localhost", "Content-Type": "application/json"}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
        for line in response.headers.get_all("Set-Cookie", ()):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        connection.close()
        return response.status, json.loads(text) if text.startswith(b"{") else None

    def text(self, path: str, port: int) -> bytes:
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", path, headers={"Host": f"{self.tenant}.localhost"})
        return connection.getresponse().read()

    def sign_in(self, port: int) -> None:
        status, said = self.ask("POST", "/api/auth/login", port, {"username": "ada", "password": PASSWORD})
        assert status == 200, said

    def me(self, port: int) -> int:
        return self.ask("GET", "/who", port)[0]

    def refresh(self, port: int) -> int:
        return self.ask("POST", "/api/auth/refresh", port)[0]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="latchkey-") as scratch:
        packages = Path(scratch) / "packages"
        suites.install(["django-tenants"], packages)
        url, server = start_server()
        environment = {
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "tests.foreign.tenants.settings",
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, packages, scratch))),
        }
        try:
            return run(environment, Path(scratch))
        finally:
            server.cleanup()


def run(environment: dict[str, str], scratch: Path) -> int:
    (scratch / "migrations_of_tenants").mkdir()
    (scratch / "migrations_of_tenants" / "__init__.py").touch()

    def manage(*arguments: str, **more: str) -> str:
        done = completed(sys.executable, "-m", "django", *arguments, env={**environment, **more}, cwd=scratch)
        return done.stdout + done.stderr

    seen: list[tuple[str, bool]] = []

    def see(what: str, is_so: bool) -> None:
        seen.append((what, is_so))
        print(f"{'yes' if is_so else 'NO ':<4}{what}", flush=True)

    manage("makemigrations", "tenants")
    manage("migrate_schemas", "--shared")
    manage("shell", "-c", MAKE_TENANTS)
    see("a check warns as long as nothing names the tenant", "tokens.W054" in manage("check"))
    environment["HOOK"] = "1"
    see("and is silent with TENANT_HOOK", "tokens.W054" not in manage("check", "--database", "default"))
    servers = [Server(environment, is_asgi="--asgi" in sys.argv) for _ in range(2)]
    try:
        look(see, [server.port for server in servers], manage)
    finally:
        for each in servers:
            each.stop()
    print(f"{sum(is_so for _, is_so in seen)} of {len(seen)} as expected")
    return int(not all(is_so for _, is_so in seen))


def look(see: Callable[[str, bool], None], ports: list[int], manage: Callable[..., str]) -> None:
    """Ask both processes, and tell ``see`` what they answer."""

    def answers(browser: Browser) -> list[int]:
        return [browser.me(port) for port in ports]

    def become(browser: Browser, expected: int) -> bool:
        until = time.monotonic() + PATIENCE
        while answers(browser) != [expected] * len(ports):
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True

    mine, other = Browser(FIRST), Browser(SECOND)
    mine.sign_in(ports[0])
    other.sign_in(ports[1])
    see("each is signed in at its own tenant, in both processes", answers(mine) == answers(other) == [200, 200])
    strays = [Browser(SECOND, mine.cookies), Browser(FIRST, other.cookies)]
    see("its cookies are nobody at the other", all(answers(stray) == [401, 401] for stray in strays))
    refresh = {name: value for name, value in mine.cookies.items() if name.endswith("refresh")}
    strays = [Browser(SECOND, refresh) for _ in ports]
    time.sleep(3)  # A new refresh token is replaced only after ACKNOWLEDGE_AFTER.
    see(
        "its refresh token is not refreshed there",
        [stray.refresh(port) for stray, port in zip(strays, ports, strict=True)] == [401, 401],
    )
    see("and is refreshed at its own", mine.refresh(ports[1]) == other.refresh(ports[0]) == 200)
    time.sleep(3)
    # From the second refresh on one statement does it, which is the first one of its request.
    turns = [(browser.refresh(port), browser.me(port)) for port in ports * 5 for browser in (mine, other)]
    see("also when both take turns in one process", set(turns) == {(200, 200)})
    time.sleep(3)
    stray = Browser(SECOND, {name: value for name, value in mine.cookies.items() if name.endswith("refresh")})
    mine.me(ports[0])
    see("and not at the other when that is the next request", stray.refresh(ports[0]) == 401)
    keys = [browser.ask("GET", "/.well-known/jwks.json", ports[0])[1] for browser in (mine, other)]
    see("the public keys differ", keys[0] != keys[1])
    mine.ask("POST", "/api/auth/logout", ports[0])
    see("a sign-out ends the session of its tenant", answers(mine) == [401, 401])
    see("and no other", answers(other) == [200, 200])
    mine.sign_in(ports[0])
    assert answers(mine) == [200, 200]
    manage("tenant_command", "revoke_sessions", "--schema=first", "--user=ada", "--no-input")
    see("a command for one tenant revokes there, and both processes hear of it", become(mine, 401))
    see("and nothing changes for the other", answers(other) == [200, 200])
    mine.sign_in(ports[1])
    assert answers(mine) == [200, 200]
    manage("shell", "-c", CHANGE_USER.format(False))
    see("a user who is deactivated by a queryset is out in both processes", become(mine, 401))
    see("and the same user stays signed in at the other", answers(other) == [200, 200])
    manage("shell", "-c", CHANGE_USER.format(True))
    purged = [manage("all_tenants_command", "purge_tokens"), manage("tenant_command", "purge_tokens", "--schema=first")]
    see(
        "the health check passes without our tables in the public schema",
        mine.ask("GET", "/health/ready", ports[0])[0] == 200,
    )
    see("and the metrics say that the database is up", b"latchkey_database_up 1.0" in mine.text("/metrics", ports[0]))
    see("the purge runs for all tenants, and for one", all("eleted" in text for text in purged))


class Server:
    """A process that serves the project."""

    def __init__(self, environment: dict[str, str], *, is_asgi: bool) -> None:
        self.port = free_port()
        wsgi = "django", "runserver", "--noreload", "--nothreading", f"127.0.0.1:{self.port}"
        asgi = "uvicorn", "--factory", "django.core.asgi:get_asgi_application", "--port", str(self.port)
        command = [sys.executable, "-m", *(asgi if is_asgi else wsgi)]
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + PATIENCE
        while socket.socket().connect_ex(("127.0.0.1", self.port)):
            if time.monotonic() > until or self._process.poll() is not None:
                raise SystemExit("The server did not start.")
            time.sleep(0.1)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


if __name__ == "__main__":
    sys.exit(main())
