"""Better Auth on Node.js: its packages from npm, and the processes of the project in `projects/better_auth`.

The packages and a copy of the project are in a folder outside of the checkout, because Node.js looks for packages
beside the files that import them. The folder's name depends on the project's files: each version of them has its own.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tests.benchmarks.platforms import Examined, Platform
from tests.clients.projects import clean_environment, started
from tests.programs import free_port
from tests.scale.cluster import Node, running, wait_for

SOURCE = Path(__file__).parent / "projects" / "better_auth"
SECONDS = 600
"""How long npm may take."""


class NodeJS(Platform):
    """One process of Node.js for each project. ``project``: ``cookie_cache``, or another name without that cache."""

    warm_up, warm_ups = 2.0, 3  # V8 compiles what runs often: the first thousand requests cost twice as much.

    @property
    def missing(self) -> str:
        absent = [program for program in ("node", "npm") if shutil.which(program) is None]
        return f"{', '.join(absent)}: Node.js 20 or newer with npm" if absent else ""

    @property
    def versions(self) -> dict[str, str]:
        text = subprocess.run(["node", "--version"], capture_output=True, check=True, text=True).stdout
        return {"Node.js": text.strip().removeprefix("v"), **_manifest()["dependencies"]}

    def environment(self, project: str) -> dict[str, str]:
        cached = {"COOKIE_CACHE": "yes"} if project == "cookie_cache" else {}
        return {"NODE_ENV": "production", **cached}

    def populate(self, users: int, environment: Mapping[str, str]) -> None:
        command = ["node", "populate.mjs", str(users)]
        subprocess.run(command, cwd=_installed(), env=clean_environment(**environment), check=True)

    @contextmanager
    def started(self, environment: Mapping[str, str], folder: Path) -> Iterator[Node]:
        port = free_port()
        with (folder / "log").open("ab") as log:
            variables = clean_environment(**environment, PORT=str(port))
            options = {"cwd": _installed(), "env": variables, "stdout": log, "stderr": log}
            with running(["node", "server.mjs"], **options) as process:
                node = Node(port, process)
                wait_for(node.listens, "Node.js")
                yield node

    @contextmanager
    def examined(self, environment: Mapping[str, str]) -> Iterator[Examined]:
        with started(["node", "examined.mjs"], _installed(), clean_environment(**environment)) as process:
            yield _Examined(process)


class _Examined(Examined):
    def forward(self, seconds: float) -> None:
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


def _manifest() -> dict[str, dict[str, str]]:
    return json.loads((SOURCE / "package.json").read_text())  # type: ignore[no-any-return]


@cache
def _installed() -> Path:
    """Return the folder of the project with its packages. At first use npm installs them."""
    files = sorted(path for path in SOURCE.iterdir() if path.suffix in {".json", ".mjs"})
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "latchkey-benchmarks"
    folder = caches / f"better-auth-{digest[:16]}"
    if not folder.exists():
        caches.mkdir(parents=True, exist_ok=True)
        made = Path(mkdtemp(dir=caches))
        for path in files:
            shutil.copy(path, made)
        _install(made)
        try:
            made.rename(folder)  # Whole or not at all.
        except OSError:  # Another process has done the same meanwhile.
            assert folder.exists()
            shutil.rmtree(made)
    return folder


def _install(folder: Path) -> None:
    """Let npm install the packages that the folder's manifest names. Delete the folder if that fails."""
    settings = ("NPM_CONFIG_", "NODE_EXTRA_CA_CERTS")
    kept = {name: value for name, value in os.environ.items() if name.upper().startswith(settings)}
    command, env = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"], clean_environment(**kept)
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=SECONDS)
    if done.returncode:
        shutil.rmtree(folder)
        raise RuntimeError(f"npm could not install Better Auth:\n{done.stdout}{done.stderr}")
