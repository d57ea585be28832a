"""Blocks of the guides in a project from ``startproject``, with the wheel: views, large uploads and web sockets.

`guide_tests` is what the project's author would write to test them.
"""

import shutil
from pathlib import Path

import pytest

from tests.clients.first_steps import BOTH, Case, Project
from tests.clients.first_test import with_pytest
from tests.clients.projects import installed_wheel
from tests.docs.blocks import Block, block

HOW_TO = "docs/how-to"
FILES = {
    "account_views.py": [block(f"{HOW_TO}/change-accounts.md", "# views.py")],
    "support_views.py": [block(f"{HOW_TO}/impersonation.md", "# views.py")],
    "payment_views.py": [block(f"{HOW_TO}/step-up.md", "# views.py, that ask for more")],
    "consumers.py": [block(f"{HOW_TO}/channels.md", "# consumers.py")],
    "site_/asgi.py": [
        block(f"{HOW_TO}/large-uploads.md", "# asgi.py"),
        block(f"{HOW_TO}/channels.md", "# asgi.py, with Channels"),
    ],
}
"""The file of the project to whose end each block is pasted."""
URLS = """
import account_views, payment_views, support_views

urlpatterns = [
    path("name", account_views.change_name),
    path("impersonate/<user_id>", support_views.impersonate),
    path("release", support_views.release),
    path("pay", payment_views.pay),
    *urlpatterns,
]
"""
TESTS = Path(__file__).parent / "guide_tests.py"


def runs_blocks() -> list[Block]:
    return [one for pasted in FILES.values() for one in pasted]


@pytest.mark.long
def test_the_blocks_do_what_the_guides_say(wheel, tmp_path):
    case = Case((*BOTH, "settings.py, with large uploads"))
    project = Project(tmp_path / "project", installed_wheel(wheel, tmp_path / "venv")[0], case)
    project.paste()
    for name, pasted in FILES.items():
        with (project.folder / name).open("a") as file:
            file.writelines(one.text for one in pasted)
    with (project.folder / "site_" / "urls.py").open("a") as file:
        file.write(URLS)
    settings = project.folder / "site_" / "settings.py"
    settings.write_text(settings.read_text().replace(f"localhost:{project.port}", "localhost:8000"))
    shutil.copy(TESTS, project.folder / "test_guides.py")
    (project.folder / "pytest.ini").write_text("[pytest]\nDJANGO_SETTINGS_MODULE = site_.settings\n")
    (project.folder / "conftest.py").write_text('pytest_plugins = ["tokens.testing"]\n')
    said = with_pytest(project, "test_guides.py")
    assert "9 passed" in said, said
