"""Follows the demo in a clean copy, as somebody who has only read the README: ``python -m tests.clients.demo_story``.

It copies the files of the last commit into an empty folder, makes a new virtual environment, runs the README's first
command in it, and opens the address that the command prints first in a real Chromium. Then it follows the steps in
their order, by the texts of the page. It says how long each part took, and fails if a step does not answer.
``--no-cache`` gives uv an empty cache, as on a machine where nothing was installed before.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer

from tests.clients.newcomers import OURS
from tests.documents import ROOT
from tests.programs import free_port

OF_THE_SETTINGS = ("DEBUG", "SECRET_KEY", "ORIGIN", "DATABASE_URL", "CACHE_URL", "EMAIL_URL")
"""Variables of the settings, which would take the place of the file that the first run writes."""
SECONDS = 900
"""The time limit of the command, most of which is the installation."""


def first_command() -> str:
    """Return the README's first command."""
    found = re.search(r"^    (pip install uv && .*manage\.py demo)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert found, "the README has no command for the demo"
    return found[1]


def copy(folder: Path) -> None:
    """Copy the files of the last commit. Other files of the checkout could hide that one is missing."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True)
    folder.mkdir()
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)


@contextmanager
def demo_started(folder: Path, *, has_cache: bool) -> Iterator[str]:
    """Run the README's first command in a new virtual environment. Yield the first address that it prints."""
    environment = folder.parent / "environment"
    venv.create(environment, with_pip=True)
    kept = {name: value for name, value in os.environ.items() if name not in OURS and name not in OF_THE_SETTINGS}
    variables = {
        **kept,
        "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(environment),
        "PYTHONUNBUFFERED": "1",
        "PORT": str(free_port()),
        **({} if has_cache else {"UV_CACHE_DIR": str(folder.parent / "cache"), "PIP_NO_CACHE_DIR": "1"}),
    }
    pipe = subprocess.PIPE
    with subprocess.Popen(
        ["bash", "-c", first_command().replace("&& ", "&& exec ")],
        cwd=folder, env=variables, stdout=pipe, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        timer = Timer(SECONDS, process.kill)
        timer.start()
        printed = []
        try:
            for line in process.stdout or ():
                printed.append(line)
                if found := re.search(r"http://\S+/demo\b", line):
                    break
            else:
                raise AssertionError("".join(printed))
            _read_on(process)
            yield found[0]
        finally:
            timer.cancel()
            process.terminate()


def _read_on(process: "subprocess.Popen[str]") -> None:
    """Read what the server prints, until it serves. What it prints later fits into the pipe."""
    for line in process.stdout or ():
        if "Quit the server" in line:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--no-cache", action="store_true", help="install with an empty cache")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from playwright.sync_api import sync_playwright

    from tests.browser.demo import follow_the_story

    with TemporaryDirectory() as name:
        folder, began = Path(name) / "copy", time.monotonic()
        copy(folder)
        with demo_started(folder, has_cache=not options.no_cache) as address:
            print(f"{time.monotonic() - began:7.1f} s  from the copy to {address}", flush=True)
            with (
                sync_playwright() as playwright,
                playwright.chromium.launch(executable_path=shutil.which("chromium"), chromium_sandbox=False) as browser,
            ):
                page = browser.new_page(base_url=address.removesuffix("/demo"))
                started = time.monotonic()
                for heading in follow_the_story(page):
                    print(f"           {heading}")
            print(f"{time.monotonic() - started:7.1f} s  for the steps, without the time to read them")
        print(f"{time.monotonic() - began:7.1f} s  in all, with Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
