"""The access token expires, and nobody notices: on a page, in a script's request, in a form with its data."""

from playwright.sync_api import expect

from tests.browser.steps import ACCESS, REFRESH, cookie, gather, sign_in

LONGER_THAN_A_TOKEN = 601


def test_a_page_is_served_and_both_cookies_are_new(page, context, site, person):
    sign_in(page, person)
    before = {cookie(context, ACCESS), cookie(context, REFRESH)}
    site.forward(LONGER_THAN_A_TOKEN)
    page.goto("/probe/note")
    expect(page.locator("#who")).to_have_text(person.email)
    after = {cookie(context, ACCESS), cookie(context, REFRESH)}
    assert None not in before | after
    assert not before & after
    assert [session["generation"] for session in site.sessions(person)] == [1]


def test_a_script_is_answered(page, site, person):
    sign_in(page, person)
    site.forward(LONGER_THAN_A_TOKEN)
    answer = page.evaluate("fetch('/api/auth/me').then(async r => [r.status, (await r.json()).user.email])")
    assert answer == [200, person.email]
    assert [session["generation"] for session in site.sessions(person)] == [1]


def test_a_form_keeps_its_data(page, site, person):
    sign_in(page, person)
    page.goto("/probe/note")
    page.get_by_label("Note").fill("written while the token expired")
    site.forward(LONGER_THAN_A_TOKEN)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#noted")).to_have_text("written while the token expired")
    expect(page.locator("#who")).to_have_text(person.email)


def test_days_later_a_remembered_browser_is_still_signed_in(page, site, person):
    sign_in(page, person, remember=True)
    for _ in range(3):
        site.forward(5 * 86400)
        page.goto("/probe/note")
        expect(page.locator("#who")).to_have_text(person.email)
    assert [session["generation"] for session in site.sessions(person)] == [3]


def test_twenty_requests_at_once_are_one_rotation_and_twenty_answers(page, site, person):
    sign_in(page, person)
    site.forward(LONGER_THAN_A_TOKEN)
    assert gather(page, "/api/auth/me", 20) == [200] * 20
    assert [session["generation"] for session in site.sessions(person)] == [1]
    site.forward(LONGER_THAN_A_TOKEN)
    page.goto("/probe/note")
    expect(page.locator("#who")).to_have_text(person.email)
    assert "reuse_detected" not in site.events(person)


def test_three_tabs_one_of_them_a_duplicate_are_one_session(page, context, site, person):
    sign_in(page, person, path="/sign-in?next=/probe/note")
    second = context.new_page()
    second.goto("/probe/note")
    with context.expect_page() as opened:
        page.evaluate("void window.open(location.href)")
    tabs = [page, second, opened.value]
    for _ in range(5):
        site.forward(LONGER_THAN_A_TOKEN)
        for tab in tabs:
            tab.evaluate("void fetch('/probe/who').then(r => r.text()).then(text => (window.answer = text))")
        for tab in tabs:
            tab.wait_for_function("() => window.answer")
            assert person.email in tab.evaluate("const text = window.answer; window.answer = ''; text")
    (session,) = site.sessions(person)
    assert (session["generation"], session["revoked_reason"]) == (5, "")
