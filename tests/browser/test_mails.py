"""Mails in a browser: they are sent when they should be, their links work, and they are readable."""

import re

from playwright.sync_api import Page, expect

from tests.browser.palette import SCREENSHOTS, WANTED
from tests.browser.sites import Person, Site
from tests.browser.steps import EXPIRED, sign_in, sign_out

MAILS = {"confirm_registration": "email/confirm", "new_device": "alarm", "token_used_twice": "alarm"}
"""The mails whose looks are tested, and the paths of their links."""


def link_in(mail: dict[str, str]) -> str:
    """Return the address of the mail's button, which is the same in text and HTML."""
    (found,) = re.findall(r"https://\S+\?token=\S+", mail["text"])
    assert f'href="{found}"' in mail["html"]
    return str(found)


def is_signed_in(page: Page, person: Person) -> bool:
    page.goto("/")
    return person.email in page.locator("body").inner_text()


def test_a_stolen_cookie_ends_the_session_for_both(signed_in, context, new_context, site, person):
    """The mail about it has a link that ends all other sessions too."""
    thief = new_context(base_url=site.origin)
    thief.add_cookies(context.cookies())
    stolen = thief.new_page()
    for _ in range(2):
        site.forward(EXPIRED)
        assert is_signed_in(signed_in, person)
    assert [is_signed_in(tab, person) for tab in (stolen, signed_in)] == [False, False]
    assert site.reasons(person) == ["reuse_detected"]
    *_, mail = site.mails(person)
    assert mail["subject"] == "A session was ended for your safety"

    # The attacker also has the password. The owner signs in again, as the mail recommends.
    sign_in(stolen, person)
    sign_in(signed_in, person)
    reader = new_context(base_url=site.origin).new_page()
    reader.goto(link_in(mail))
    assert [is_signed_in(tab, person) for tab in (stolen, signed_in)] == [True, True]
    reader.get_by_role("button", name="Sign out everywhere").click()
    expect(reader.get_by_role("heading")).to_have_text("You are signed out everywhere")
    assert [is_signed_in(tab, person) for tab in (stolen, signed_in)] == [False, False]
    assert "alarm" in site.events(person)

    reader.get_by_role("link", name="Choose a new password").click()
    reader.get_by_label("E-mail address").fill(person.email)
    reader.get_by_role("button", name="Send a link").click()
    expect(reader.get_by_role("heading")).to_have_text("Check your mail")
    assert site.mails(person)[-1]["subject"] == "Choose a new password"


def test_a_sign_in_in_a_second_browser_is_reported_once_like_the_first_ever(signed_in, new_context, site, person):
    (first,) = site.mails(person)
    second = new_context(base_url=site.origin).new_page()
    sign_in(second, person)
    sign_out(second)
    sign_in(second, person)
    _, mail = site.mails(person)
    assert mail["subject"] == first["subject"] == "A new device signed in"
    assert re.search(r"^Device: “.*Chrome.* on Linux”$", mail["text"], re.MULTILINE)
    assert re.search(r"^Address: 127\.0\.0\.1$", mail["text"], re.MULTILINE)


def composed(site: Site, name: str) -> str:
    """Return the HTML of a mail, with the same content in every run."""
    given = {"email": "ada@example.org", "device": "Firefox on Windows", "ip": "192.0.2.7", "hours": 72}
    return site.do(
        "from datetime import UTC, datetime\n"
        "from django.conf import settings\n"
        "from accounts import mail\n"
        "context['time'] = datetime(2030, 1, 1, 12, 30, tzinfo=UTC)\n"
        "message = mail.compose(name, 'a', link=settings.ORIGIN + path, **context)\n"
        "result = str(message.alternatives[0][0]).replace(settings.ORIGIN, 'https://app.test')",
        name=name,
        path=f"/{MAILS[name]}?token=WyIwMTlhMjBkNC04ZjYxIiwiRHMtYktuQVlMOU50NUpvVVlIYVhYUSIsIiJd.1xVod0.LZ1DAse",
        context={**given, "purpose": MAILS[name]},
    )


def test_each_mail_fits_a_phone_and_is_readable_in_both_colour_schemes(site, new_context):
    page = new_context().new_page()
    for name in MAILS:
        page.set_content(composed(site, name))
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": 700, "height": 500})
            if WANTED:
                page.screenshot(path=SCREENSHOTS / f"mail-{name}-{scheme}.png", full_page=True)
            page.set_viewport_size({"width": 320, "height": 600})
            assert page.evaluate("document.documentElement.scrollWidth") == 320, name
            contrasts = page.locator("h1, p, dt, dd, a, header, footer").evaluate_all(CONTRASTS)
            assert [text for contrast, text in contrasts if contrast < 4.5] == [], (name, scheme)
            assert page.locator(".button").bounding_box()["height"] >= 44


CONTRASTS = """elements => elements.map(element => {
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
  return [(high + 0.05) / (low + 0.05), element.innerText];
})"""
"""Returns the contrast ratio of each element's text and its background (WCAG 2.2), and the text."""
