"""Mails in a browser: what they tell of happens to real jars, their links work, and they look as they should."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect

from tests.browser.sites import ROOT, Person, Site
from tests.browser.steps import sign_in

Jar = Callable[..., BrowserContext]
PAGES = {"confirm_registration": "email/confirm", "new_device": "alarm", "token_used_twice": "alarm"}
"""Mails that are looked at, and where they lead."""


def link_in(mail: dict[str, str]) -> str:
    """The address that the mail's button leads to, the same in text and HTML."""
    (found,) = re.findall(r"https://\S+\?token=\S+", mail["text"])
    assert f'href="{found}"' in mail["html"]
    return str(found)


def is_in(page: Page, person: Person) -> bool:
    """Whether the browser is signed in, as it finds by going to the first page."""
    page.goto("/")
    return person.email in page.locator("body").inner_text()


def test_a_stolen_jar_puts_both_out_and_the_mails_link_puts_out_whoever_comes_after(page, context, jar, site, person):
    sign_in(page, person)
    thief = jar(base_url=site.origin)
    thief.add_cookies(context.cookies())  # type: ignore[arg-type]
    stolen = thief.new_page()
    for _ in range(2):
        site.forward(601)
        assert is_in(page, person)
    assert not is_in(stolen, person)
    assert not is_in(page, person)
    assert [row["revoked_reason"] for row in site.sessions(person)] == ["reuse_detected"]
    (mail,) = site.mails(person)
    assert mail["subject"] == "A session was ended for your safety"

    # The thief has the password, too, and the owner signs in again, as the mail says.
    sign_in(stolen, person)
    sign_in(page, person)
    reader = jar(base_url=site.origin).new_page()
    reader.goto(link_in(mail))
    assert is_in(stolen, person)
    assert is_in(page, person)
    reader.get_by_role("button", name="Sign out everywhere").click()
    expect(reader.get_by_role("heading")).to_have_text("You are signed out everywhere")
    assert not is_in(stolen, person)
    assert not is_in(page, person)
    assert "alarm" in site.events(person)

    reader.get_by_role("link", name="Choose a new password").click()
    reader.get_by_label("E-mail address").fill(person.email)
    reader.get_by_role("button", name="Send a link").click()
    expect(reader.get_by_role("heading")).to_have_text("Look into your mailbox")
    assert site.mails(person)[-1]["subject"] == "Choose a new password"


def test_a_second_browser_is_told_and_the_first_is_not(page, jar, site, person):
    sign_in(page, person)
    assert site.mails(person) == []
    second = jar(base_url=site.origin).new_page()
    sign_in(second, person)
    sign_out = second.get_by_role("button", name="Sign out", exact=True)
    sign_out.click()
    expect(sign_out).to_have_count(0)
    sign_in(second, person)
    (mail,) = site.mails(person)
    assert mail["subject"] == "A new device signed in"
    assert re.search(r"^Device: .*Chrome.* on Linux$", mail["text"], re.MULTILINE)
    assert re.search(r"^Address: 127\.0\.0\.1$", mail["text"], re.MULTILINE)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[str]:
    """``manage.py demo``, as a newcomer runs it; the address that it serves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "log"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "DEBUG": "true",
        "SECRET_KEY": "a secret of a demo that a browser visits, as long as it has to be",
        "DATABASE_URL": f"sqlite:///{tmp_path}/demo.sqlite3",
    }
    command = [sys.executable, "manage.py", "demo", f"--port={port}"]
    with (
        log.open("w") as file,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file) as process,
    ):
        try:
            while not _answers(port):
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            assert f"http://localhost:{port}/mailbox" in log.read_text()
            yield f"http://localhost:{port}"
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_in_development_a_page_shows_the_mails_and_their_links_work(demo, jar):
    person = Person("demo@latchkey.test", "latchkey-demo")
    first, second = jar(base_url=demo), jar(base_url=demo, color_scheme="dark")
    violations: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text or "Refused" in message.text:
            violations.append(message.text)

    first.on("console", note)
    owner, other = first.new_page(), second.new_page()
    owner.goto("/mailbox")
    expect(owner.locator("main")).to_contain_text("There is none yet")
    sign_in(owner, person)
    sign_in(other, person)

    _until_there(owner, "/mailbox", "A new device signed in")
    owner.get_by_role("link", name="A new device signed in").click()
    expect(owner.get_by_role("heading", level=1)).to_have_text("A new device signed in")
    expect(owner.locator("main")).to_contain_text("If it was you, there is nothing to do.")
    frame = owner.frame_locator("iframe")
    expect(frame.get_by_role("heading")).to_have_text("A new device signed in")
    # Its style is let in.
    expect(frame.get_by_role("link", name="This was not me")).to_have_css("background-color", "rgb(163, 38, 28)")
    assert violations == []

    with first.expect_page() as opened:
        frame.get_by_role("link", name="This was not me").click()
    alarm = opened.value
    alarm.get_by_role("button", name="Sign out everywhere").click()
    expect(alarm.get_by_role("heading")).to_have_text("You are signed out everywhere")
    assert not is_in(other, person)
    assert violations == []


def _until_there(page: Page, path: str, text: str) -> None:
    """Go to a page until it says this: a mail is delivered behind the request that sent it."""
    for _ in range(100):
        page.goto(path)
        if text in page.locator("main").inner_text():
            return
        page.wait_for_timeout(100)
    raise AssertionError(page.locator("main").inner_text())


def composed(site: Site, name: str) -> str:
    """The HTML of a mail that is the same in every run."""
    html: str = site.do(
        "from datetime import UTC, datetime\n"
        "from django.conf import settings\n"
        "from accounts import mail\n"
        "context['time'] = datetime(2030, 1, 1, 12, 30, tzinfo=UTC)\n"
        "message = mail.compose(name, 'a', link=settings.ORIGIN + path, **context)\n"
        "result = str(message.alternatives[0][0]).replace(settings.ORIGIN, 'https://app.test')",
        name=name,
        path=f"/{PAGES[name]}?token=WyIwMTlhMjBkNC04ZjYxIiwiRHMtYktuQVlMOU50NUpvVVlIYVhYUSIsIiJd.1xVod0.LZ1DAse",
        context={
            "email": "ada@example.org",
            "device": "Firefox on Windows",
            "ip": "192.0.2.7",
            "hours": 72,
            "purpose": PAGES[name],
        },
    )
    return html


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_mail_fits_a_phone_and_is_readable_in_both_schemes(site, jar, name, scheme):
    page = jar(color_scheme=scheme, viewport={"width": 700, "height": 500}).new_page()
    page.set_content(composed(site, name))
    page.screenshot(path=Path(__file__).parent / "screenshots" / f"mail-{name}-{scheme}.png", full_page=True)
    page.set_viewport_size({"width": 320, "height": 600})
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    for element in page.locator("h1, p, dt, dd, a, header, footer").all():
        assert element.evaluate(CONTRAST) >= 4.5, element.inner_text()
    assert page.locator(".button").bounding_box()["height"] >= 44  # type: ignore[index]


CONTRAST = """element => {
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map((part) => {
      const c = part / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let ground = element;
  while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
  const [low, high] = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor]
    .map(luminance).sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}"""
"""How far an element's text stands out from what is behind it (WCAG 2.2, contrast ratio)."""
