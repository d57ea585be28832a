"""A real browser takes the cookies of the testing kit: over http from a live server, and over https with prefixes."""

from tests.clients.conftest import wheel  # noqa: F401  # A fixture in this folder, too.
from tests.clients.first_test import prepared, run, write
from tests.clients.projects import installed_wheel
from tests.docs.blocks import Block, block

BLOCK = block("docs/how-to/testing.md", "# test_browser.py")
STATE = """
from django.contrib.auth import get_user_model
from django.conf import settings
from tokens import testing

settings.DEBUG = True
result = testing.storage_state(get_user_model().objects.get(email=email))
settings.DEBUG = False
"""


def runs_blocks() -> list[Block]:
    return [BLOCK]


def test_the_block_of_the_page_signs_a_browser_in(wheel, launch_options, tmp_path):  # noqa: F811
    project = prepared(tmp_path / "project", installed_wheel(wheel, tmp_path / "venv")[0])
    write(project, "test_browser.py")
    path = project.folder / "test_browser.py"
    text = path.read_text()
    assert ".launch()" in text
    path.write_text(text.replace(".launch()", f".launch(**{launch_options!r})"))
    assert "Ran 1 test" in (said := run(project, "manage.py", "test", "test_browser")), said


def test_cookies_with_prefixes_sign_a_browser_in_over_https(new_context, site, person):
    me = f"{site.origin}/api/auth/me"
    assert new_context().new_page().goto(me).status == 401
    context = new_context(storage_state=site.do(STATE, email=person.email))
    page = context.new_page()
    assert page.goto(me).json()["user"]["email"] == person.email
    assert page.goto(f"{site.origin}/devices").url == f"{site.origin}/devices"
    assert {"__Host-access", "__Host-Http-refresh"} <= {cookie["name"] for cookie in context.cookies()}
