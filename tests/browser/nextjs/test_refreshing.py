"""An access token that has expired is replaced on the way, and nobody notices: neither browser nor server code."""

import re
import time
from contextlib import ExitStack

import pytest
from playwright.sync_api import expect

from tests.browser.nextjs.visits import LIFETIME, clock, expired_meanwhile, facts, set_cookies, sign_in_ten_minutes_ago
from tests.browser.steps import ACCESS, REFRESH, cookie, sign_in

ATTRIBUTES = "HttpOnly; Path=/; SameSite=Lax; Secure"
"""Those that Latchkey gives its cookies, word for word, where nobody asked to be remembered."""
TWENTY_FETCHES = "() => Promise.all(Array.from({length: 20}, () => fetch('/api/whoami').then((got) => got.json())))"


def test_somebody_signs_in_and_server_components_see_who_it_is(page, site, person):
    sign_in(page, person, path="/sign-in?next=/account")
    (session,) = site.sessions(person)
    expect(page.get_by_role("heading")).to_have_text("Your account")
    assert facts(page)["sid"] == session["id"]
    assert facts(page)["gen"] == session["generation"] == 0


def test_a_page_with_an_expired_token_is_rendered_with_the_new_one(page, context, site, person):
    sign_in_ten_minutes_ago(page, site, person)
    before = cookie(context, ACCESS), cookie(context, REFRESH)
    response = page.goto("/account")
    after = cookie(context, ACCESS), cookie(context, REFRESH)
    assert None not in {*before, *after}
    assert not set(before) & set(after)
    (session,) = site.sessions(person)
    found = facts(page)
    assert found["gen"] == session["generation"] == 1
    assert found["sid"] == session["id"]
    assert found["exp"] > time.time()
    assert str(after[1]).endswith(found["refresh"])
    assert set_cookies(response) == {ACCESS: ATTRIBUTES, REFRESH: ATTRIBUTES}


def test_remembered_sessions_keep_the_dates_of_their_cookies(page, site, person):
    with clock(site, -LIFETIME):
        sign_in(page, person, remember=True, path="/sign-in?next=/api/auth/me")
    found = set_cookies(page.goto("/account"))
    assert set(found) == {ACCESS, REFRESH}
    dated = r"expires=[^;]+; HttpOnly; Max-Age=\d+; Path=/; SameSite=Lax; Secure"
    assert all(re.fullmatch(dated, attributes) for attributes in found.values())


def test_the_first_request_without_an_access_cookie_is_served_too(page, context, site, person):
    sign_in(page, person, path="/sign-in?next=/account")
    context.clear_cookies(name=ACCESS)
    page.goto("/account")
    assert facts(page)["gen"] == 1


def test_an_answer_without_a_refresh_token_leaves_the_browser_the_one_it_has(page, context, site, person):
    sign_in_ten_minutes_ago(page, site, person)
    page.goto("/account")
    newest = cookie(context, REFRESH)
    context.clear_cookies(name=ACCESS)
    response = page.goto("/account")
    assert set(set_cookies(response)) == {ACCESS}
    assert cookie(context, REFRESH) == newest
    assert str(newest).endswith(facts(page)["refresh"])
    assert facts(page)["gen"] == 1


@pytest.mark.parametrize(("method", "said"), [("GET", None), ("POST", "x" * 100_000)], ids=["GET", "POST"])
def test_a_route_handler_sees_the_new_token_and_the_whole_body(page, context, site, person, method, said):
    with expired_meanwhile(page, context, site, person, "/account"):
        found = page.evaluate(
            "([method, body]) => fetch('/api/whoami', {method, body}).then((got) => got.json())", [method, said]
        )
        assert found["gen"] == site.sessions(person)[-1]["generation"] == 2
        assert str(cookie(context, REFRESH)).endswith(found["refresh"])
        assert found.get("said") == said


def test_a_server_action_sees_the_new_token_and_the_forms_data(page, context, site, person):
    with expired_meanwhile(page, context, site, person, "/account"):
        page.get_by_label("Note", exact=True).fill("remember the milk")
        with page.expect_response(lambda response: response.request.method == "POST") as posted:
            page.get_by_role("button", name="Save", exact=True).click()
        found = facts(page, "result")
        assert found["note"] == "remember the milk"
        assert found["gen"] == site.sessions(person)[-1]["generation"] == 2
        assert str(cookie(context, REFRESH)).endswith(found["refresh"])
        # Its own cookie goes with ours, and takes nothing from them.
        assert cookie(context, "noted") == "yes"
        given = set_cookies(posted.value)
        assert set(given) == {ACCESS, REFRESH, "noted"}
        assert {given[ACCESS], given[REFRESH]} == {ATTRIBUTES}


