"""What the wheel contains and requires, and what works with its core dependencies only.

`python -m tests.clients.first_steps` does the same in a fresh virtual environment, with packages from a registry.
"""

import json
import re
import shutil
import subprocess
import zipfile
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.clients.projects import clean_environment, installed_wheel
from tests.programs import completed

HERE = Path(__file__).parent
WRONG = """
from django.http import HttpRequest
from tokens import sessions

def wrong(request: HttpRequest) -> str:
    return sessions.is_recent(request)
"""


def required(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(metadata).decode()).get_all("Requires-Dist", [])


def name_of(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")


def with_their_own(names: set[str]) -> set[str]:
    """Return these distributions and all that they require without extras."""
    found: set[str] = set()
    while names:
        found |= names
        lines = [line for name in names for line in distribution(name).requires or () if ";" not in line]
        names = {name_of(line) for line in lines} - found
    return found


def test_the_wheel_requires_few_packages_and_an_upper_bound_of_django(wheel):
    core = [line for line in required(wheel) if "extra ==" not in line]
    assert {name_of(line) for line in core} == {"cryptography", "django", "idna", "pyjwt", "ua-parser", "uuid-utils"}
    assert [line for line in core if line.startswith("django") and "<" in line]
    # Beside these: what cryptography, Django and ua-parser require, and ua-parser's extra.
    assert len(with_their_own({name_of(line) for line in core})) <= 11


@pytest.fixture
def python(wheel: Path, tmp_path: Path) -> str:
    """An interpreter with the wheel and its core dependencies, which are links to those of this test run."""
    python, packages = installed_wheel(wheel, tmp_path / "venv")
    (packages / "dependencies.pth").unlink()
    core = with_their_own({name_of(line) for line in required(wheel) if "extra ==" not in line})
    for name in core | {"cffi", "pycparser", "ua-parser-rs"}:
        found = distribution(name)
        for first in {path.parts[0] for path in found.files or () if path.parts[0] not in {"..", "__pycache__"}}:
            (packages / first).symlink_to(found.locate_file(first))
    return python


def test_tokens_works_with_its_core_dependencies_only(python, tmp_path):
    shutil.copy(HERE / "core_only.py", tmp_path)
    done = completed(python, "core_only.py", cwd=tmp_path, env=clean_environment())
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "enter": "in",
        "who": "ada",
        "ready": 200,
        "metrics": 404,
        "ended": "AnonymousUser",
        "kit": "user-",
        "imported": [],
    }
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run([python, "-c", "import rest_framework"], check=True, capture_output=True)


def test_mypy_in_strict_mode_accepts_the_public_names_and_knows_their_types(wheel, tmp_path):
    python, _ = installed_wheel(wheel, tmp_path / "venv")
    project = shutil.copytree(HERE / "typed", tmp_path / "typed", ignore=shutil.ignore_patterns("__pycache__"))
    (project / "wrong.py").write_text(WRONG)
    command = [python, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "public_names.py", "wrong.py"]
    environment = clean_environment(PYTHONPATH=".", MYPYPATH=".")
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300)
    [error, *_] = re.findall(r"^.+: error: .+$", done.stdout, re.MULTILINE)
    assert error.startswith('wrong.py:6: error: Incompatible return value type (got "bool"'), done.stdout
    assert "Found 1 error in 1 file" in done.stdout
