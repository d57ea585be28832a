"""Follows `docs/how-to/existing-project.md` word for word: ``python -m tests.clients.first_steps``.

For each case it makes a project with ``django-admin startproject``, pastes the blocks of the documentation to the ends
of its files, and uses the project as people do: with a browser at ``runserver``, whose output has the mails. The
project defines none of our names. The wheel is installed into a fresh virtual environment, with packages from the index
in the versions of CI. The script says how long each case took, and fails if a page or an endpoint does not answer.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer

from tests.clients.visitor import NEW_PASSWORD, PASSWORD, Served
from tests.docs.blocks import Block
from tests.docs.blocks import blocks as blocks_of
from tests.documents import ROOT
from tests.programs import built_wheel, completed, free_port

HERE = Path(__file__).parent
FILES = {"settings.py": "site_/settings.py", "urls.py": "site_/urls.py", "policies.py": "policies.py"}
PAGE = "docs/how-to/existing-project.md"
SECONDS = 300
"""The time limit of what is done with the server."""
BOTH = ("settings.py", "urls.py")
PASTED = (*BOTH, "settings.py, with accounts", "urls.py, with accounts")
NO_API = (r'"rest_framework", ', r"^[^\n]*(api/|jwks|metadata)[^\n]*\n")
"""What the page says to leave out without REST framework: the name in INSTALLED_APPS, and these lines of urls.py."""


@dataclass(frozen=True)
class Case:
    """A way to follow the steps.

    ``blocks``: the first lines of the blocks. ``without``: what matches is left out. ``extra``: the extra of
    the wheel. ``name``: what the superuser signs in with. ``not_yet``: why the case fails today, or empty.
    """

    blocks: tuple[str, ...]
    without: tuple[str, ...] = ()
    extra: str = "api"
    name: str = "ada"
    not_yet: str = ""

    @property
    def has_pages(self) -> bool:
        return "urls.py, with accounts" in self.blocks

    @property
    def has_api(self) -> bool:
        return bool(self.extra)


CASES = {
    "tokens, with auth.User": Case(BOTH),
    "tokens, with auth.User and without REST framework": Case(BOTH, NO_API, extra=""),
    "accounts, with accounts.User": Case(PASTED, name="ada@example.org"),
    "accounts, with accounts.User and without REST framework": Case(PASTED, NO_API, extra="", name="ada@example.org"),
    "accounts, with auth.User": Case(PASTED, (r"^AUTH_USER_MODEL[^\n]*\n",)),
    "all blocks": Case(
        (
            *PASTED,
            *("settings.py, with SQLite", "settings.py, for operators", "settings.py, with views of REST framework"),
            *("settings.py, with large uploads", "settings.py, with other backends"),
            *("settings.py, with levels of your own", "settings.py, with a code by e-mail"),
            *("policies.py", "settings.py, with a policy"),
            *("settings.py, with factors", "settings.py, with passkeys", "urls.py, with factors"),
            "settings.py, with error reports",
        ),
        extra="api,factors",
        name="ada@example.org",
    ),
}


def blocks() -> list[tuple[str, Block]]:
    """Return each block of the guides that is for a file of the project, and its first line without ``# ``."""
    found = [*blocks_of("docs/explanation", "python"), *blocks_of("docs/how-to", "python")]
    named = [(one.first.removeprefix("# "), one) for one in found if one.first.startswith("# ")]
    return [(first, one) for first, one in named if first.partition(",")[0] in FILES]


def commands() -> list[str]:
    """Return the commands of the steps."""
    return [line.strip() for one in blocks_of(PAGE, "sh") for line in one.text.splitlines()]


def first_call() -> Block:
    """Return the block with a first call by curl."""
    [found] = blocks_of(PAGE, "shell")
    return found


def runs_blocks() -> list[Block]:
    pasted = [one for first, one in blocks() if any(first in case.blocks for case in CASES.values())]
    return [*pasted, *blocks_of(PAGE, "sh"), first_call()]


