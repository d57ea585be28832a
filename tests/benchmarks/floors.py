"""What nothing can be below: a view that asks for nobody, and the rotation as one SQL statement, sent by pgbench."""

import math
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.peers import Client, Peer, Request, Response
from tests.benchmarks.servers import Postgres, run

PROJECTS = "tests.benchmarks.projects"


class Anybody(Client):
    """Asks for what everybody is given. Where others refresh, it posts."""

    def sign_in(self, email: str, password: str) -> Request:
        return self.ask()

    def ask(self) -> Request:
        return Request("GET", "/bare")

    def refresh(self) -> Request:
        return Request("POST", "/bare-post", {"Content-Type": "application/json"}, b"{}")

    def take(self, response: Response) -> None:
        pass


BARE = Peer("bare view", f"{PROJECTS}.bare.settings", Anybody, refreshes=True, rotates=False)

_ID = "lpad(to_hex({}), 32, '0')::uuid"
_FILL = f"""
    SET session_replication_role = replica;  -- Nobody is looked up who would own them.
    INSERT INTO tokens_refreshtoken (
        id, user_id, device_id, mode, secret_digest, generation, since, recovered, recoveries, acknowledged, created_at,
        authenticated_at, authentication_methods, remember, idle_expires_at, expires_at, auth_hash_digest, ip,
        user_agent_digest, revoked_reason)
    SELECT {_ID.format("n")}, {_ID.format("n")}, {_ID.format("n")}, 'cookie', sha256('secret'), 1, now(), 0, 0, false,
        now(), now(), '["pwd"]', true, now() + '14 days', now() + '30 days',
        sha256('stamp'), '127.0.0.1', substr(sha256('Firefox'), 1, 8), ''
    FROM generate_series(1, {{sessions}}) n
"""  # noqa: S608
_ROTATE = f"""
\\set n random(1, {{sessions}})
UPDATE tokens_refreshtoken SET generation = generation + 1, since = now(), recovered = 0, recoveries = 0,
    acknowledged = false, idle_expires_at = now() + '14 days', ip = '127.0.0.1'
WHERE id = {_ID.format(":n::int")} AND revoked_at IS NULL;
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Statement:
    """``database_cpu``: milliseconds for each."""

    per_second: float
    database_cpu: float


class Rotation:
    """Latchkey's table in a database of its own, and nothing between it and pgbench."""

    def __init__(self, postgres: Postgres, sessions: int, folder: Path) -> None:
        self._postgres = postgres
        self._count, self._seconds, self._cpu = 0, 0.0, 0.0
        self._script = folder / "rotation.sql"
        self._script.write_text(_ROTATE.format(sessions=sessions))
        postgres.create("rotation")
        environment = {
            "DJANGO_SETTINGS_MODULE": f"{PROJECTS}.latchkey.settings",
            "DATABASE_URL": postgres.url("rotation"),
        }
        run(f"{PROJECTS}.populate", "0", **environment)
        postgres.ask("rotation", _FILL.format(sessions=sessions))
        postgres.ask("rotation", "VACUUM ANALYZE tokens_refreshtoken")

    def work(self, seconds: float, connections: int) -> None:
        """Have one slice. Like Latchkey, wait for no flush. pgbench knows whole ``seconds`` only."""
        options = (f"--time={math.ceil(seconds)}", f"--client={connections}", "--no-vacuum", "--protocol=prepared")
        command = [self._postgres.programs / "pgbench", *options, f"--file={self._script}"]
        url = f"{self._postgres.url('rotation')}&options=-csynchronous_commit%3Doff"
        before = self._postgres.cpu
        text = subprocess.run([*command, url], capture_output=True, check=True, text=True).stdout
        self._cpu += self._postgres.cpu - before
        count = int(_found(r"number of transactions actually processed: (\d+)", text))
        self._count += count
        self._seconds += count / float(_found(r"tps = ([\d.]+)", text))

    def statement(self) -> Statement:
        """What the slices add up to."""
        return Statement(self._count / self._seconds, self._cpu / self._count * 1000)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]
