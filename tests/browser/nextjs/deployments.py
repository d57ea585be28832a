"""A Next.js app, with Latchkey behind it and nginx in front: three processes, one origin."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.browser.nextjs.fresh import NEXT, npm, packed, running
from tests.browser.proxies import nginx_started, reserved_port
from tests.browser.sites import Certificate, Site, served
from tests.programs import free_port
from tests.scale.cluster import HOST, Front, suspended

SOURCE = Path(__file__).parents[2] / "clients" / "nextjs"
NGINX = Path(__file__).with_name("nginx.conf")
ELSEWHERE = "127.0.0.9"
"""An address of this machine that no proxy has. Requests from it look like those of a client elsewhere."""


@contextmanager
def built(version: str, folder: Path) -> Iterator[Path]:
    """Install and build the app for a major version of Next.js, once for all workers that share ``folder``.

    The last worker that uses it deletes it: it has some hundred megabytes.
    """
    app = folder / f"nextjs-{version}"
    with (folder / f"{app.name}.lock").open("w") as lock, (folder / f"{app.name}.users").open("w") as users:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (app / ".next" / "BUILD_ID").exists():
            _build(version, app)
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(lock, fcntl.LOCK_UN)
        try:
            yield app
        finally:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(app)


def _build(version: str, app: Path) -> None:
    """Combine the files of both versions with those of this version, and build the app."""
    shutil.rmtree(app, ignore_errors=True)
    shutil.copytree(SOURCE, app, ignore=shutil.ignore_patterns("[0-9]*", "node_modules", ".next"))
    shutil.copytree(SOURCE / version, app, dirs_exist_ok=True)
    npm("npm", "ci", "--no-audit", "--no-fund", folder=app)
    with TemporaryDirectory() as folder:
        npm("npm", "install", "--no-audit", "--no-fund", "--no-save", str(packed(Path(folder))), folder=app)
    npm(*NEXT, "build", folder=app)


class Deployment:
    """The app at `origin`. `site` is the Latchkey behind it, which gets requests only from its proxies.

    ``front``: nginx, as a client elsewhere reaches it.
    """

    def __init__(self, front: Front, serve: Callable[[], AbstractContextManager[Site]], stack: ExitStack) -> None:
        self.front, self.origin = front, f"https://{HOST}:{front.port}"
        self._serve, self._stack = serve, stack
        self.site = stack.enter_context(serve())

    @contextmanager
    def auth_server_gone(self) -> Iterator[None]:
        """Stop Latchkey during a block, and start it afterwards with the same database."""
        self._stack.close()
        try:
            yield
        finally:
            self.site = self._stack.enter_context(self._serve())

    def auth_server_hanging(self) -> AbstractContextManager[None]:
        """Suspend Latchkey's process during a block: it accepts connections, and answers nothing."""
        return suspended(psutil.Process(self.site.do("import os; result = os.getpid()")))


@contextmanager
def deployed(
    app: Path, folder: Path, database_url: str, certificate: Certificate, **environment: str
) -> Iterator[Deployment]:
    """Run all three processes. ``folder``: where nginx may write. ``environment``: that of Latchkey."""
    with reserved_port() as port, reserved_port() as auth_port, ExitStack() as stack:
        front = Front(port, certificate, ELSEWHERE)
        behind_proxies = {
            "ORIGIN": f"https://{HOST}:{port}",
            "LISTEN": str(auth_port),
            "ALLOWED_HOSTS": f"{HOST},127.0.0.1",
            "TRUSTED_PROXIES": "127.0.0.1",
            **environment,
        }
        deployment = Deployment(front, partial(served, database_url, certificate, HOST, **behind_proxies), stack)
        next_port = free_port()
        # Otherwise it also listens at an address of IPv6, and names the proxy in front of it by one.
        here = ("--hostname", "127.0.0.1")
        servers = {"ORIGIN": deployment.origin, "AUTH_SERVER": f"http://127.0.0.1:{auth_port}"}
        with (
            running(app, "start", next_port, *here, **servers),
            nginx_started(NGINX, folder, certificate, PORT=port, NEXT=next_port),
        ):
            yield deployment