class Project:
    """A project from ``startproject`` that follows the steps of a case."""

    def __init__(self, folder: Path, python: str, case: Case) -> None:
        self.folder, self.python, self.case, self.port = folder, python, case, free_port()
        folder.mkdir()
        self._run("-m", "django", "startproject", "site_", str(folder))

    def paste(self) -> None:
        for first in self.case.blocks:
            for name, one in blocks():
                if name == first:
                    with (self.folder / FILES[first.partition(",")[0]]).open("a") as file:
                        file.write("\n" + self._adapted(one.body))

    def _adapted(self, text: str) -> str:
        text = text.replace("localhost:8000", f"localhost:{self.port}")  # Another process may use the port.
        for pattern in self.case.without:
            text = re.sub(pattern, "", text, flags=re.DOTALL | re.MULTILINE)
        return text

    def manage(self, *arguments: str) -> str:
        return self._run("manage.py", *arguments)

    def follow(self) -> None:
        """Run the commands of step 4 except the last, which is ``runserver``."""
        lines = [line.removeprefix("python manage.py ").split() for line in commands() if "manage.py" in line]
        *first, serve = lines
        assert serve == ["runserver"]
        for arguments in first:
            said = self.manage(*arguments, *(["--no-input"] if arguments == ["createsuperuser"] else []))
            assert arguments != ["check"] or "System check identified no issues" in said, said

    def walk(self) -> None:
        """Ask for every URL in a process of the project."""
        shutil.copy(HERE / "every_url.py", self.folder)
        self._run("every_url.py")

    def call(self, field: str, name: str) -> str:
        """Sign in by curl, as the guide does, and return what is printed. The project has to be served."""
        text = first_call().text.replace("localhost:8000", f"localhost:{self.port}").replace("…", PASSWORD)
        text = text.replace('"username": "ada"', f'"{field}": "{name}"')
        return completed("bash", "-ec", text, cwd=self.folder, env=self.environment).stdout

    @contextmanager
    def served(self) -> Iterator[Served]:
        command = [self.python, "-u", "manage.py", "runserver", "--noreload", f"localhost:{self.port}"]
        with subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            # A mail that never comes would be awaited for ever.
            timer = Timer(SECONDS, process.kill)
            timer.start()
            try:
                yield Served(process, f"http://localhost:{self.port}")
            finally:
                timer.cancel()
                process.terminate()

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        by_name = {
            "DJANGO_SUPERUSER_USERNAME": "ada",
            "DJANGO_SUPERUSER_EMAIL": "ada@example.org",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }
        return {**kept, **by_name, "DJANGO_SETTINGS_MODULE": "site_.settings"}

    def _run(self, *arguments: str) -> str:
        done = completed(self.python, *arguments, cwd=self.folder, env=self.environment)
        return done.stdout + done.stderr


def follow(folder: Path, python: str, case: Case) -> None:
    """Follow the steps of a case in a new project, and use it. Raise `AssertionError` if something does not answer."""
    project = Project(folder, python, case)
    project.paste()
    project.follow()
    project.walk()
    with project.served() as site:
        site.sign_in_at_the_admin(case.name)
        if case.has_api:
            site.use_the_api(case.name)
            said = project.call("email" if "@" in case.name else "username", case.name)
            assert said.replace(" ", "").count('"user":{"id":') == 2, said
        if case.has_pages:
            site.register("bob@example.org")
            site.sign_in("bob@example.org", PASSWORD)
            site.visit_the_pages()
            site.raise_the_alarm()
            site.sign_in("bob@example.org", NEW_PASSWORD)
            site.sign_out()


def environment(folder: Path, wheel: Path, extra: str, python: str, *others: str) -> str:
    """Install the wheel with an extra, and other packages, into a new virtual environment. Return its interpreter.

    The versions are those of CI. uv refuses a file with another hash. pip cannot check the hashes here, because the
    wheel has none.
    """
    assert commands()[0] == 'pip install "/path/to/latchkey[api]"'
    what = f"{wheel}[{extra}]" if extra else str(wheel)
    inside, listed = str(folder / "bin" / "python"), ROOT / ".ci/requirements.txt"
    if uv := shutil.which("uv"):
        new = [uv, "venv", "--quiet", "--python", python, str(folder)]
        install = [uv, "pip", "install", "--quiet", "--python", inside]
    else:
        new, install = [python, "-m", "venv", str(folder)], [inside, "-m", "pip", "install", "--quiet"]
        names = re.findall(r"^\w\S+==[^\\\n]+", listed.read_text(), re.MULTILINE)
        listed = folder.with_suffix(".txt")
        listed.write_text("\n".join(names))
    subprocess.run(new, check=True)
    subprocess.run([*install, "--only-binary", ":all:", "--constraint", str(listed), what, *others], check=True)
    return inside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", help=f"default: all. {'; '.join(CASES)}")
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the new environments")
    options = parser.parse_args()
    for key in ("UV_PROJECT_ENVIRONMENT", "VIRTUAL_ENV"):
        os.environ.pop(key, None)
    with TemporaryDirectory() as name:
        folder, began = Path(name), time.monotonic()
        wheel = built_wheel(folder / "wheel")
        pythons: dict[str, str] = {}
        for number, title in enumerate(options.cases or CASES):
            case, started = CASES[title], time.monotonic()
            if case.not_yet:
                print(f"  not yet  {title}: {case.not_yet}")
                continue
            if case.extra not in pythons:
                place = folder / f"environment-{case.extra or 'core'}"
                pythons[case.extra] = environment(place, wheel, case.extra, options.python)
            follow(folder / f"project-{number}", pythons[case.extra], case)
            print(f"{time.monotonic() - started:7.1f} s  {title}", flush=True)
        version = subprocess.check_output([next(iter(pythons.values())), "-m", "django", "--version"], text=True)
        print(f"{time.monotonic() - began:7.1f} s  in all, with Django {version.strip()}")


if __name__ == "__main__":
    main()
