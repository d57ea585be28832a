"""Pages fit a phone, are accessible in both colour schemes, work by keyboard, and obey their security policy.

The screenshots are taken on request::

    SCREENSHOTS=1 uv run pytest -n0 -m browser tests/browser/test_pages.py
"""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import LAPTOP, PHONE, RULES, RUN_AXE, at_length
from tests.browser.pages import LIKE_ANOTHER, LONG_NAME, PAGES
from tests.browser.palette import SCREENSHOTS, WANTED, with_palette
from tests.browser.sites import Person
from tests.browser.steps import sign_out

OWN = ("/", "/email/change", "/password/change", "/account/delete", "/sign-in/again")
PUBLIC = ("/register", "/password/reset", "/mail-sent", "/email/confirmed", "/password/changed", "/password/reset/done")
ADMIN = (
    *("/admin/", "/admin/accounts/user/", "/admin/tokens/refreshtoken/", "/admin/password_change/"),
    *at_length("/admin/tokens/", "/admin/accounts/user/add/", "/admin/tokens/refreshtoken/?revoked_at__isnull=True"),
    *at_length("/admin/tokens/device/", "/admin/tokens/securityevent/", "/admin/auth/group/add/"),
)


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.textContent.trim()")


@pytest.mark.parametrize("name", [*(name for name in PAGES if name not in LIKE_ANOTHER), *at_length(*LIKE_ANOTHER)])
def test_a_page_fits_a_phone_and_is_accessible_and_obeys_its_policy(visit, page, name, is_accessible):
    PAGES[name](visit)
    if WANTED:
        page.set_viewport_size({"width": 720, "height": 560})
        for scheme in RULES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            (SCREENSHOTS / f"{name}-{scheme}.png").write_bytes(with_palette(page.screenshot(full_page=True)))
    is_accessible()
    assert page.title().endswith(" · Latchkey")


def test_every_page_has_its_screenshots():
    existing = {path.name for path in SCREENSHOTS.glob("*.png")}
    assert existing >= {f"{name}-{scheme}.png" for name in PAGES for scheme in RULES}


@pytest.mark.parametrize("path", [OWN[0], PUBLIC[0], *at_length(*OWN[1:], *PUBLIC[1:])])
def test_a_signed_in_user_can_sign_out_on_every_page(signed_in, person, site, path):
    signed_in.set_viewport_size(PHONE)
    signed_in.goto(path)
    sign_out(signed_in)
    assert site.reasons(person) == ["signed_out"]
    signed_in.get_by_role("link", name="Sign in").click()
    expect(signed_in.get_by_label("Password")).to_be_visible()


def test_a_user_can_sign_in_and_end_a_session_by_keyboard(visit):
    page, keyboard = visit.page, visit.page.keyboard
    visit.sign_in_elsewhere("Lost phone")
    page.goto("/sign-in")
    for text in (visit.person.email, visit.person.password):
        keyboard.type(text)
        keyboard.press("Tab")
    for key in ("Space", "Tab", "Enter"):
        keyboard.press(key)
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
    assert "Latchkey" not in seen, "The link skips the page's header."
    keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("“Lost phone” is signed out.")
    assert visit.site.reasons(visit.person) == ["ended_by_user", ""]


class TestContentSecurityPolicy:
    @pytest.fixture
    def person(self, site) -> Person:
        """A user who may use the admin. Any other user would be asked to sign in on each of its pages."""
        return site.new_person(is_staff=True, is_superuser=True)

    def test_an_injected_script_does_not_run(self, page, refused):
        page.goto("/sign-in")
        page.evaluate("""() => {
            const script = document.createElement("script");
            script.textContent = "window.smuggled = true";
            document.body.append(script);
            const text = '<p style="color: red" onclick="window.smuggled = true">x</p>';
            document.body.insertAdjacentHTML("beforeend", text);
        }""")
        page.get_by_text("x", exact=True).click()
        assert page.evaluate("window.smuggled") is None
        # What the policy refuses is heard. Otherwise the tests that expect nothing to be refused could not fail.
        assert len(refused) == 3, refused

    @pytest.mark.parametrize("path", ADMIN)
    def test_the_admin_obeys_it(self, signed_in, path, refused):
        signed_in.goto(path)
        expect(signed_in.locator("#content h1").first).to_be_visible()
        assert refused == []

    @pytest.mark.parametrize(
        ("path", "in_sight"),
        [
            ("refreshtoken", ["user", "device", "state", "last_refreshed"]),
            ("securityevent", ["created_at", "kind", "user"]),
        ],
        ids=["sessions", "events"],
    )
    def test_a_list_of_the_admin_shows_in_one_line_what_identifies_a_row(self, signed_in, visit, path, in_sight):
        visit.sign_in_elsewhere(LONG_NAME, "2001:db8:85a3:1319:8a2e:370:7344:8a2e")
        signed_in.set_viewport_size(LAPTOP)
        signed_in.goto(f"/admin/tokens/{path}/")
        results = signed_in.locator(".results")
        right = results.bounding_box()["x"] + results.bounding_box()["width"]
        for name in in_sight:
            cell = signed_in.locator(f"#result_list thead .column-{name}").bounding_box()
            assert cell["x"] + cell["width"] <= right, name
        heights = signed_in.locator("#result_list tbody tr").evaluate_all("rows => rows.map(row => row.clientHeight)")
        assert max(heights) < 40, heights

    def test_the_dashboard_of_sessions_fits_a_phone_is_accessible_and_leads_to_the_list(self, signed_in, axe, refused):
        signed_in.goto("/admin/tokens/refreshtoken/")
        signed_in.get_by_role("link", name="Dashboard of sessions").click()
        signed_in.evaluate(axe)
        bars = signed_in.locator(".dashboard-chart svg").first.locator("rect:not(.of-hour)")
        expect(bars.last).to_have_attribute("height", re.compile("[1-9]"))
        for size in (PHONE, LAPTOP):
            signed_in.set_viewport_size(size)
            assert signed_in.evaluate("document.documentElement.scrollWidth") <= size["width"]
            for scheme in RULES:
                signed_in.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                signed_in.evaluate("document.getAnimations().forEach(each => each.finish())")
                if WANTED and size == LAPTOP:
                    picture = signed_in.locator("#content").screenshot()
                    (SCREENSHOTS / f"admin-dashboard-{scheme}.png").write_bytes(with_palette(picture))
                rules = {"runOnly": ["color-contrast", "svg-img-alt", "empty-heading"]}
                assert signed_in.evaluate(RUN_AXE, rules) == []
        signed_in.get_by_role("link", name=re.compile("Refreshed within the hour")).click()
        expect(signed_in.locator("#result_list tbody tr").first).to_be_visible()
        assert refused == []

    def test_revoking_sessions_in_the_admin_obeys_it(self, signed_in, person, site, refused):
        """These pages have widgets, pop-ups and a confirmation."""
        signed_in.goto(f"/admin/accounts/user/?q={person.email}")
        signed_in.get_by_role("link", name=person.email).first.click()
        signed_in.get_by_role("link", name="Revoke all sessions").click()
        signed_in.locator("#content [type=submit]").click()
        signed_in.goto("/admin/")
        assert (site.reasons(person), refused) == (["ended_by_staff"], [])

    def test_the_api_s_documentation_obeys_it(self, page, refused):
        page.goto("/api/docs")
        page.get_by_text("Sign in.", exact=True).click()
        for button in ("Try it out", "Execute"):
            page.get_by_role("button", name=button).click()
        expect(page.locator(".live-responses-table")).to_be_visible()
        assert refused == []
