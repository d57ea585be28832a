"""The last page of the tutorial: each of its steps, with the package that it packs, in a browser."""

import shutil

import jwt
import pytest
from playwright.sync_api import Page, expect

from tests.browser.demo import DEMO_USER
from tests.browser.nextjs import fresh
from tests.browser.nextjs.fresh import PACKAGE, free_port, npm, running
from tests.browser.nextjs.test_fresh import COMPILING, access_of
from tests.browser.sites import SECRET_KEY
from tests.docs.blocks import Block
from tests.docs.tutorial import Started, files, page, serving, start_of, steps, with_changes

NAME = "nextjs"
DEVELOP = "npm run dev"


def runs_blocks() -> list[Block]:
    return page(NAME)


def test_the_tutorial_has_the_files_of_the_guide():
    of_guide = {path: found.text for path, found in fresh.files().items()}
    assert {path: of_guide[path] for path in files(NAME)} == files(NAME)


@pytest.mark.exhaustive
def test_the_tutorial_ends_with_a_page_that_is_refreshed(tmp_path, new_context):
    checkout, port, behind = tmp_path / "checkout", free_port(), free_port()
    unpacked = shutil.ignore_patterns("node_modules", "lib", "package-lock.json")
    shutil.copytree(PACKAGE.parent, checkout / "clients", ignore=unpacked)
    commands = [command for command, _ in steps(NAME) if command.strip() != DEVELOP]
    for command in commands:
        npm("bash", "-e", "-c", command, folder=checkout)
    ports = {"localhost:3000": f"localhost:{port}", "127.0.0.1:8000": f"127.0.0.1:{behind}"}
    app = checkout / "app"
    for path, text in files(NAME).items():
        fresh.write("16", app, path, with_changes(text, ports))
    given = start_of(NAME)
    started = Started({name: with_changes(value, ports) for name, value in given.environment.items()}, given.arguments)
    with (
        serving(started, behind, tmp_path, DEBUG="true", SECRET_KEY=SECRET_KEY),
        running(app, DEVELOP.split()[-1], port) as origin,
    ):
        see_it_refresh(new_context().new_page(), origin)


def see_it_refresh(page: Page, origin: str) -> None:
    """Do what the page says under "See it refresh". In development a page is compiled at its first request."""
    page.set_default_timeout(COMPILING)
    page.goto(f"{origin}/account")
    assert page.url == f"{origin}/sign-in?next=%2Faccount"
    page.get_by_label("E-mail").fill(DEMO_USER.email)
    page.get_by_label("Password").fill(DEMO_USER.password)
    page.get_by_role("button", name="Sign in").click()
    greeting = page.get_by_role("heading", name=f"Hello {DEMO_USER.email}")
    expect(greeting).to_be_visible(timeout=COMPILING)
    before = access_of(page.context)
    expiry = jwt.decode(before, options={"verify_signature": False})["exp"]
    page.wait_for_function("limit => Date.now() / 1000 > limit", arg=expiry - 10)
    page.reload()
    expect(greeting).to_be_visible(timeout=COMPILING)
    assert access_of(page.context) != before
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{origin}/")
    page.goto(f"{origin}/account")
    assert page.url.startswith(f"{origin}/sign-in")
