"""An app uses the session client in every storage mode: it signs in, fetches while tokens expire, and signs out."""

import pytest
from playwright.sync_api import Error, Route

from tests.browser.sites import Person

with_cookies = pytest.mark.parametrize("mode", ["cookie", "scoped", "subdomain"], indirect=True)
JSON = '{ "Content-Type": "application/json" }'
FILE_FORM = """(() => {
    const form = new FormData();
    form.set("what", "tea");
    form.set("file", new Blob(["x".repeat(300000)]), "file");
    return form;
})()"""
BODIES = {
    "a string": ("""'{"what": "tea"}'""", JSON, {}),
    "a form": ('new URLSearchParams({ what: "tea" })', "{}", {}),
    "a form with a file": (FILE_FORM, "{}", {"file": 300000}),
}


def test_a_user_signs_in_fetches_and_signs_out(tab, world, person):
    assert (tab.restore(), tab.fetch()) == (None, [401])
    tab.sign_in(person)
    assert (tab.user, tab.fetch(), tab.heard) == (person.email, [200], [["signin", person.email]])
    assert [row["mode"] for row in world.auth.sessions(person)] == [world.mode]
    tab.sign_out()
    assert (tab.user, tab.fetch(), tab.heard) == (None, [401], [["signin", person.email], ["signout", None]])
    assert world.auth.reasons(person) == ["signed_out"]


def test_parallel_requests_with_an_expired_token_are_answered_after_one_rotation(signed_in, world, person):
    world.forward(601)
    assert signed_in.fetch(times=20) == [200] * 20
    assert world.generation(person) == 1
    # In mode `cookie` the middleware refreshes, and the page does not learn of it, unless the session is bound.
    assert world.refreshes == ([] if world.mode == "cookie" and not world.binds else [200])
    assert (signed_in.restore(), signed_in.heard) == (person.email, [["signin", person.email]])


def test_a_request_that_is_slower_than_a_later_question_who_is_signed_in_is_sent_again(signed_in, world, person):
    held: list[Route] = []
    signed_in.page.route("**/api/orders", lambda route: held.append(route), times=1)
    with signed_in.page.expect_request("**/api/orders"):
        signed_in.begin()
    assert signed_in.restore() == person.email
    world.forward(601)
    held.pop().continue_()
    assert signed_in.end() == [200]
    assert world.generation(person) == 1


@with_cookies
def test_an_older_request_uses_the_refresh_of_a_later_question_who_is_signed_in(signed_in, world, person):
    world.forward(601)
    world.app.hold_answers("/api/orders")
    signed_in.begin()
    world.app.wait_until_held()
    assert signed_in.restore() == person.email
    world.app.deliver()
    assert signed_in.end() == [200]
    # A browser with a bound session has refreshed, and the client asks the endpoint what it has.
    assert len(world.refreshes) <= (1 if world.binds else 0)
    assert world.generation(person) == 1


def test_a_body_arrives_whole_when_it_has_to_be_sent_again(signed_in, world):
    # Chromium signs six times in nine minutes, and each refresh of a bound session takes one.
    for what, (body, headers, files) in [*BODIES.items()][1 if world.binds else 0 :]:
        world.forget()
        arguments = f'"/api/orders", {{ method: "POST", headers: {headers}, body: {body} }}'
        for request in (arguments, f"new Request({arguments})"):
            world.forward(601)
            answer = signed_in.page.evaluate(f"session.fetch({request}).then((response) => response.json())")
            assert (answer["given"], answer["files"]) == ({"what": "tea"}, files), what
        posts = [one.status for one in world.answered("/api/orders", "POST")]
        assert posts == ([200, 200] if world.mode == "cookie" and not world.binds else [401, 200, 401, 200]), what


def test_a_page_that_is_loaded_again_knows_the_user_with_a_good_and_an_expired_token(signed_in, world, person):
    """In mode `body` the worker survives the reload of its only tab."""
    for seconds in (0, 601, 601):
        world.forward(seconds)
        signed_in.reload()
        found = signed_in.user, signed_in.restore(), signed_in.heard, signed_in.fetch()
        assert found == (None, person.email, [], [200])


@with_cookies
def test_a_missing_access_cookie_is_replaced_by_a_request_and_by_a_reload(signed_in, world, context, person):
    name = "__Secure-access" if world.mode == "subdomain" else "__Host-access"
    context.clear_cookies(name=name)
    assert signed_in.fetch() == [200]
    context.clear_cookies(name=name)
    signed_in.reload()
    assert signed_in.restore() == person.email


def test_a_failed_sign_in_reports_the_reason(tab, person):
    with pytest.raises(Error, match="There is no active account"):
        tab.sign_in(Person(person.email, "not it"))
    found = tab.page.evaluate(
        "session.signIn({ email: 'a', password: 'b' }).catch(({ code, status }) => [code, status])"
    )
    assert found == ["invalid_credentials", 401]
    errors = tab.page.evaluate("session.signIn({ email: 'a', password: '' }).catch((error) => error.errors)")
    assert list(errors) == ["password"]
    assert tab.heard == []


def test_a_sign_in_may_name_the_device_and_ask_to_remember_it(tab, world, person):
    for _ in range(2):
        tab.sign_in(person, remember=True, deviceName="Somebody's laptop")
    rows = world.auth.sessions(person)
    assert [(row["device__name"], row["remember"]) for row in rows] == [("Somebody's laptop", True)] * 2
    assert world.auth.events(person).count("new_device") == 1
