"""The real TypeScript compiler accepts `session.d.ts`, the module that it declares, and their use."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import ROOT, installed

MODULE = ROOT / "tokens" / "static" / "tokens" / "session.js"
DECLARED = MODULE.with_suffix(".d.ts").read_text()
SOURCE = Path(__file__).parent / "types"


@pytest.fixture(scope="session")
def compiler(tmp_path_factory) -> Path:
    """The folder of the pinned compiler."""
    return installed(SOURCE, tmp_path_factory.mktemp("types") / "types")


def mistakes(compiler: Path, folder: Path, declared: str = DECLARED) -> list[str]:
    """Return what the compiler reports about the types, the module and their use."""
    types, module = folder / "tests" / "browser" / "session" / "types", folder / "tokens" / "static" / "tokens"
    types.mkdir(parents=True)
    module.mkdir(parents=True)
    for name in ("usage.ts", "tsconfig.json"):
        shutil.copy(SOURCE / name, types)
    shutil.copy(MODULE, types / "implementation.js")
    for name in ("session.js", "session-client.js"):
        for target in (types, module):
            shutil.copy(MODULE.with_name(name), target)
    (module / "session.d.ts").write_text(declared)
    command = ["npx", "--no-install", "tsc", "--project", str(types)]
    done = subprocess.run(command, cwd=compiler, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 or done.stdout, done.stderr
    return done.stdout.splitlines()


def test_the_types_are_those_of_the_module(compiler, tmp_path):
    assert mistakes(compiler, tmp_path) == []


def test_the_compiler_reports_wrong_types(compiler, tmp_path):
    """A user where there may be none is noticed by a mistake that is none any more, and a wrong name by the module."""
    wrong = DECLARED.replace("User | null;", "User;").replace("signOut()", "logOut()")
    found = "\n".join(mistakes(compiler, tmp_path, wrong))
    assert "Unused '@ts-expect-error' directive" in found
    assert "Property 'logOut' is missing in type 'Session'" in found
