"""The guide for a project that uses simplejwt. `coming_over` follows it in a fresh virtual environment."""

from pathlib import Path

import pytest

from tests.clients import coming_over
from tests.clients.projects import installed_wheel


@pytest.mark.exhaustive
def test_a_project_with_simplejwt_moves_and_nobody_is_signed_out(wheel: Path, tmp_path: Path):
    coming_over.move(tmp_path / "project", installed_wheel(wheel, tmp_path / "venv")[0])
