"""The demo, started by the README's command, and the steps on its page."""

import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.sites import SECRET_KEY, Person
from tests.clients.projects import ROOT, clean_environment
from tests.programs import free_port

DEMO_USER = Person("demo@latchkey.test", "latchkey-demo")
STEPS, THIEF = 7, 6
"""The steps of the story, and the one in which the session ends."""
STORY = 30_000
"""The time limit of a button's story, in milliseconds."""


class Demo:
    """A process that runs ``manage.py demo``, its output, and its database."""

    def __init__(self, folder: Path, port: int) -> None:
        self.origin = f"http://localhost:{port}"
        self.log = folder / "demo.log"
        self.database = folder / "demo.sqlite3"

    def session(self) -> dict[str, Any]:
        """Return the row of the newest session."""
        with sqlite3.connect(self.database) as connection:
            connection.row_factory = sqlite3.Row
            return dict(connection.execute("SELECT * FROM tokens_refreshtoken ORDER BY id DESC LIMIT 1").fetchone())


@contextmanager
def demo_served(folder: Path, **environment: str) -> Iterator[Demo]:
    """Run the demo with a database in this folder, and wait until it answers."""
    port = free_port()
    demo = Demo(folder, port)
    given = {"DEBUG": "true", "SECRET_KEY": SECRET_KEY, "DATABASE_URL": f"sqlite:///{demo.database}", **environment}
    env = clean_environment(**given)
    command = [sys.executable, "manage.py", "demo", "--port", str(port)]
    with demo.log.open("w") as log, subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log) as process:
        try:
            while not _answers(port):
                assert process.poll() is None, demo.log.read_text()
                time.sleep(0.1)
            yield demo
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def press(page: Page, *buttons: str) -> None:
    """Press these buttons, and wait for the end of each one's story."""
    for button in buttons:
        found = page.locator(f"[data-do={button}]")
        step = page.locator(f".demo-story details:not([open]):has([data-do={button}]) > summary")
        if step.count():
            step.click()
        found.click()
        expect(page.locator("#demo")).to_have_attribute("aria-busy", "false", timeout=STORY)


def follow_the_story(page: Page) -> list[str]:
    """Follow the steps by the texts of the page, and return the headings of the steps. Nobody is signed in at first.

    The thief's step ends the session, and itself leads to a new one and to the last step.
    """
    page.goto("/")
    page.get_by_role("link", name="Start the demo").click()
    opened, headings = page.locator(".demo-story [open]"), []
    for number in range(1, STEPS + 1):
        # The page of a new session opens its step when its script runs.
        expect(opened.get_by_role("heading")).to_have_text(re.compile(rf"^{number}\. "))
        headings.append(opened.get_by_role("heading").inner_text())
        expect(opened.get_by_text("What to watch for:")).to_be_visible()
        expect(opened.get_by_text("What happened:")).to_be_hidden()
        opened.get_by_role("button").click()
        if number > 1:
            expect(page.locator("#demo")).to_have_attribute("aria-busy", "false", timeout=STORY)
            expect(opened.get_by_text("What happened:")).to_be_visible()
            onward = opened.get_by_role("button", name=f"Sign in again, and go to step {number + 1}")
            (onward if number == THIEF else page.get_by_role("button", name="Next: ")).click()
    expect(opened.get_by_role("heading")).to_have_text("Go on from here")
    return headings


def marks(page: Page, more: str = "", timeline: str = "timeline") -> Locator:
    """The marks of requests on the timeline."""
    return page.locator(f"#{timeline} [data-outcome]{more}")


def drawn(page: Page, lane: str = "owner") -> list[str]:
    """Return the outcomes of the requests in a lane, from left to right."""
    return marks(page, f"[data-lane={lane}]").evaluate_all("all => all.map(each => each.dataset.outcome)")


def generations(page: Page) -> list[str]:
    """Return the generations of the server's row, from left to right."""
    return page.locator("#timeline .generation .number").all_text_contents()


def sentence(page: Page) -> str:
    """Return the newest sentence of the page's log."""
    return page.locator("#log li").first.inner_text()


def seconds_left(page: Page) -> int:
    """Return the remaining lifetime of the access token."""
    minutes, seconds = page.locator("#left").inner_text().split(":")
    return 60 * int(minutes) + int(seconds)
