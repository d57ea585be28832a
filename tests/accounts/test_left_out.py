"""The lists of what is left out with Django's own user model are right, and nothing else is left out there.

The tests in `FAIL` run, and fail the run if they pass.
"""

import ast
import re
from pathlib import Path

from tests.accounts.left_out import FAIL, NOT_RUN, ONLY_WITH_NAMES

HERE = Path(__file__).parent


def names_in(path):
    """Return the names of the tests of a file, with the names of their classes, as pytest writes them."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(f"{path.name}::{node.name}")
        elif isinstance(node, ast.ClassDef):
            found |= {f"{path.name}::{node.name}::{test.name}" for test in node.body if hasattr(test, "name")}
    return found


def test_they_name_files_and_tests_that_there_are():
    paths = [*HERE.rglob("test_*.py")]
    assert set(NOT_RUN) | set(ONLY_WITH_NAMES) <= {path.name for path in paths}
    assert set(FAIL) <= set().union(*map(names_in, paths))


def test_no_test_leaves_itself_out():
    leaving = re.compile(r"skip(if)?\(|importorskip|AUTH_USER_MODEL")
    itself = {"test_left_out.py", "test_any_user_model.py"}
    texts = {path.name: path.read_text() for path in HERE.rglob("test_*.py") if path.name not in itself}
    assert not [name for name, text in texts.items() if leaving.search(text)]
