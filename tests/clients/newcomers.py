"""Follows the five ways of a newcomer: ``python -m tests.clients.newcomers [--empty-caches] [way …]``.

Each begins with the README, which leads to the page of the way in at most two clicks, and follows the page in fresh
environments. The last lines say how many seconds each took. ``--empty-caches``: uv and npm download all packages, as on
a newcomer's machine. The times depend on the machine and on the network.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.docs.blocks import Block, block
from tests.documents import README, ROOT
from tests.programs import free_port

CLICKS = 2
SECONDS = 600
"""The time limit of a way."""
OURS = ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "UV_NO_SYNC", "DJANGO_SETTINGS_MODULE")
"""Variables of this test run, which a newcomer does not have."""
DEMO = block("README.md", "pip install uv && uv run --active --no-dev manage.py demo")


@dataclass(frozen=True)
class Way:
    """``page``: the page that is followed. ``module``: what follows it, with these arguments."""

    page: str
    module: str = ""
    arguments: tuple[str, ...] = ()


WAYS = {
    "the demo": Way("README.md"),
    "an existing project, signed in": Way(
        "docs/how-to/existing-project.md", "tests.clients.first_steps", ("accounts, with accounts.User",)
    ),
    "a Next.js page, refreshed unseen": Way("docs/how-to/nextjs.md", "tests.measures.nextjs"),
    "a test with a signed-in client": Way("docs/how-to/testing.md", "tests.clients.first_test"),
    "a project with simplejwt, moved": Way("docs/how-to/moving/simplejwt.md", "tests.clients.coming_over"),
}


def runs_blocks() -> list[Block]:
    return [DEMO]


def links(page: str) -> set[str]:
    """Return the pages of the repository to which a page links, in its text and in its tables of contents."""
    text = (ROOT / page).read_text()
    entries = re.findall(r"```\{toctree\}\n(.*?)```", text, re.DOTALL)
    named = [f"{line}.md" for entry in entries for line in entry.splitlines() if re.fullmatch(r"[\w/-]+", line)]
    targets = [*re.findall(r"\]\(([^)#:]+\.md)", text), *named]
    found = [((ROOT / page).parent / target).resolve() for target in targets]
    return {path.relative_to(ROOT).as_posix() for path in found if path.is_file()}


def clicks(page: str) -> int | None:
    """Return how many links lead from the README to a page, or None if that takes too many."""
    reached = {"README.md"}
    for count in range(CLICKS + 1):
        if page in reached:
            return count
        reached = reached.union(*(links(one) for one in reached))
    return None


def see_the_demo(folder: Path, environment: dict[str, str]) -> None:
    """Run the README's command in a new virtual environment, and open the page that the README names."""
    port = free_port()
    address = re.findall(r"<http://localhost:8000(/demo)>", README)[0]
    *_, command = DEMO.text.strip().split(" && ")
    # Of the active environment, so that the one of this test run stays as it is.
    subprocess.run([shutil.which("uv") or "uv", "venv", "--quiet", str(folder / "venv")], check=True)
    given = {
        "VIRTUAL_ENV": str(folder / "venv"),
        "DATABASE_URL": f"sqlite:///{folder}/demo.sqlite3",
        "DEBUG": "true",
        "SECRET_KEY": "the secret of a demo, as long as it has to be to start a server: fine",
        "PORT": str(port),
        "ORIGIN": f"http://localhost:{port}",
    }
    env = {**environment, **given}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command.split(), cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        _wait_for(f"http://localhost:{port}{address}", process, folder / "log")
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        with suppress(OSError), urllib.request.urlopen(url, timeout=60) as page:  # noqa: S310
            assert page.status == 200
            return
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def follow(way: Way, folder: Path, environment: dict[str, str]) -> None:
    """Follow a way. Raise `AssertionError` or `subprocess.CalledProcessError` if it does not lead to its end."""
    if not way.module:
        see_the_demo(folder, environment)
        return
    command = [sys.executable, "-m", way.module, *way.arguments]
    subprocess.run(command, cwd=ROOT, env=environment, timeout=SECONDS, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("ways", nargs="*", metavar="way", help=f"default: all. {'; '.join(WAYS)}")
    parser.add_argument("--empty-caches", action="store_true", help="download all packages")
    options = parser.parse_args()
    table = []
    for title in options.ways or WAYS:
        way = WAYS[title]
        found = clicks(way.page)
        assert found is not None, f"The README does not lead to {way.page}."
        with TemporaryDirectory() as name:
            folder = Path(name)
            environment = {key: value for key, value in os.environ.items() if key not in OURS}
            if options.empty_caches:
                environment |= {"UV_CACHE_DIR": f"{folder}/uv", "NPM_CONFIG_CACHE": f"{folder}/npm"}
            print(f"\n{title}", flush=True)
            began = time.monotonic()
            follow(way, folder, environment)
            table.append((title, way.page, found, time.monotonic() - began))
    print(f"\n{'':<36}{'page':<36}{'clicks':>8}{'seconds':>10}")
    for title, page, count, seconds in table:
        print(f"{title:<36}{page:<36}{count:>8}{seconds:>10.1f}")


if __name__ == "__main__":
    main()
