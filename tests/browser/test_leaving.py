"""The back button after signing in and out."""

from playwright.sync_api import expect

from tests.browser.steps import assert_user, sign_out, tokens


def test_the_back_button_after_signing_out_shows_nothing_of_the_user(signed_in, context, person):
    expect(signed_in.get_by_text(person.email)).to_be_visible()
    sign_out(signed_in)
    assert tokens(context) == (None, None)
    # After the answer to Playwright, which would fail if the page was left before.
    signed_in.evaluate("void setTimeout(() => history.back())")
    expect(signed_in.get_by_label("Password")).to_be_visible()
    expect(signed_in.get_by_text(person.email)).to_have_count(0)


def test_the_back_button_after_signing_in_does_not_sign_out(signed_in, person):
    signed_in.go_back()
    assert_user(signed_in, person)
