"""A typed client made from the description that the site serves: by openapi-typescript, for openapi-fetch, in Node.

The real TypeScript compiler checks the program at its strictest before it runs.
"""

import subprocess
from pathlib import Path
from shutil import copy

import pytest

from tests.browser.conftest import Sites
from tests.browser.node import converse, environment
from tests.browser.sites import Certificate, Site
from tests.clients.conftest import HERE, Package

SOURCE = HERE / "openapi"


@pytest.fixture
def site(sites: Sites) -> Site:
    return sites(TOKENS_MODES="body")


@pytest.fixture
def folder(package: Package, site: Site, certificate: Certificate, tmp_path: Path) -> Path:
    """The program, and the types that its packages make of the description."""
    for name in ("package.json", "tsconfig.json", "client.ts"):
        copy(SOURCE / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(package("openapi") / "node_modules")
    command = ("openapi-typescript", f"{site.origin}/api/schema", "--output", "schema.d.ts")
    run(tmp_path, *command, env=environment(certificate))
    return tmp_path


def run(folder: Path, command: str, *arguments: str, env: dict[str, str] | None = None) -> str:
    program = [folder / "node_modules/.bin" / command, *arguments]
    done = subprocess.run(program, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_typed_client_compiles_and_does_all_that_its_types_promise(folder, site, person, certificate):
    run(folder, "tsc", "--project", ".")
    told = converse(site, certificate, folder, "built/client.js", person.email, person.password)
    assert told == {
        "one": person.email,
        "twenty": [person.email] * 20,
        "renamed": "the laptop",
        "unnamed": ["tell the person", ["device_name"]],
        "listed": [["the laptop", "body", True], ["an old phone", "body", False]],
        "early": "ask for the password",
        "ended": 204,
        "missing": "tell the person",
        "replayed": "session_ended",
        "wrong": "tell the person",
        "left": 204,
        "after": "sign in",
    }
    old, own = site.sessions(person)
    assert [old["revoked_reason"], own["revoked_reason"]] == ["ended_by_user", "signed_out"]
    assert own["generation"] == 2


@pytest.mark.exhaustive
def test_the_compiler_knows_which_problems_there_are(folder):
    program = folder / "client.ts"
    program.write_text(program.read_text().replace('case "session_ended":', ""))
    with pytest.raises(AssertionError, match="Function lacks ending return statement"):
        run(folder, "tsc", "--project", ".")