def test_a_form_without_javascript_keeps_its_data(jar, site, person):
    context = jar(base_url=site.origin, java_script_enabled=False)
    page = context.new_page()
    with expired_meanwhile(page, context, site, person, "/account"):
        page.get_by_label("Plain note").fill("and the bread")
        page.get_by_role("button", name="Save plainly").click()
        expect(page.get_by_test_id("note")).to_have_text("and the bread")
        assert page.url == f"{site.origin}/account?saved"
        assert facts(page)["gen"] == site.sessions(person)[-1]["generation"] == 2
        assert str(cookie(context, REFRESH)).endswith(facts(page)["refresh"])


def test_a_form_that_leads_on_to_a_page_refreshes_once(page, context, site, person):
    with expired_meanwhile(page, context, site, person, "/account"):
        page.get_by_label("Plain note").fill("and the butter")
        page.get_by_role("button", name="Save plainly").click()
        expect(page.get_by_test_id("note")).to_have_text("and the butter")
        page.wait_for_url("**/account?saved")
        assert facts(page)["gen"] == site.sessions(person)[-1]["generation"] == 2


def test_other_cookies_reach_the_server_code_letter_by_letter(page, context, site, person):
    odd = "a:b%2Cc=100%"
    with expired_meanwhile(page, context, site, person, "/account"):
        context.add_cookies([{"name": "odd", "value": odd, "url": site.origin}])
        found = page.evaluate("() => fetch('/api/whoami').then((got) => got.json())")
        assert found["gen"] == 2
        assert f"odd={odd}" in found["others"]


def test_twenty_requests_at_once_are_one_rotation(page, context, site, person):
    with expired_meanwhile(page, context, site, person, "/account"):
        found = page.evaluate(TWENTY_FETCHES)
        assert len(found) == 20
        assert {one["gen"] for one in found} == {2}
        assert len({one["refresh"] for one in found}) == 1
        assert site.sessions(person)[-1]["generation"] == 2
        page.goto("/account")
        assert facts(page)["gen"] == 2


def test_a_burst_of_prefetches_is_one_rotation_and_all_are_served(page, context, site, person):
    with expired_meanwhile(page, context, site, person, "/list"):
        with ExitStack() as stack:
            prefetched = [stack.enter_context(page.expect_response(re.compile(f"/item/{n}"))) for n in range(8)]
            page.get_by_role("button", name="Show all").click()
        assert [response.value.status for response in prefetched] == [200] * 8
        assert site.sessions(person)[-1]["generation"] == 2
        page.get_by_role("link", name="Item 5").click()
        expect(page.get_by_role("heading")).to_have_text("Item 5")
        assert facts(page)["gen"] == 2


def test_going_to_a_page_inside_the_app_refreshes_without_loading_it_anew(page, context, site, person):
    with expired_meanwhile(page, context, site, person, "/account"):
        page.evaluate("() => { window.still = 'here' }")
        page.get_by_role("link", name="The list").click()
        expect(page.get_by_role("button", name="Show all")).to_be_visible()
        assert page.evaluate("() => window.still") == "here"
        assert site.sessions(person)[-1]["generation"] == 2
        assert cookie(context, ACCESS)


def test_a_streamed_page_has_its_cookies_before_it_ends(page, context, site, person):
    sign_in_ten_minutes_ago(page, site, person)
    before = cookie(context, REFRESH)
    name = site.sessions(person)[-1]["id"]
    page.goto(f"/slow?gate={name}", wait_until="commit")
    expect(page.get_by_text("Just a moment")).to_be_visible()
    assert facts(page)["gen"] == 1
    assert cookie(context, REFRESH) != before
    page.evaluate("(name) => fetch(`/api/gate?name=${name}`, {method: 'POST'})", name)
    expect(page.get_by_test_id("late")).to_be_visible()
    assert facts(page, "late") == facts(page)
