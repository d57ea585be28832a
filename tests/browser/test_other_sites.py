"""Pages of another site send the browser to ours: it brings its cookies or not, and nothing is changed."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import at_length
from tests.browser.steps import ACCESS, REFRESH, cookie, sign_in

EVIL = "https://evil.test/"
FORM = (
    """<!doctype html><form method="post" action="{action}" enctype="{enctype}">{fields}<button>Win</button></form>"""
)
FORM_ENCODING = "application/x-www-form-urlencoded"


@pytest.fixture
def evil(context: BrowserContext) -> Page:
    """A tab of the person's browser that shows another site."""
    context.route(f"{EVIL}**", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    page = context.new_page()
    page.goto(EVIL)
    return page


def post_form(evil: Page, action: str, enctype: str = FORM_ENCODING, **fields: str) -> int:
    """Let the other site send a form of its own to ours; return the status of the answer."""
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    evil.set_content(FORM.format(action=action, enctype=enctype, fields=inputs))
    with evil.expect_navigation() as going:
        evil.get_by_role("button").click()
    response = going.value
    assert response is not None
    return response.status


@pytest.mark.parametrize(
    "path", ["/probe/note", "/api/auth/logout", *at_length("/sign-out", "/api/auth/sessions", "/email/change")]
)
@pytest.mark.parametrize("seconds", [0, 601], ids=["token good", "token expired"])
def test_a_form_is_refused_and_changes_nothing(page, context, site, person, evil, path, seconds):
    sign_in(page, person)
    site.forward(seconds)
    before = cookie(context, ACCESS), cookie(context, REFRESH)
    assert post_form(evil, site.origin + path, note="changed", email="thief@evil.test") in {403, 405}
    assert (cookie(context, ACCESS), cookie(context, REFRESH)) == before
    assert [(s["generation"], s["revoked_reason"]) for s in site.sessions(person)] == [(0, "")]
    page.goto("/probe/note")
    expect(page.locator("#who")).to_have_text(person.email)


def test_a_form_dressed_as_json_signs_nobody_in(context, site, evil):
    thief = site.new_person()
    # A form can write JSON of a kind into a text/plain body, with the "=" in a string.
    dressed = f'{{"email": "{thief.email}", "password": "{thief.password}", "x": "'
    fields = {dressed.replace('"', "&quot;"): "&quot;}"}
    assert post_form(evil, f"{site.origin}/api/auth/login", "text/plain", **fields) == 403
    assert context.cookies(site.origin) == []
    assert site.sessions(thief) == []


@pytest.mark.parametrize("path", ["/api/auth/login", "/sign-in"])
def test_a_form_signs_nobody_in(context, site, evil, path):
    thief = site.new_person()
    fields = {"email": thief.email, "username": thief.email, "password": thief.password}
    assert post_form(evil, site.origin + path, **fields) == 403
    assert cookie(context, ACCESS) is cookie(context, REFRESH) is None
    assert site.sessions(thief) == []


@pytest.mark.parametrize("mode", ["cors", *at_length("no-cors")])
@pytest.mark.parametrize("seconds", [0, 601], ids=["token good", "token expired"])
def test_a_fetch_learns_and_changes_nothing(page, context, site, person, evil, mode, seconds):
    sign_in(page, person)
    site.forward(seconds)
    before = cookie(context, ACCESS), cookie(context, REFRESH)
    for method in ("GET", "POST"):
        for path in ("/api/auth/me", "/api/auth/refresh", "/api/auth/logout", "/probe/note"):
            said = evil.evaluate(
                "([url, method, mode]) => fetch(url, {method, mode, credentials: 'include'})"
                ".then(async answer => [answer.type, await answer.text()], () => 'refused')",
                [site.origin + path, method, mode],
            )
            assert said in ("refused", ["opaque", ""])
    assert (cookie(context, ACCESS), cookie(context, REFRESH)) == before
    assert [(s["generation"], s["revoked_reason"]) for s in site.sessions(person)] == [(0, "")]


def test_a_link_from_a_mail_arrives_signed_in_and_may_refresh(page, site, person, evil):
    sign_in(page, person)
    site.forward(601)
    evil.set_content(f'<a href="{site.origin}/probe/note">look</a>')
    evil.get_by_role("link").click()
    expect(evil.locator("#who")).to_have_text(person.email)


def test_our_pages_are_not_framed(site, person, page, evil):
    sign_in(page, person)
    evil.set_content(f'<iframe src="{site.origin}/"></iframe>')
    frame = evil.frame_locator("iframe")
    expect(frame.get_by_text(person.email)).to_have_count(0)
    assert evil.frames[1].url.startswith("chrome-error:")
