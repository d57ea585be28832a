"""A typed client in Node, made from the site's API description by openapi-typescript, for openapi-fetch.

The real TypeScript compiler checks the program in its strictest mode before it runs.
"""

from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from tests.browser.node import converse, node_environment
from tests.browser.sites import THREE_MODES
from tests.clients.conftest import HERE, workspace  # noqa: F401  # The fixture belongs to this file, too.
from tests.programs import completed


@pytest.fixture
def environment() -> dict[str, str]:
    """Serves mode ``body``, which this client uses. By default its sign-in would be refused."""
    return THREE_MODES


@pytest.fixture
def program(workspace: Path) -> Any:  # noqa: F811
    """Returns a program that the npm workspace has. Each client with a compiler of its own would install it again."""
    return lambda name: workspace / "node_modules" / ".bin" / name


@pytest.fixture
def folder(package, program, site, certificate, tmp_path) -> Path:
    """The program, and the types that openapi-typescript makes from the description."""
    for name in ("package.json", "tsconfig.json", "client.ts"):
        copy(HERE / "openapi" / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(package("openapi") / "node_modules")
    command = (program("openapi-typescript"), f"{site.origin}/api/schema", "--output", "schema.d.ts")
    completed(*command, cwd=tmp_path, env=node_environment(certificate))
    return tmp_path


def test_a_typed_client_compiles_and_does_all_that_its_types_promise(folder, program, site, person, certificate):
    completed(program("tsc"), cwd=folder)
    told = converse(site, certificate, folder, "built/client.js", person.email, person.password)
    assert told == {
        "asked": ["required", "string"],
        "one": person.email,
        "twenty": [person.email] * 20,
        "renamed": "the laptop",
        "unnamed": ["tell the person", ["device_name"]],
        "listed": [["the laptop", "body", True], ["an old phone", "body", False]],
        "alone": "ask for the password",
        "early": "ask for the password",
        "ended": 204,
        "missing": "tell the person",
        "replayed": "session_ended",
        "wrong": "tell the person",
        "left": 204,
        "after": "sign in",
    }
    assert (site.reasons(person), site.generations(person)[1]) == (["ended_by_user", "signed_out"], 2)


@pytest.mark.exhaustive
def test_the_compiler_reports_a_problem_code_that_the_program_forgets(folder, program):
    client = folder / "client.ts"
    client.write_text(client.read_text().replace('case "session_ended":', ""))
    with pytest.raises(AssertionError, match="Function lacks ending return statement"):
        completed(program("tsc"), cwd=folder)
