"""`session.d.ts` in the real TypeScript compiler: it says what the module has, and that makes no mistake of types."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODULE = ROOT / "tokens" / "static" / "tokens" / "session.js"
DECLARED = MODULE.with_suffix(".d.ts").read_text()
SOURCE = Path(__file__).parent / "types"


@pytest.fixture(scope="session")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pinned compiler, installed into a folder of its own: a test run must not litter."""
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            pytest.fail(f"{command} is not installed. These tests run a compiler in Node 20 or newer: install it.")
    folder = tmp_path_factory.mktemp("types")
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(SOURCE / name, folder)
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def mistakes(compiler: Path, folder: Path, declared: str = DECLARED) -> list[str]:
    """What the compiler says of the types, the module and their use."""
    types, module = folder / "tests" / "browser" / "session" / "types", folder / "tokens" / "static" / "tokens"
    types.mkdir(parents=True)
    module.mkdir(parents=True)
    for name in ("usage.ts", "tsconfig.json"):
        shutil.copy(SOURCE / name, types)
    shutil.copy(MODULE, types / "implementation.js")
    shutil.copy(MODULE, module)
    (module / "session.d.ts").write_text(declared)
    command = ["npx", "--no-install", "tsc", "--project", str(types)]
    done = subprocess.run(command, cwd=compiler, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 or done.stdout, done.stderr
    return done.stdout.splitlines()


def test_the_types_are_those_of_the_module(compiler, tmp_path):
    assert mistakes(compiler, tmp_path) == []


@pytest.mark.parametrize(("said", "instead"), [("User | null;", "User;"), ("signOut()", "logOut()")])
def test_types_that_say_something_else_are_found_out(compiler, tmp_path, said, instead):
    assert said in DECLARED
    assert mistakes(compiler, tmp_path, DECLARED.replace(said, instead)) != []


def test_the_compiler_is_pinned_and_its_lock_file_names_no_registry():
    pinned = json.loads((SOURCE / "package.json").read_text())["dependencies"]["typescript"]
    lock = json.loads((SOURCE / "package-lock.json").read_text())
    assert re.fullmatch(r"\d+\.\d+\.\d+", pinned)
    assert lock["packages"]["node_modules/typescript"]["version"] == pinned
    assert not [entry for entry in lock["packages"].values() if "resolved" in entry]
