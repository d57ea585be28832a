"""``examples/next``, started by its one command: two people, and their orders in one PostgreSQL."""

import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Page, expect

from tests.browser.demo import DEMO_USER
from tests.browser.nextjs.fresh import SECONDS, npm_environment
from tests.browser.sites import SECRET_KEY, Person
from tests.browser.steps import fill_in
from tests.clients.projects import ROOT
from tests.docs.blocks import Block, block
from tests.programs import free_port

pytestmark = pytest.mark.exhaustive

START = block("examples/next/README.md", "uv run python examples/next/dev.py")
ADMIN = Person("admin@latchkey.test", DEMO_USER.password)


def runs_blocks() -> list[Block]:
    return [START]


@pytest.fixture(scope="module")
def origin(tmp_path_factory) -> Iterator[str]:
    """The example's address. It runs in the checkout, as the README says, with a PostgreSQL of its own."""
    port, log = free_port(), tmp_path_factory.mktemp("example") / "log"
    ports = {"PORT": str(port), "LATCHKEY_PORT": str(free_port())}
    env = npm_environment(DEBUG="true", SECRET_KEY=SECRET_KEY, **ports)
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, *START.first.split()[3:]], cwd=ROOT, env=env, stdout=output, stderr=output
        ) as run,
    ):
        try:
            last = time.monotonic() + SECONDS
            while not _answers(port):
                assert run.poll() is None, log.read_text()
                assert time.monotonic() < last, log.read_text()
                time.sleep(0.5)
            yield f"http://localhost:{port}"
        finally:
            run.send_signal(signal.SIGTERM)


def _answers(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://localhost:{port}/", timeout=60) as page:
        return page.status == 200
    return False


def order(page: Page, origin: str, person: Person, article: str) -> None:
    """Sign in from the protected page, and order something there."""
    page.set_default_timeout(60_000)  # A page is compiled at its first request.
    page.goto(f"{origin}/orders")
    fill_in(page, person)
    expect(page.get_by_role("heading", name=f"The orders of {person.email}")).to_be_visible(timeout=60_000)
    page.get_by_label("Article").fill(article)
    page.get_by_role("button", name="Order").click()
    expect(page.get_by_role("listitem")).to_contain_text(article, timeout=60_000)


def test_each_person_sees_their_own_orders(new_context, origin):
    first, second = new_context().new_page(), new_context().new_page()
    order(first, origin, DEMO_USER, "a key")
    order(second, origin, ADMIN, "a lock")
    first.reload()
    expect(first.get_by_role("listitem")).to_have_count(1)
    expect(second.get_by_role("listitem")).to_have_count(1)
    first.get_by_role("button", name="Sign out").click()
    first.wait_for_url(f"{origin}/")
    first.get_by_role("link", name="Sign in to see your orders").click()
    first.wait_for_url("**/sign-in?next=%2Forders")
