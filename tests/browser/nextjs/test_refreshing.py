"""An expired access token is replaced on the way, and neither the browser nor the server's code notices."""

import re
import time
from contextlib import ExitStack

import pytest
from playwright.sync_api import expect

from tests.browser.nextjs.visits import set_cookies
from tests.browser.steps import ACCESS, REFRESH, cookie, tokens

ATTRIBUTES = "HttpOnly; Path=/; SameSite=Lax; Secure"
"""The attributes of Latchkey's cookies in a session that is not to be remembered."""
TWENTY_FETCHES = "() => Promise.all(Array.from({length: 20}, () => fetch('/api/whoami').then((got) => got.json())))"


def test_a_page_with_an_expired_token_is_rendered_with_the_new_one(visitor, page, context, site, person):
    visitor.sign_in_ten_minutes_ago()
    before = tokens(context)
    response = page.goto("/account")
    after = tokens(context)
    assert None not in {*before, *after}
    assert not {*before} & {*after}
    (session,) = site.sessions(person)
    found = visitor.facts()
    assert found["gen"] == session["generation"] == 1
    assert found["sid"] == session["id"]
    assert found["exp"] > time.time()
    assert str(after[1]).endswith(found["refresh"])
    assert set_cookies(response) == {ACCESS: ATTRIBUTES, REFRESH: ATTRIBUTES}


def test_the_cookies_of_remembered_sessions_keep_their_dates(visitor, page):
    visitor.sign_in_ten_minutes_ago(remember=True)
    found = set_cookies(page.goto("/account"))
    assert set(found) == {ACCESS, REFRESH}
    dated = r"expires=[^;]+; HttpOnly; Max-Age=\d+; Path=/; SameSite=Lax; Secure"
    assert all(re.fullmatch(dated, attributes) for attributes in found.values())


def test_an_answer_without_a_refresh_token_leaves_the_browser_the_one_it_has(visitor, page, context):
    visitor.sign_in_ten_minutes_ago()
    page.goto("/account")
    newest = cookie(context, REFRESH)
    context.clear_cookies(name=ACCESS)
    response = page.goto("/account")
    assert set(set_cookies(response)) == {ACCESS}
    assert cookie(context, REFRESH) == newest
    assert str(newest).endswith(visitor.facts()["refresh"])
    assert visitor.facts()["gen"] == 1


@pytest.mark.parametrize(("method", "said"), [("GET", None), ("POST", "x" * 100_000)], ids=["GET", "POST"])
def test_a_route_handler_gets_the_new_token_the_whole_body_and_all_other_cookies(visitor, context, site, method, said):
    visitor.leave_open()
    context.add_cookies([{"name": "odd", "value": "a:b%2Cc=100%", "url": site.origin}])
    _, found = visitor.fetch(method, said)
    assert found["gen"] == visitor.generation == 2
    assert str(cookie(context, REFRESH)).endswith(found["refresh"])
    assert found.get("said") == said
    if method == "GET":
        assert "odd=a:b%2Cc=100%" in found["others"]


def test_a_server_action_gets_the_new_token_and_the_form_s_data(visitor, page, context):
    visitor.leave_open()
    page.get_by_label("Note", exact=True).fill("remember the milk")
    with page.expect_response(lambda response: response.request.method == "POST") as posted:
        page.get_by_role("button", name="Save", exact=True).click()
    found = visitor.facts("result")
    assert found["note"] == "remember the milk"
    assert found["gen"] == visitor.generation == 2
    assert str(cookie(context, REFRESH)).endswith(found["refresh"])
    # The action sets a cookie too. Neither its cookie nor ours is lost.
    assert cookie(context, "noted") == "yes"
    given = set_cookies(posted.value)
    assert set(given) == {ACCESS, REFRESH, "noted"}
    assert {given[ACCESS], given[REFRESH]} == {ATTRIBUTES}


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_form_that_redirects_to_a_page_keeps_its_data_and_refreshes_once(visitor, page, context, javascript):
    visitor.leave_open()
    page.get_by_label("Plain note").fill("and the bread")
    page.get_by_role("button", name="Save plainly").click()
    expect(page.get_by_test_id("note")).to_have_text("and the bread")
    page.wait_for_url("**/account?saved")
    assert visitor.facts()["gen"] == visitor.generation == 2
    assert str(cookie(context, REFRESH)).endswith(visitor.facts()["refresh"])


def test_twenty_parallel_requests_are_one_rotation(visitor, page):
    visitor.leave_open()
    found = page.evaluate(TWENTY_FETCHES)
    assert [one["gen"] for one in found] == [2] * 20
    assert len({one["refresh"] for one in found}) == 1
    assert visitor.generation == 2
    page.goto("/account")
    assert visitor.facts()["gen"] == 2


def test_many_prefetches_are_one_rotation_and_all_are_answered(visitor, page):
    visitor.leave_open("/list")
    with ExitStack() as stack:
        prefetched = [stack.enter_context(page.expect_response(re.compile(f"/item/{n}"))) for n in range(8)]
        page.get_by_role("button", name="Show all").click()
    assert [response.value.status for response in prefetched] == [200] * 8
    assert visitor.generation == 2
    page.get_by_role("link", name="Item 5").click()
    expect(page.get_by_role("heading")).to_have_text("Item 5")
    assert visitor.facts()["gen"] == 2


def test_a_navigation_inside_the_app_refreshes_without_loading_the_app_again(visitor, page, context):
    visitor.leave_open()
    page.evaluate("() => { window.still = 'here' }")
    page.get_by_role("link", name="The list").click()
    expect(page.get_by_role("button", name="Show all")).to_be_visible()
    assert page.evaluate("() => window.still") == "here"
    assert visitor.generation == 2
    assert cookie(context, ACCESS)


def test_a_streamed_page_has_its_cookies_before_it_ends(visitor, page, context, site, person):
    visitor.sign_in_ten_minutes_ago()
    before = cookie(context, REFRESH)
    name = site.sessions(person)[-1]["id"]
    page.goto(f"/slow?gate={name}", wait_until="commit")
    expect(page.get_by_text("Just a moment")).to_be_visible()
    assert visitor.facts()["gen"] == 1
    assert cookie(context, REFRESH) != before
    page.evaluate("(name) => fetch(`/api/gate?name=${name}`, {method: 'POST'})", name)
    expect(page.get_by_test_id("late")).to_be_visible()
    assert visitor.facts("late") == visitor.facts()
