"""Moves a project that uses djangorestframework-simplejwt, as `docs/how-to/moving/simplejwt.md` says:
``python -m tests.clients.coming_over``.

It makes a project with ``startproject`` and simplejwt, as simplejwt's own documentation says. The project has tests of
its own, which know nothing of Latchkey, and a client that was signed in before. Then the blocks of the page are
pasted to the ends of its files, and its view that names its authentication classes is replaced by the page's, after
``check`` has named it. The tests have to pass before and after, and the client has to stay signed in. The script says
how long this took, with packages from the index in the versions of CI.
"""

import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.clients.first_steps import BOTH, Case, Project, blocks, environment
from tests.docs.blocks import Block, block
from tests.programs import built_wheel

PAGE = "docs/how-to/moving/simplejwt.md"
SOURCE = Path(__file__).parent / "simplejwt_project"
PACKAGE = "djangorestframework-simplejwt"
CASE = Case((*BOTH, f"settings.py, coming from {PACKAGE}", f"urls.py, coming from {PACKAGE}"))
VIEW = block(PAGE, f"# views.py, coming from {PACKAGE}")

SIGNED_IN = """
from django.contrib.auth.models import User
from rest_framework_simplejwt.tokens import RefreshToken
print("token:", RefreshToken.for_user(User.objects.create_user("bob")))
"""
COMES_BACK = """
from django.test import Client
from tokens.models import RefreshToken
headers = {"HTTP_HOST": "localhost"}
first = Client(**headers).post("/api/token/refresh/", {"refresh": %(token)r}).json()
after = Client(**headers).post("/api/token/refresh/", {"refresh": first["refresh"]}).json()
orders = Client(**headers).get("/api/orders/", headers={"Authorization": f"Bearer {after['access']}"})
print(orders.status_code, orders.json(), RefreshToken.objects.live().count())
"""


def runs_blocks() -> list[Block]:
    return [VIEW, *(one for first, one in blocks() if first in CASE.blocks and one.page == PAGE)]


def move(folder: Path, python: str) -> None:
    """Make the project, and move it. Raise `AssertionError` if something does not work before or after."""
    project = Project(folder, python, CASE)
    for name in ("settings", "urls"):
        with (folder / "site_" / f"{name}.py").open("a") as file:
            file.write((SOURCE / f"{name}.txt").read_text())
    for name in ("api.py", "views.py", "tests.py"):
        shutil.copy(SOURCE / name, folder / "site_")
    project.manage("migrate")
    before = project.manage("test")
    token = project.manage("shell", "-c", SIGNED_IN).partition("token: ")[2].split()[0]
    project.paste()
    said = project.manage("check")
    assert "(tokens.W063) These views take tokens of the old package, and refuse ours: site_.views.invoices." in said, (
        said
    )
    (folder / "site_" / "views.py").write_text(VIEW.text)
    assert "System check identified no issues" in project.manage("check", "--fail-level", "WARNING")
    project.manage("migrate")
    after = project.manage("test")
    assert _ran(before) == _ran(after) > 0
    said = project.manage("shell", "-c", COMES_BACK % {"token": token})
    assert "200 {'of': 'bob'} 1" in said, said


def _ran(output: str) -> int:
    assert "OK" in output, output
    return int(output.partition("Ran ")[2].split()[0])


def main() -> None:
    with TemporaryDirectory() as name:
        folder, began = Path(name), time.monotonic()
        python = environment(folder / "environment", built_wheel(folder / "wheel"), "api", sys.executable, PACKAGE)
        move(folder / "project", python)
        print(f"{time.monotonic() - began:7.1f} s  a project with simplejwt, moved")


if __name__ == "__main__":
    main()
