"""A new application, made by ``create-next-app`` and the commands of ``docs/how-to/nextjs.md``, over plain http."""

import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, STDOUT

from tests.browser.demo import Demo, demo_served
from tests.clients.projects import ROOT, clean_environment
from tests.docs.blocks import Block, block, blocks
from tests.programs import completed
from tests.scale import cluster

PACKAGE = ROOT / "clients" / "next"
GUIDE = "docs/how-to/nextjs.md"
INSTALL = block(GUIDE, "npm pack ./clients/next")
CHECKOUT, APPLICATION = "/path/to/latchkey", "/path/to/your/application"
CREATED_BY = {"14": "14.2.35", "15": "15.5.28", "16": "16.4.3"}
"""The version of ``create-next-app`` for each major version. It installs the same version of Next.js."""
OPTIONS = {
    "14": ["--no-src-dir", "--no-tailwind"],
    "15": ["--empty", "--src-dir", "--no-turbopack", "--no-tailwind"],
    "16": ["--empty", "--no-src-dir", "--tailwind"],
}
SHORT = {"TOKENS_ACCESS_LIFETIME": "12"}
"""The guard refreshes when ten seconds are left."""
NEXT = ["node", "node_modules/next/dist/bin/next"]
SECONDS = 600
CATCH_ALL = """export default async function Everything() {
  return <h1>guarded</h1>;
}
"""
"""A page for all other paths. Without it, a path that the guard leaves out would be a 404 with or without the guard."""


def files() -> dict[str, Block]:
    """Return the block of each file in the guide, by its path. The path is the first line of the block."""
    found = {one: re.fullmatch(r"(?://|#) (\S+)", one.first) for one in blocks(GUIDE)}
    return {path[1]: one for one, path in found.items() if path}


def runs_blocks() -> list[Block]:
    """The commands of the guide, and the files that it shows. `with_latchkey` runs and writes them."""
    return [INSTALL, *files().values()]


def npm(*command: str, folder: Path, **environment: str) -> str:
    """Run a command, and return what it prints."""
    for needed in ("node", "npm"):
        assert shutil.which(needed), f"{needed} is not installed. These tests need Node 20 or newer with npm."
    return completed(*command, cwd=folder, env=npm_environment(**environment), timeout=SECONDS).stdout


def packed(folder: Path) -> Path:
    """Return the package as a file that npm installs."""
    source, scripts = PACKAGE, ["--ignore-scripts"]
    if not (PACKAGE / "lib").exists():
        source, scripts = copied(folder), []
    command = ["npm", "pack", *scripts, "--json", "--pack-destination", str(folder)]
    (name,) = json.loads(npm(*command, folder=source))
    return folder / name["filename"]


def copied(checkout: Path) -> Path:
    """Copy the package into a folder, as it is in a new checkout. Return the path of the copy."""
    unpacked = shutil.ignore_patterns("node_modules", "lib", "package-lock.json")
    return Path(shutil.copytree(PACKAGE, checkout / PACKAGE.relative_to(ROOT), ignore=unpacked))


def created(version: str, folder: Path) -> Path:
    """Return a new application of this major version, without Latchkey."""
    command = ["npx", "--yes", f"create-next-app@{CREATED_BY[version]}", "app", "--ts", "--app"]
    flags = ["--no-eslint", "--import-alias", "@/*", "--use-npm", "--disable-git", "--yes"]
    npm(*command, *flags, *OPTIONS[version], folder=folder)
    return folder / "app"


def with_latchkey(app: Path, checkout: Path) -> Path:
    """Run the commands of the guide in a copy of the package, and write the files that the user writes."""
    copied(checkout)
    commands = INSTALL.text.replace(CHECKOUT, str(checkout)).replace(APPLICATION, str(app))
    npm("bash", "-e", "-c", commands, folder=checkout)
    code = app / "src" if (app / "src").exists() else app
    for path, found in files().items():
        if path.startswith("app/") and not (code / path).exists():
            write(code / path, found.text)
    write(code / "app/[...path]/page.tsx", CATCH_ALL)
    return app


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def build(app: Path) -> None:
    """Build the application without its variables."""
    (app / ".env.local").rename(app / "later")
    npm(*NEXT, "build", folder=app)
    (app / "later").rename(app / ".env.local")


@contextmanager
def latchkey(folder: Path, port: int, **environment: str) -> Iterator[Demo]:
    """Run Latchkey behind an application at this port."""
    behind = {"ORIGIN": f"http://localhost:{port}", "TRUSTED_PROXIES": "127.0.0.1", **environment}
    with demo_served(folder, **behind) as demo:
        yield demo


def connect(app: Path, port: int, demo: Demo) -> None:
    """Set the ports in the file of variables that the command has written."""
    text = (app / ".env.local").read_text()
    assert text == files()[".env.local"].body
    text = text.replace(":3000", f":{port}/")  # The slash must not matter.
    (app / ".env.local").write_text(
        text.replace("http://127.0.0.1:8000", demo.origin.replace("localhost", "127.0.0.1"))
    )


@contextmanager
def running(app: Path, mode: str, port: int, *arguments: str, **environment: str) -> Iterator[str]:
    """Run ``next dev`` or ``next start``, and yield the address of the application."""
    options = {"cwd": app, "env": npm_environment(**environment), "stdout": PIPE, "stderr": STDOUT, "text": True}
    with cluster.running([*NEXT, mode, "--port", str(port), *arguments], **options) as process:
        said = ""
        while "Ready in" not in said:
            line = process.stdout.readline()
            assert line, f"Next.js does not start:\n{said}"
            said += line
        # The server's later output must not fill the pipe.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield f"http://localhost:{port}"


def npm_environment(**more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper().startswith(("NPM_CONFIG_", "NODE_EXTRA_CA_CERTS"))
    }
    return clean_environment(NEXT_TELEMETRY_DISABLED="1", **{**kept, **more})
