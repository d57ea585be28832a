"""The access token expires, and the user does not notice: on a page, and in a form with its data."""

from playwright.sync_api import expect

from tests.browser.steps import EXPIRED, NOTE, assert_user, tokens


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
