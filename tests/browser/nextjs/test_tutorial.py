"""The last page of the tutorial: each of its steps, with the package that it packs, in a browser."""

import jwt
import pytest
from playwright.sync_api import Page, expect

from tests.browser.demo import DEMO_USER
from tests.browser.nextjs.fresh import copied, npm, running
from tests.browser.nextjs.test_fresh import COMPILING, access_of
from tests.browser.sites import SECRET_KEY
from tests.browser.steps import fill_in
from tests.docs.blocks import Block
from tests.docs.tutorial import Started, page, prints, serving, start_of, steps, with_changes
from tests.programs import free_port

NAME = "nextjs"
DEVELOP = "npm run dev"


def runs_blocks() -> list[Block]:
    return page(NAME)


@pytest.mark.exhaustive
def test_the_tutorial_ends_with_a_page_that_is_refreshed(tmp_path, new_context):
    checkout, port, behind = tmp_path / "checkout", free_port(), free_port()
    copied(checkout)
    for command, expected in steps(NAME):
        if command.strip() != DEVELOP:
            printed = npm("bash", "-e", "-c", command, folder=checkout)
            assert not expected or prints(expected, printed), printed
    ports = {"localhost:3000": f"localhost:{port}", "127.0.0.1:8000": f"127.0.0.1:{behind}"}
    app = checkout / "app"
    variables = app / ".env.local"
    variables.write_text(with_changes(variables.read_text(), ports))
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
    fill_in(page, DEMO_USER)
    greeting = page.get_by_role("heading", name=f"Hello {DEMO_USER.email}")
    expect(greeting).to_be_visible(timeout=COMPILING)
    for seconds_left in (10, -1):
        before = access_of(page.context)
        expiry = jwt.decode(before, options={"verify_signature": False})["exp"]
        page.wait_for_function("limit => Date.now() / 1000 > limit", arg=expiry - seconds_left)
        page.reload()
        expect(greeting).to_be_visible(timeout=COMPILING)
        assert access_of(page.context) != before
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{origin}/")
    page.goto(f"{origin}/account")
    assert page.url.startswith(f"{origin}/sign-in")
