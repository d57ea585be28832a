"""Pages of another site send requests to ours, with or without the user's cookies, and change nothing."""

import pytest
from playwright.sync_api import Error, Page, expect

from tests.browser.conftest import at_length
from tests.browser.steps import EXPIRED, NOTE, assert_user, is_error_page, show_other_site, tokens

FORM = """<form method="post" action="{action}" enctype="{enctype}">{fields}<button>Win</button></form>"""
FETCH = """([url, method, mode]) => fetch(url, {method, mode, credentials: 'include'})
    .then(async answer => [answer.type, await answer.text()], () => 'refused')"""
with_both_tokens = pytest.mark.parametrize("seconds", [0, EXPIRED], ids=["a good token", "an expired token"])


@pytest.fixture
def evil(context) -> Page:
    """A tab of the user's browser that shows a page of another site. The browser sends our cookies from it or not."""
    page = context.new_page()
    show_other_site(page)
    return page


def post_form(evil: Page, action: str, enctype: str = "application/x-www-form-urlencoded", **fields: str) -> int:
    """Send a form of the other site to ours, and return the status of the answer."""
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    evil.set_content(FORM.format(action=action, enctype=enctype, fields=inputs))
    try:
        with evil.expect_navigation() as going:
            evil.get_by_role("button").click()
    except Error as error:
        if "NS_ERROR_NET_ERROR_RESPONSE" not in str(error):
            raise
        pytest.skip("Firefox shows no answer like this one, and its driver does not tell the status then.")
    return going.value.status


@pytest.mark.parametrize(
    "path", [NOTE, "/api/auth/logout", *at_length("/sign-out", "/api/auth/sessions", "/email/change")]
)
@with_both_tokens
def test_a_form_is_rejected_and_changes_nothing(signed_in, context, site, person, evil, path, seconds):
    site.forward(seconds)
    before = tokens(context)
    assert post_form(evil, site.origin + path, note="changed", email="thief@evil.test") in {403, 405}
    assert (tokens(context), site.generations(person), site.reasons(person)) == (before, [0], [""])
    assert_user(signed_in, person)


def test_a_form_disguised_as_json_does_not_sign_in(context, site, evil):
    thief = site.new_person()
    # A form can write a kind of JSON into a text/plain body, with its "=" inside of a string.
    disguised = f'{{"email": "{thief.email}", "password": "{thief.password}", "x": "'
    fields = {disguised.replace('"', "&quot;"): "&quot;}"}
    assert post_form(evil, f"{site.origin}/api/auth/login", "text/plain", **fields) == 403
    assert context.cookies(site.origin) == site.sessions(thief) == []


@pytest.mark.parametrize("path", ["/api/auth/login", "/sign-in"])
def test_a_form_does_not_sign_in(context, site, evil, path):
    thief = site.new_person()
    fields = {"email": thief.email, "username": thief.email, "password": thief.password}
    assert post_form(evil, site.origin + path, **fields) == 403
    assert (tokens(context), site.sessions(thief)) == ((None, None), [])


@pytest.mark.parametrize("mode", ["cors", *at_length("no-cors")])
@with_both_tokens
def test_a_fetch_reads_and_changes_nothing(signed_in, context, site, person, evil, mode, seconds):
    site.forward(seconds)
    before = tokens(context)
    for method in ("GET", "POST"):
        for path in ("/api/auth/me", "/api/auth/refresh", "/api/auth/logout", NOTE):
            assert evil.evaluate(FETCH, [site.origin + path, method, mode]) in ("refused", ["opaque", ""])
    assert (tokens(context), site.generations(person), site.reasons(person)) == (before, [0], [""])


def test_our_pages_are_not_shown_in_a_frame(signed_in, site, person, evil):
    evil.set_content(f'<iframe src="{site.origin}/"></iframe>')
    expect(evil.frame_locator("iframe").get_by_text(person.email)).to_have_count(0)
    assert is_error_page(evil.frames[1].url)
