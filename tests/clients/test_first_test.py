"""The guide for tests in a project from ``startproject``, with the wheel: what a newcomer does.

`first_test` does the same in a fresh virtual environment. A block with a real browser runs in
``tests/browser/test_testing_kit.py``.
"""

from pathlib import Path

import pytest

import tokens.testing
from tests.clients.first_test import FIRST, Project, prepared, run, with_pytest, write
from tests.clients.projects import installed_wheel
from tests.documents import PAGES
from tokens.testing import plugin

PAGE = PAGES["how-to/testing.md"]
DJANGO_TESTS = Path(__file__).parent / "kit_tests.py"


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has followed the steps, with the wheel and the dependencies of this test run."""
    folder = tmp_path_factory.mktemp("testing")
    found = prepared(folder / "project", installed_wheel(wheel, folder / "venv")[0])
    write(found, *FIRST)
    return found


def test_without_conftest_the_plugin_is_loaded_from_the_command_line_or_not_at_all(project):
    conftest = project.folder / "conftest.py"
    text = conftest.read_text()
    conftest.unlink()
    try:
        arguments = "-p", "tokens.testing", "-n2", "-W", "error", "test_sign_in.py"
        said = with_pytest(project, *arguments, plugins="pytest_django.plugin,xdist.plugin")
        with pytest.raises(AssertionError, match="fixture 'signed_in_client' not found"):
            with_pytest(project, "test_sign_in.py")
    finally:
        conftest.write_text(text)
    assert "3 passed" in said, said


def test_each_kind_of_test_case_of_django_works_also_in_parallel(project):
    (project.folder / "kit_tests.py").write_text(DJANGO_TESTS.read_text())
    said = run(project, "manage.py", "test", "--parallel", "2", "kit_tests", "tests")
    assert "Ran 7 tests" in said, said


def test_the_section_names_every_function_and_every_fixture():
    missing = [name for name in tokens.testing.__all__ if f"`{name}" not in PAGE]
    assert missing == ["Clock", "SignedIn"]  # What functions return.
    fixtures = [name for name, value in vars(plugin).items() if isinstance(value, type(plugin.latchkey_user))]
    assert [name for name in fixtures if name[0] != "_" and f"`{name}`" not in PAGE] == []
    assert len(fixtures) > 5
