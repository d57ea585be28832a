"""The access token expires, and the user does not notice: on a page, in a script's request, in a form with its data."""

from playwright.sync_api import expect

from tests.browser.steps import EXPIRED, NOTE, assert_user, sign_in, tokens


def test_a_page_is_served_and_both_cookies_are_new(signed_in, context, site, person):
    before = {*tokens(context)}
    site.forward(EXPIRED)
    assert_user(signed_in, person)
    after = {*tokens(context)}
    assert None not in before | after
    assert not before & after
    assert site.generations(person) == [1]


def test_a_form_keeps_its_data(signed_in, site, person):
    signed_in.goto(NOTE)
    signed_in.get_by_label("Note").fill("written while the token expired")
    site.forward(EXPIRED)
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.locator("#noted")).to_have_text("written while the token expired")
    expect(signed_in.locator("#who")).to_have_text(person.email)


def test_a_remembered_browser_is_still_signed_in_days_later(page, site, person):
    sign_in(page, person, remember=True)
    for _ in range(3):
        site.forward(5 * 86400)
        assert_user(page, person)
    assert site.generations(person) == [3]


def test_twenty_parallel_requests_are_one_rotation_and_twenty_answers(signed_in, site, person):
    site.forward(EXPIRED)
    me = "() => fetch('/api/auth/me').then(async r => [r.status, (await r.json()).user.email])"
    answers = signed_in.evaluate(f"Promise.all(Array.from({{length: 20}}, {me}))")
    assert answers == [[200, person.email]] * 20
    assert site.generations(person) == [1]
    site.forward(EXPIRED)
    assert_user(signed_in, person)
    assert "reuse_detected" not in site.events(person)


def test_three_tabs_one_of_them_a_duplicate_are_one_session(page, context, site, person):
    sign_in(page, person, path=f"/sign-in?next={NOTE}")
    second = context.new_page()
    second.goto(NOTE)
    with context.expect_page() as opened:
        page.evaluate("void window.open(location.href)")
    tabs = [page, second, opened.value]
    for _ in range(5):
        site.forward(EXPIRED)
        for tab in tabs:
            tab.evaluate("void fetch('/probe/who').then(r => r.text()).then(text => (window.answer = text))")
        for tab in tabs:
            tab.wait_for_function("() => window.answer")
            assert person.email in tab.evaluate("const text = window.answer; window.answer = ''; text")
    assert (site.generations(person), site.reasons(person)) == ([5], [""])
