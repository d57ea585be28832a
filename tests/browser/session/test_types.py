"""The newest TypeScript compiler accepts `session.d.ts` and its use. The package's own compiler made it.

Lines of ``usage.ts`` with ``@ts-expect-error`` are mistakes. If the types did not forbid them, it would not compile.
"""

import shutil
from pathlib import Path

from tests.clients.conftest import ROOT, installed
from tests.programs import completed

DECLARED = Path("tokens", "static", "tokens", "session.d.ts")
SOURCE = Path(__file__).parent / "types"


def test_the_compiler_accepts_the_types_and_their_use(tmp_path):
    folder = installed(SOURCE, tmp_path / "compiler")
    types = tmp_path / "tests" / "browser" / "session" / "types"
    for path in (types, (tmp_path / DECLARED).parent):
        path.mkdir(parents=True)
    for name in ("usage.ts", "tsconfig.json"):
        shutil.copy(SOURCE / name, types)
    shutil.copy(ROOT / DECLARED, tmp_path / DECLARED)
    completed("npx", "--no-install", "tsc", "--project", types, cwd=folder)
