"""Glewlwyd, a server for OAuth 2.0 and OpenID Connect in C, from Debian's package. See `projects/glewlwyd`."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from tests.benchmarks.platforms import Examined, Platform
from tests.benchmarks.projects.populate import PASSWORD, address
from tests.clients.projects import clean_environment
from tests.programs import free_port
from tests.scale.cluster import Node, running, wait_for

SOURCE = Path(__file__).parent / "projects" / "glewlwyd"
TABLES = Path("/usr/share/dbconfig-common/data/glewlwyd/install")
"""The package's own scripts, of which one creates the tables and one the rows of a new installation."""
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
_USERS = """
    WITH people AS (INSERT INTO g_user (gu_username) SELECT unnest(%s::text[]) RETURNING gu_id),
        passwords AS (INSERT INTO g_user_password (gu_id, guw_password) SELECT gu_id, crypt(%s, '') FROM people)
    INSERT INTO g_user_scope_user (gu_id, gus_id)
        SELECT gu_id, gus_id FROM people, g_user_scope WHERE gus_name = 'openid'
"""


class Glewlwyd(Platform):
    """One process with many threads, and one connection to the database. It has a single project.

    Its threads ask for the number of a new row (``lastval()``) in a second statement, so a thread may get the number of
    another's row. Then a request fails with the status 500. Therefore it is sent one request after the other.
    """

    connections = 1

    @property
    def missing(self) -> str:
        found = shutil.which("glewlwyd") and FAKETIME
        return "" if found else "Glewlwyd or libfaketime: apt-get install --no-install-recommends glewlwyd libfaketime"

    @property
    def versions(self) -> dict[str, str]:
        command = ["dpkg-query", "--show", "--showformat=${Version}", "glewlwyd"]
        return {"Glewlwyd": subprocess.run(command, capture_output=True, check=True, text=True).stdout}

    def environment(self, project: str) -> dict[str, str]:
        return {}

    def populate(self, users: int, environment: Mapping[str, str]) -> None:
        with psycopg.connect(environment["DATABASE_URL"]) as connection:
            for path in (SOURCE / "before.sql", TABLES / "pgsql", TABLES / "postgre.default.sql", SOURCE / "after.sql"):
                connection.execute(path.read_text())  # type: ignore[call-overload]
            connection.execute(_USERS, [[address(number) for number in range(users)], PASSWORD])

    @contextmanager
    def started(self, environment: Mapping[str, str], folder: Path) -> Iterator[Node]:
        with _served(environment["DATABASE_URL"], folder) as node:
            yield node

    @contextmanager
    def examined(self, environment: Mapping[str, str]) -> Iterator[Examined]:
        """Serve it with the clock of libfaketime, which is in a file. The database's clock is in a table."""
        url = environment["DATABASE_URL"]
        with TemporaryDirectory(prefix="latchkey-") as name, psycopg.connect(url, autocommit=True) as connection:
            folder = Path(name)
            connection.execute((SOURCE / "clock.sql").read_text())
            clock = folder / "clock"
            clock.write_text("+0")
            variables = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
            with _served(url, folder, **variables) as node:
                yield _Examined(node, clock, connection)


class _Examined(Examined):
    def __init__(self, node: Node, clock: Path, connection: psycopg.Connection[Any]) -> None:
        self.port, self._clock, self._connection = node.port, clock, connection

    def forward(self, seconds: float) -> None:
        query = "UPDATE clock SET ahead = ahead + make_interval(secs => %s) RETURNING extract(epoch FROM ahead)"
        [[ahead]] = self._connection.execute(query, [seconds])
        new = self._clock.with_suffix(".new")
        new.write_text(f"+{ahead}")
        new.rename(self._clock)  # The process must not read half of the file.


@contextmanager
def _served(url: str, folder: Path, **variables: str) -> Iterator[Node]:
    """``variables``: of its environment. ``folder``: for the log."""
    with TemporaryDirectory(prefix="latchkey-") as own:
        port, path = free_port(), Path(own) / "glewlwyd.conf"
        (empty := Path(own) / "middleware").mkdir()
        words = {"PORT": port, "DATABASE": url, "EMPTY": empty}
        path.write_text(Template((SOURCE / "glewlwyd.conf").read_text()).substitute(words))
        command, env = ["glewlwyd", f"--config-file={path}"], clean_environment(**variables)
        with (folder / "log").open("ab") as log, running(command, env=env, stdout=log, stderr=log) as process:
            node = Node(port, process)
            wait_for(node.listens, "Glewlwyd")
            yield node
