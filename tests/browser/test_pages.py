"""Pages are for everybody: on a phone, in the dark, with a screen reader, by the keyboard. They run our files alone."""

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect

from tests.browser.conftest import at_length
from tests.browser.pages import PAGES
from tests.browser.steps import sign_in

PHONE, LAPTOP = {"width": 320, "height": 640}, {"width": 1280, "height": 800}
RUN_AXE = """async options => (await axe.run(options)).violations.map(
    found => [found.id, ...found.nodes.map(node => node.html)]
)"""
RULES = {"light": {"rules": {"target-size": {"enabled": True}}}, "dark": {"runOnly": ["color-contrast"]}}
"""All of axe's, and of those that are about colours once more in the dark."""
OWN = ("/", "/email/change", "/password/change", "/account/delete", "/sign-in/again")
OPEN = ("/register", "/password/reset", "/mail-sent", "/email/confirmed", "/password/changed", "/password/reset/done")
ADMIN = (
    "/admin/",
    "/admin/accounts/user/",
    "/admin/tokens/refreshtoken/",
    "/admin/password_change/",
    *at_length(
        "/admin/accounts/user/add/",
        "/admin/tokens/refreshtoken/?revoked_at__isnull=True",
        "/admin/tokens/device/",
        "/admin/tokens/securityevent/",
        "/admin/auth/group/add/",
    ),
)


@pytest.fixture
def refused(context: BrowserContext) -> list[str]:
    """What the content security policy has stopped in this browser, as its console tells."""
    told: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            told.append(message.text)

    context.on("console", note)
    return told


def focused(page: Page) -> str:
    text: str = page.evaluate("document.activeElement.textContent.trim()")
    return text


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everybody(visit, name, axe, refused):
    PAGES[name](visit)
    page = visit.page
    page.evaluate(axe)
    for size in (PHONE, LAPTOP):
        page.set_viewport_size(size)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        for scheme, rules in RULES.items():
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            assert page.evaluate(RUN_AXE, rules) == [], (size, scheme)
    assert page.title().endswith(" · Latchkey")
    assert refused == []


def test_a_script_that_was_smuggled_in_does_not_run(page, refused):
    page.goto("/sign-in")
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "window.smuggled = true";
        document.body.append(script);
        document.body.insertAdjacentHTML("beforeend", '<p style="color: red" onclick="window.smuggled = true">x</p>');
    }""")
    page.get_by_text("x", exact=True).click()
    assert page.evaluate("window.smuggled") is None
    assert len(refused) == 3, refused


@pytest.mark.parametrize("path", [OWN[0], OPEN[0], *at_length(*OWN[1:], *OPEN[1:])])
def test_whoever_is_signed_in_sees_the_way_out_on_every_page(page, person, site, path):
    page.set_viewport_size(PHONE)
    sign_in(page, person)
    page.goto(path)
    page.get_by_role("banner").get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    assert site.sessions(person)[0]["revoked_reason"] == "signed_out"
    page.get_by_role("link", name="Sign in").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_the_keyboard_alone_signs_in_and_ends_a_session(visit):
    page, keyboard = visit.page, visit.page.keyboard
    visit.sign_in_elsewhere("Lost phone")
    page.goto("/sign-in")
    for text in (visit.person.email, visit.person.password):
        keyboard.type(text)
        keyboard.press("Tab")
    keyboard.press("Space")
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your devices")
    keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    keyboard.press("Enter")
    seen = []
    while focused(page) != "Sign out Lost phone":
        keyboard.press("Tab")
        seen.append(focused(page))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px", seen
        assert "Delete your account" not in seen, seen
    assert "Latchkey" not in seen, "The link has skipped what is above."
    keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("“Lost phone” is signed out.")
    assert [row["revoked_reason"] for row in visit.site.sessions(visit.person)] == ["ended_by_user", ""]


@pytest.mark.parametrize("path", ADMIN)
def test_the_policy_holds_for_the_administration(page, site, path, refused):
    sign_in(page, site.new_person(is_staff=True, is_superuser=True))
    page.goto(path)
    expect(page.locator("#content h1").first).to_be_visible()
    assert refused == []


def test_the_policy_holds_for_what_the_administration_does(page, site, refused):
    """Looks at somebody, and ends what they have: pages with widgets, pop-ups and a confirmation."""
    boss = site.new_person(is_staff=True, is_superuser=True)
    sign_in(page, boss)
    page.goto(f"/admin/accounts/user/?q={boss.email}")
    page.get_by_role("link", name=boss.email).first.click()
    page.get_by_role("link", name="Revoke all sessions").click()
    page.locator("#content [type=submit]").click()
    page.goto("/admin/")
    assert site.sessions(boss)[0]["revoked_reason"] == "ended_by_staff"
    assert refused == []


def test_the_policy_holds_for_the_api_s_description(page, refused):
    page.goto("/api/docs")
    page.get_by_text("Sign in.", exact=True).click()
    expect(page.get_by_role("button", name="Try it out")).to_be_visible()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table")).to_be_visible()
    assert refused == []
