"""A new application with the package and the files of its guide: from the guard to the sign-out, over plain http."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import at_length
from tests.browser.demo import DEMO_USER, Demo
from tests.browser.nextjs.fresh import NEXT, SHORT, build, connect, created, latchkey, running, with_latchkey
from tests.browser.steps import fill_in
from tests.clients.projects import clean_environment
from tests.programs import free_port
from tests.scale.cluster import wait_for

CLOSED = (
    *("/account", "/account.rsc", "/anything", "/favicon.icoX", "/sign-inX", "/static/y", "/.well-known/security.txt"),
    *("/_next/staticX/y", "/_next/static", "/_next/static/y", "/_next/static/chunks/y.js", "/_next/static/../account"),
    *("/_next/static/..%2faccount", "/_next/imageX", "/_next/image/y", "/_next/image?url=%2Faccount&w=64&q=75"),
    "/_next/data/y/account.json",
)

COMPILING = 60_000
"""The time limit of a page in milliseconds. In development it is compiled at its first request."""


@dataclass
class Fresh:
    """An application, its Latchkey, and the port at which the application runs."""

    app: Path
    demo: Demo
    port: int


@pytest.fixture(scope="module", params=[*at_length("14", "15"), "16"], ids=lambda version: f"Next.js {version}")
def fresh(request, tmp_path_factory) -> Iterator[Fresh]:
    """A new application that follows the guide. Without it a step that the guide leaves out would go unnoticed."""
    folder, port = tmp_path_factory.mktemp("fresh"), free_port()
    app = with_latchkey(created(request.param, folder), folder / "checkout")
    build(app)
    with latchkey(folder, port, **SHORT) as demo:
        connect(app, port, demo)
        yield Fresh(app, demo, port)


@pytest.fixture
def context(new_context) -> BrowserContext:
    """The user's browser, without a base URL. The applications of these tests run at ports of their own."""
    return new_context()


def access_of(context: BrowserContext) -> str:
    (found,) = [each["value"] for each in context.cookies() if each["name"] == "access"]
    return found


def compile_pages(other: BrowserContext, origin: str) -> None:
    """Let ``next dev`` compile the pages, with another browser of the user. That may take longer than a token lives."""
    given = {"email": DEMO_USER.email, "password": DEMO_USER.password}
    assert other.request.post(f"{origin}/api/auth/login", data=given, headers={"Origin": origin}).status == 200
    for path in ("/account", "/api/whoami"):
        assert other.request.get(origin + path, headers={"Accept": "text/html"}, timeout=2 * COMPILING).status == 200


def walk(page: Page, context: BrowserContext, origin: str) -> None:
    """Sign in, read the page, let the access token expire, read it again, and sign out.

    In development Next.js writes into the console what is wrong with the code of a page, and shows it in a badge.
    """
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if "Next.js encountered" in line.text else None)
    page.set_default_timeout(COMPILING)
    assert page.goto(origin).status == 200
    page.goto(f"{origin}/account")
    assert page.url == f"{origin}/sign-in?next=%2Faccount"
    fill_in(page, DEMO_USER)
    greeting = page.get_by_role("heading", name=f"Hello {DEMO_USER.email}")
    expect(greeting).to_be_visible(timeout=COMPILING)
    assert page.url == f"{origin}/account"

    before = access_of(context)
    claims = jwt.decode(before, options={"verify_signature": False})
    page.wait_for_function("limit => Date.now() / 1000 > limit", arg=claims["exp"] - 10)
    visited: list[str] = []
    page.on("framenavigated", lambda frame: visited.append(frame.url))
    page.reload()
    expect(greeting).to_be_visible(timeout=COMPILING)
    assert set(visited) == {f"{origin}/account"}
    assert access_of(context) != before
    who = page.evaluate("fetch('/api/whoami').then((answer) => answer.json())")
    assert who == {"id": claims["sub"], "email": DEMO_USER.email}

    page.get_by_role("link", name="Your devices").click()
    expect(page.get_by_text("This device", exact=True)).to_be_visible()
    page.get_by_text("Rename").first.click()
    page.get_by_label("Name of the device").first.fill("A walk")
    page.get_by_role("button", name="Save").first.click()
    expect(page.get_by_role("status")).to_contain_text("A walk")
    assert page.url == f"{origin}/devices"

    page.goto(f"{origin}/account")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{origin}/")
    page.goto(f"{origin}/account")
    assert urlsplit(page.url).path == "/sign-in"
    expect(page.get_by_text("Your session has ended. Sign in again.")).to_be_visible()
    page.get_by_role("link", name="Forgotten your password?").click()
    assert page.url == f"{origin}/password/reset"
    assert errors == []


