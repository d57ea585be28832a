"""The newest TypeScript compiler accepts `session.d.ts` and its use. The package's own compiler made it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import ROOT, installed

DECLARED = (ROOT / "tokens" / "static" / "tokens" / "session.d.ts").read_text()
SOURCE = Path(__file__).parent / "types"


@pytest.fixture(scope="session")
def compiler(tmp_path_factory) -> Path:
    """The folder of the pinned compiler."""
    return installed(SOURCE, tmp_path_factory.mktemp("types") / "types")


def mistakes(compiler: Path, folder: Path, declared: str = DECLARED) -> list[str]:
    """Return what the compiler reports about the types and their use."""
    types, module = folder / "tests" / "browser" / "session" / "types", folder / "tokens" / "static" / "tokens"
    types.mkdir(parents=True)
    module.mkdir(parents=True)
    for name in ("usage.ts", "tsconfig.json"):
        shutil.copy(SOURCE / name, types)
    (module / "session.d.ts").write_text(declared)
    command = ["npx", "--no-install", "tsc", "--project", str(types)]
    done = subprocess.run(command, cwd=compiler, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 or done.stdout, done.stderr
    return done.stdout.splitlines()


def test_the_compiler_accepts_the_types_and_their_use(compiler, tmp_path):
    assert mistakes(compiler, tmp_path) == []


def test_the_compiler_reports_wrong_types(compiler, tmp_path):
    """A user where there may be none is noticed by a mistake that is none any more."""
    wrong = DECLARED.replace("User | null;", "User;").replace("signOut()", "logOut()")
    found = "\n".join(mistakes(compiler, tmp_path, wrong))
    assert "Unused '@ts-expect-error' directive" in found
    assert "Property 'signOut' does not exist on type 'Session'" in found
