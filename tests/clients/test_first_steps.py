"""The guide's steps in a project from ``startproject``. `first_steps` follows them in a fresh virtual environment."""

import re
import shutil
from pathlib import Path

import pytest

from tests.clients import first_steps
from tests.clients.first_steps import BOTH, CASES, PASTED, Case, Project
from tests.clients.projects import installed_wheel
from tests.documents import PAGES

ACCOUNTS = "accounts, with accounts.User"


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with the wheel, and with the dependencies of this test run."""
    return installed_wheel(wheel, tmp_path_factory.mktemp("steps") / "venv")[0]


def test_every_block_of_a_case_exists():
    used = {first for case in CASES.values() for first in case.blocks}
    assert used - {first for first, _ in first_steps.blocks()} == set()


def test_the_section_has_at_most_four_steps():
    section = PAGES["how-to/existing-project.md"]
    assert re.findall(r"^(\d)\. ", section, re.MULTILINE) == ["1", "2", "3", "4"]


def test_ci_follows_the_steps_on_both_versions_of_django():
    run = (first_steps.ROOT / ".ci/run").read_text()
    assert run.count("python -m tests.clients.first_steps") == 2


@pytest.mark.parametrize("title", [title for title, case in CASES.items() if not case.not_yet])
@pytest.mark.exhaustive
def test_the_steps_lead_to_a_project_in_which_every_page_and_every_endpoint_answers(title, python, tmp_path):
    first_steps.follow(tmp_path / "project", python, CASES[title])


@pytest.fixture(scope="module")
def followed(python: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with all blocks of the pages, of which each test forgets one thing."""
    return Project(tmp_path_factory.mktemp("forgotten") / "project", python, CASES[ACCOUNTS])


def without(pattern: str) -> Case:
    return Case(PASTED, (pattern,))


FORGOTTEN: dict[str, tuple[Case, str]] = {
    "REST framework": (without('"rest_framework", '), "rest_framework is not in INSTALLED_APPS"),
    "the middleware": (without(r"^MIDDLEWARE = [^\n]*"), "TokenMiddleware is not in MIDDLEWARE"),
    "the backend": (without(r"^AUTHENTICATION_BACKENDS[^\n]*"), "Sign-ins are not throttled"),
    "ORIGIN": (without(r"^ORIGIN[^\n]*"), "ORIGIN is not"),
    "LOGIN_URL": (without(r"^LOGIN_URL[^\n]*"), "LOGIN_URL is"),
    "the app tokens": (without(', "tokens"'), "tokens.models"),
    "the app accounts": (without(r"^INSTALLED_APPS = \[\"accounts[^\n]*"), "accounts.User"),
    "the API": (without(r"^[^\n]*tokens\.api\.urls[^\n]*"), "tokens.api.urls is not in the URLs"),
    "the public keys": (without(r"^[^\n]*jwks\)[^\n]*"), "jwks.json is not in the URLs"),
    "the API of accounts": (without(r"^[^\n]*accounts\.api\.urls[^\n]*"), "accounts.api.urls is not in the URLs"),
    "the pages": (without(r"^[^\n]*accounts\.urls[^\n]*"), "accounts.urls is not in the URLs"),
    "the URLs": (Case((PASTED[0], PASTED[2])), "accounts.urls is not in the URLs"),
    "the URLs, without accounts": (Case(BOTH[:1]), "tokens.api.urls is not in the URLs"),
}


ALWAYS = ("REST framework", "the middleware", "ORIGIN", "the app tokens", "the API", "the pages")
"""Those that are always forgotten. Each needs a process of its own, and the others are of the same kinds."""


@pytest.mark.parametrize(
    ("case", "message"),
    [
        pytest.param(*given, id=name, marks=() if name in ALWAYS else pytest.mark.exhaustive)
        for name, given in FORGOTTEN.items()
    ],
)
def test_a_check_names_the_step_that_was_forgotten(case, message, followed):
    fresh = {path: path.read_text() for path in (followed.folder / "site_").glob("*.py")}
    try:
        followed.case = case
        followed.paste()
        with pytest.raises(AssertionError) as raised:
            followed.manage("check", "--fail-level", "WARNING")
    finally:
        for path, text in fresh.items():
            path.write_text(text)
        # Bytecode of the same second would be taken for that of the next case's file if both have the same size.
        shutil.rmtree(followed.folder / "site_" / "__pycache__", ignore_errors=True)
    assert message in str(raised.value)
