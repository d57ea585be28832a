"""The demo, as the README starts it: every button pressed in Chromium, what is drawn held against the server's row.

The pictures in ``screenshots`` are taken when they are asked for::

    SCREENSHOTS=1 uv run pytest -n0 -m browser tests/browser/test_demo.py
"""

import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.sites import ROOT, SECRET_KEY, Person
from tests.browser.steps import sign_in

SCREENSHOTS = Path(__file__).parent / "screenshots"
PERSON = Person("demo@latchkey.test", "latchkey-demo")
STORY = 30_000
"""Milliseconds that a story may take: it waits between its steps, so that they are seen."""


class Demo:
    """The server of ``manage.py demo``: what it printed, and its database."""

    def __init__(self, folder: Path, port: int) -> None:
        self.origin = f"http://localhost:{port}"
        self.log = folder / "demo.log"
        self.database = folder / "demo.sqlite3"
        self._port = port

    @property
    def said(self) -> str:
        return self.log.read_text()

    def wait(self, process: Any) -> "Demo":
        """Return when it answers."""
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self._port)).close()
            except OSError:
                time.sleep(0.1)
            else:
                return self
        raise AssertionError(self.said)

    def session(self) -> dict[str, Any]:
        """The row of the session that was opened last."""
        with sqlite3.connect(self.database) as connection:
            connection.row_factory = sqlite3.Row
            return dict(connection.execute("SELECT * FROM tokens_refreshtoken ORDER BY id DESC LIMIT 1").fetchone())


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The README's command, with a database and a secret of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = Demo(tmp_path_factory.mktemp("demo"), port)
    given = {
        "DEBUG": "true",
        "SECRET_KEY": SECRET_KEY,
        "ORIGIN": found.origin,
        "DATABASE_URL": f"sqlite:///{found.database}",
    }
    with (
        found.log.open("w") as log,
        subprocess.Popen(
            [sys.executable, "manage.py", "demo", "--port", str(port)],
            cwd=ROOT,
            env={name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | given,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield found.wait(process)
        finally:
            process.terminate()


@pytest.fixture
def context(jar: Callable[..., BrowserContext], demo: Demo) -> BrowserContext:
    return jar(base_url=demo.origin)


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that has nothing to complain of, a violation of the content security policy included."""
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    assert complaints == []


@pytest.fixture
def at_work(page: Page) -> Page:
    """Somebody who was led from the demo to sign in, and back; nothing pressed yet."""
    sign_in(page, PERSON, path="/demo")
    expect(page).to_have_url(re.compile("/demo$"))
    expect(marks(page)).to_have_count(1)
    return page


def press(page: Page, what: str) -> None:
    """Press a button, and wait for the end of its story."""
    page.locator(f"[data-do={what}]").click()
    expect(page.locator("#demo")).to_have_attribute("aria-busy", "false", timeout=STORY)


def marks(page: Page, more: str = "") -> Locator:
    return page.locator(f"#timeline [data-outcome]{more}")


def drawn(page: Page, lane: str = "owner") -> list[str]:
    """The outcomes in a lane, from left to right."""
    found: list[str] = marks(page, f"[data-lane={lane}]").evaluate_all("all => all.map(each => each.dataset.outcome)")
    return found


def generations(page: Page) -> list[str]:
    """The generations of the server's row, from left to right."""
    return page.locator("#timeline .generation .number").all_text_contents()


def said(page: Page) -> str:
    """The newest sentence."""
    return page.locator("#log li").first.inner_text()


def test_the_command_names_the_page(demo):
    assert f"{demo.origin}/demo " in demo.said


def test_somebody_is_led_to_sign_in_and_back_and_sees_that_request_drawn(at_work):
    assert drawn(at_work) == ["served"], "the page itself was the first request"
    assert generations(at_work) == ["0"]
    expect(at_work.locator("#held")).to_have_text("0")
    expect(at_work.locator("#life")).to_have_text("good: no query is needed")


def test_a_request_with_a_good_token_is_served(at_work, demo):
    press(at_work, "ask")
    assert drawn(at_work) == ["served", "served"]
    assert "asked no database" in said(at_work)
    assert demo.session()["generation"] == 0


def test_the_token_expires_and_the_next_request_refreshes(at_work, demo):
    press(at_work, "expire")
    expect(at_work.locator("#left")).to_have_text("0:00")
    expect(at_work.locator("#life")).to_have_text("expired: the next request refreshes")
    expect(at_work.locator("#timeline .lanes .expired")).not_to_have_count(0)
    assert demo.session()["generation"] == 0
    press(at_work, "ask")
    assert drawn(at_work) == ["served", "refreshed"]
    assert generations(at_work) == ["0", "1"]
    assert "Generation 0 → 1" in said(at_work)
    expect(at_work.locator("#left")).to_have_text(re.compile("^(10|9|8):"))
    assert demo.session()["generation"] == 1


def test_time_passes_and_the_token_is_that_much_older(at_work):
    before = seconds_left(at_work)
    press(at_work, "wait")
    expect(at_work.locator("#timeline text.gap")).to_have_text("+2:00")
    assert seconds_left(at_work) <= before - 120
    press(at_work, "ask")
    assert drawn(at_work) == ["served", "served"]


def seconds_left(page: Page) -> int:
    minutes, seconds = page.locator("#left").inner_text().split(":")
    return 60 * int(minutes) + int(seconds)


def test_of_twenty_requests_at_once_one_refreshes_and_all_are_answered(at_work, demo):
    press(at_work, "crowd")
    outcomes = Counter(drawn(at_work)[1:])
    assert outcomes.total() == 20
    assert outcomes["refreshed"] == 1
    # One that the browser sends late, after the first answer, has a good token already.
    assert outcomes["repeated"] + outcomes["served"] == 19
    assert outcomes["repeated"] > 0
    assert generations(at_work) == ["0", "1"]
    assert "20 requests left at once" in said(at_work)
    assert "1 refreshed" in said(at_work)
    assert "Generation 0 → 1" in said(at_work)
    session = demo.session()
    assert (session["generation"], session["revoked_reason"]) == (1, "")


def test_a_lost_response_is_recovered(at_work, demo):
    press(at_work, "lose")
    assert drawn(at_work) == ["served", "refreshed", "recovered"]
    expect(marks(at_work, "[data-lost]")).to_have_attribute("data-outcome", "refreshed")
    expect(at_work.locator("#timeline .broken")).to_have_count(1)
    assert generations(at_work) == ["0", "1"]
    expect(at_work.locator("#log")).to_contain_text("but the answer was lost: the browser still holds 0")
    assert "Generation 0 was presented again" in said(at_work)
    session = demo.session()
    assert (session["generation"], session["recovered"], session["revoked_reason"]) == (1, 1, "")


def test_the_thief_is_noticed_and_both_are_out_until_the_owner_signs_in_again(at_work, demo):
    press(at_work, "thief")
    assert drawn(at_work, "thief") == ["served", "refused"]
    assert drawn(at_work) == ["served", "refreshed", "served", "refused"]
    expect(at_work.locator("#timeline [data-theft]")).to_have_count(1)
    expect(at_work.locator("#timeline .stop")).to_have_count(2)
    expect(at_work.locator("#timeline .server .cross")).to_have_count(1)
    expect(at_work.locator("#log")).to_contain_text("The thief presented generation 0, but 1 is in use")
    assert demo.session()["revoked_reason"] == "reuse_detected"
    expect(at_work.get_by_text("This session has ended, in every jar.")).to_be_visible()
    for button in at_work.locator("[data-do]").all():
        expect(button).to_be_disabled()

    at_work.get_by_role("link", name="Sign in again").click()
    at_work.get_by_label("E-mail address").fill(PERSON.email)
    at_work.get_by_label("Password").fill(PERSON.password)
    at_work.get_by_role("button", name="Sign in").click()
    expect(at_work).to_have_url(re.compile("/demo$"))
    press(at_work, "ask")
    assert drawn(at_work) == ["served", "served"]
    assert demo.session()["revoked_reason"] == ""


@pytest.mark.exhaustive
def test_every_story_can_be_told_after_every_other(at_work, demo):
    for what in ("lose", "crowd", "expire", "lose", "expire", "crowd", "wait"):
        press(at_work, what)
    assert generations(at_work) == ["0", "1", "2", "3", "4"]
    assert demo.session()["generation"] == 4
    press(at_work, "clear")
    assert drawn(at_work) == ["served"]
    assert generations(at_work) == ["4"]


def test_a_session_that_was_signed_out_in_another_tab_is_shown_as_ended(at_work, context):
    elsewhere = context.new_page()
    elsewhere.goto("/")
    elsewhere.get_by_role("banner").get_by_role("button", name="Sign out").click()
    expect(elsewhere.get_by_role("link", name="Sign in")).to_be_visible()
    press(at_work, "expire")
    press(at_work, "ask")
    assert drawn(at_work)[-1] == "refused"
    expect(at_work.get_by_role("link", name="Sign in again")).to_be_visible()


def test_the_keyboard_does_it_too_and_keeps_its_place(at_work):
    button = at_work.get_by_role("button", name="Let the token expire")
    button.focus()
    at_work.keyboard.press("Enter")
    expect(at_work.locator("#life")).to_have_text("expired: the next request refreshes")
    expect(button).to_be_focused()


def test_nothing_is_wider_than_a_phone(at_work):
    at_work.set_viewport_size({"width": 360, "height": 740})
    press(at_work, "crowd")
    assert at_work.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_javascript_it_says_that_it_needs_it(jar, demo):
    page = jar(base_url=demo.origin, java_script_enabled=False).new_page()
    sign_in(page, PERSON, path="/demo")
    expect(page.get_by_text("This page draws with JavaScript")).to_be_visible()
    expect(page.locator("[data-do]").first).to_be_hidden()


@pytest.mark.skipif("SCREENSHOTS" not in os.environ, reason="pictures are taken when SCREENSHOTS is set")
@pytest.mark.parametrize(
    ("name", "width", "stories"), [("demo", 900, ["crowd", "lose", "thief"]), ("demo-phone", 390, ["crowd", "lose"])]
)
def test_pictures_are_taken(at_work, name, width, stories):
    at_work.set_viewport_size({"width": width, "height": 844})
    for what in stories:
        press(at_work, what)
    at_work.emulate_media(reduced_motion="reduce")
    drawing = at_work.locator(".demo-drawing").evaluate(
        "it => it.parentElement.getBoundingClientRect().bottom + scrollY"
    )
    clip = {"x": 0, "y": 0, "width": width, "height": drawing + 16}
    for scheme in ("light", "dark"):
        at_work.emulate_media(color_scheme=scheme)
        at_work.screenshot(path=SCREENSHOTS / f"{name}-{scheme}.png", full_page=True, clip=clip)
