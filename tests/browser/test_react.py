"""``useSession`` of ``django-latchkey-react``, in a page that React hydrates, at the real server."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import at_length
from tests.browser.sites import Person
from tests.clients.conftest import workspace  # noqa: F401  # A fixture in this file, too.

Made = Callable[..., Path]
OPTIONS = {"mode": "cookie", "api": "/api/auth/"}


@pytest.fixture(scope="session")
def made(workspace, tmp_path_factory) -> Made:  # noqa: F811
    """Returns the folder of the application, as a server renders it with this version of React."""

    def make(version: str, **given: object) -> Path:
        folder = tmp_path_factory.mktemp(f"react-{version}")
        command = ["node", workspace / "react" / "tests" / "bundle.mjs", version, folder]
        subprocess.run([*command, json.dumps({"options": OPTIONS, **given})], check=True, timeout=60)
        return folder

    return make


@pytest.fixture(params=[*at_length("18"), "19"], ids=lambda version: f"React {version}")
def version(request) -> str:
    """The version of React. With one version only, a difference between the two would go unnoticed."""
    return request.param


def opened(context: BrowserContext, folder: Path) -> Page:
    """Open the application in a new tab."""

    def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2] or "page.html"
        route.fulfill(path=folder / name, content_type="text/javascript" if name.endswith("js") else "text/html")

    page = context.new_page()
    page.route("**/react/*", answer)
    page.goto("/react/")
    return page


def shows(page: Page, name: str, text: str) -> None:
    expect(page.locator(f"#{name}")).to_have_text(text)


def answer(page: Page, form: str, **fields: str) -> None:
    """Fill a form, and send it."""
    for name, value in fields.items():
        page.locator(f"#{form} [name={name}]").fill(value)
    page.locator(f"#{form} button").first.click()


def sign_in(page: Page, person: Person) -> None:
    shows(page, "status", "anonymous")
    answer(page, "sign-in", email=person.email, password=person.password)
    shows(page, "status", "signed-in")


def test_all_tabs_show_who_signs_in_and_out(context, made, version, person):
    folder = made(version)
    page, other = opened(context, folder), opened(context, folder)
    sign_in(page, person)
    shows(other, "user", person.email)
    other.locator("#sign-out").click()
    for tab in (page, other):
        shows(tab, "status", "anonymous")
    assert page.evaluate("reported") == []


def test_requests_wait_until_the_user_has_authenticated_again(context, made, version, site, person):
    page = opened(context, made(version))
    sign_in(page, person)
    site.forward(7200)
    page.locator("#pay").click()
    shows(page, "offered", "password")
    page.locator("#end-others").click()
    answer(page, "again", password="wrong")
    shows(page, "refused", "invalid_credentials")
    answer(page, "again", password=person.password)
    shows(page, "paid", "200")
    # The change asks for less, and is asked for by itself.
    shows(page, "offered", "password")
    answer(page, "again", password=person.password)
    expect(page.locator("#again")).to_have_count(0)
    shows(page, "refused", "")


def test_what_the_server_has_rendered_is_corrected(context, made, version, person):
    """The session may have ended since. React must not find another page than it was given."""
    page = opened(context, made(version, initialUser={"id": "1", "email": person.email}))
    shows(page, "status", "anonymous")
    assert page.evaluate("reported") == []