def follow_the_alarm(page: Page, origin: str) -> None:
    """Open the link of the mail about a new device, as the mailbox shows it in development."""

    def has_come() -> bool:
        page.goto(f"{origin}/mailbox")
        return mail.count() > 0

    mail = page.get_by_role("link", name="A new device signed in")
    wait_for(has_come, "a mail, which is sent after the sign-in is answered")
    mail.first.click()
    address = page.frame_locator("iframe").get_by_role("link", name="This was not me").get_attribute("href")
    assert address.startswith(f"{origin}/alarm")
    page.goto(address)
    expect(page.get_by_role("button", name="Sign out everywhere")).to_be_visible()


def test_an_origin_with_another_scheme_is_an_error_page_and_no_loop(fresh, page, context):
    other = free_port()
    # A browser sends the cookies of localhost to all its ports. Both run before the token is issued: it lives briefly.
    with (
        running(fresh.app, "start", fresh.port) as origin,
        running(fresh.app, "start", other, ORIGIN=f"https://localhost:{other}") as wrong,
    ):
        page.set_default_timeout(COMPILING)
        page.goto(f"{origin}/sign-in")
        fill_in(page, DEMO_USER)
        page.wait_for_url(f"{origin}/", wait_until="commit")
        answer = page.goto(f"{wrong}/account")
        assert answer.status == 500
        assert "Latchkey calls its cookie access, and this application expects __Host-access" in answer.text()


def test_a_server_without_its_variables_names_them_and_stops(fresh):
    env = clean_environment(NEXT_TELEMETRY_DISABLED="1", ORIGIN=" ")
    command = [*NEXT, "start", "--port", str(free_port())]
    done = subprocess.run(command, cwd=fresh.app, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "ORIGIN is not set" in done.stdout + done.stderr


@pytest.mark.parametrize("mode", ["start", pytest.param("dev", marks=pytest.mark.exhaustive)])
def test_from_the_guard_to_the_sign_out(fresh, page, context, new_context, mode):
    with running(fresh.app, mode, fresh.port) as origin:
        if mode == "dev":
            compile_pages(new_context(), origin)
        walk(page, context, origin)
        if mode == "dev":
            follow_the_alarm(page, origin)
        for path in CLOSED:
            answer = context.request.get(origin + path, headers={"Accept": "text/html"}, max_redirects=0)
            assert "guarded" not in answer.text(), path
        assert "guarded" not in context.request.get(f"{origin}/account", headers={"RSC": "1"}, max_redirects=0).text()


@pytest.mark.exhaustive
def test_in_development_the_sign_in_says_that_latchkey_does_not_run(fresh, context):
    nobody = f"http://127.0.0.1:{free_port()}"
    with running(fresh.app, "dev", fresh.port, AUTH_SERVER=nobody) as origin:
        answer = context.request.get(f"{origin}/account", headers={"Accept": "text/html"}, timeout=COMPILING)
    assert answer.url == f"{origin}/sign-in?next=%2Faccount"
    said = f"Latchkey does not answer at {nobody} (AUTH_SERVER). Is it running?\n"
    assert (answer.status, answer.text()) == (503, said)
