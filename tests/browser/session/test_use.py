"""A session as an app uses it, in every storage mode: sign in, fetch, go on when the token has expired, sign out."""

from typing import Any

import pytest
from playwright.sync_api import Error, Route

from tests.browser.sites import Person

BODIES = {
    "a string": ('{"what": "tea"}', {"what": "tea"}, {}),
    "a form": ('new URLSearchParams({ what: "tea" })', {"what": "tea"}, {}),
    "a form with a file": (
        '(() => { const form = new FormData(); form.set("what", "tea");'
        ' form.set("file", new Blob(["x".repeat(300000)]), "file"); return form; })()',
        {"what": "tea"},
        {"file": 300000},
    ),
}


def test_somebody_signs_in_fetches_and_signs_out(tab, world, person):
    assert tab.restore() is None
    assert tab.fetch() == [401]
    tab.sign_in(person)
    assert tab.user == person.email
    assert tab.fetch() == [200]
    assert tab.heard == [["signin", person.email]]
    assert [row["mode"] for row in world.auth.sessions(person)] == [world.mode]
    tab.sign_out()
    assert tab.user is None
    assert tab.fetch() == [401]
    assert tab.heard == [["signin", person.email], ["signout", None]]
    assert [row["revoked_reason"] for row in world.auth.sessions(person)] == ["signed_out"]


def test_the_token_expires_and_nobody_notices(signed_in, world, person):
    world.forward(601)
    assert signed_in.fetch() == [200]
    assert world.generation(person) == 1
    assert signed_in.heard == [["signin", person.email]]


def test_a_request_that_was_overtaken_by_a_question_who_is_signed_in_is_sent_again(signed_in, world, person):
    held: list[Route] = []
    signed_in.page.route("**/api/orders", lambda route: held.append(route), times=1)
    with signed_in.page.expect_request("**/api/orders"):
        signed_in.begin()
    assert signed_in.restore() == person.email
    world.forward(601)
    held.pop().continue_()
    assert signed_in.end() == [200]
    assert world.generation(person) == 1


@pytest.mark.parametrize("mode", ["cookie", "scoped", "subdomain"], indirect=True)
def test_a_question_that_was_refreshed_on_the_way_spares_an_older_request_its_own_refresh(signed_in, world, person):
    world.forward(601)
    world.app.hold_answers("/api/orders")
    signed_in.begin()
    world.app.wait_until_held()
    assert signed_in.restore() == person.email
    world.app.deliver()
    assert signed_in.end() == [200]
    assert world.refreshes == []
    assert world.generation(person) == 1


def test_twenty_requests_with_an_expired_token_are_one_rotation_and_twenty_answers(signed_in, world, person):
    world.forward(601)
    assert signed_in.fetch(times=20) == [200] * 20
    assert world.generation(person) == 1
    # In mode `cookie` the middleware refreshes on the way, and the page never hears of it.
    assert world.refreshes == ([] if world.mode == "cookie" else [200])
    assert signed_in.restore() == person.email


@pytest.mark.parametrize("body", BODIES)
def test_what_is_sent_arrives_whole_however_often_it_has_to_be_sent(signed_in, world, body):
    script, given, files = BODIES[body]
    headers = '{ "Content-Type": "application/json" }' if body == "a string" else "{}"
    script = f"'{script}'" if body == "a string" else script
    for ask in (
        f'session.fetch("/api/orders", {{ method: "POST", headers: {headers}, body: {script} }})',
        f'session.fetch(new Request("/api/orders", {{ method: "POST", headers: {headers}, body: {script} }}))',
    ):
        world.forward(601)
        answer = signed_in.page.evaluate(f"{ask}.then((response) => response.json())")
        assert (answer["given"], answer["files"]) == (given, files)
    posts = [one.status for one in world.answered("/api/orders", "POST")]
    assert posts == ([200, 200] if world.mode == "cookie" else [401, 200, 401, 200])


def test_a_page_that_is_loaded_anew_knows_who_is_signed_in(signed_in, person):
    """In `body` mode the worker outlives the reload of its only tab."""
    for _ in range(3):
        signed_in.page.reload()
        signed_in.open()
        assert signed_in.user is None
        assert signed_in.restore() == person.email
        assert signed_in.heard == []
        assert signed_in.fetch() == [200]


def test_a_page_that_is_loaded_with_an_expired_token_knows_who_is_signed_in(signed_in, world, person):
    world.forward(601)
    signed_in.page.reload()
    signed_in.open()
    assert signed_in.restore() == person.email
    assert signed_in.fetch() == [200]


@pytest.mark.parametrize("mode", ["cookie", "scoped", "subdomain"], indirect=True)
def test_an_access_cookie_that_is_gone_is_fetched_by_the_refresh_cookie(signed_in, world, context, person):
    for page_knows in (True, False):
        context.clear_cookies(name="__Secure-access" if world.mode == "subdomain" else "__Host-access")
        if page_knows:
            assert signed_in.fetch() == [200]
        else:
            signed_in.page.reload()
            signed_in.open()
            assert signed_in.restore() == person.email


def test_signing_in_with_a_wrong_password_says_what_is_wrong(tab, person):
    with pytest.raises(Error, match="There is no active account"):
        tab.sign_in(Person(person.email, "not it"))
    code = tab.page.evaluate(
        "session.signIn({ email: 'a', password: 'b' }).catch(({ code, status }) => [code, status])"
    )
    assert code == ["invalid_credentials", 401]
    errors = tab.page.evaluate("session.signIn({ email: 'a', password: '' }).catch((error) => error.errors)")
    assert list(errors) == ["password"]
    assert tab.heard == []


def test_the_device_and_whether_to_remember_it_are_told_at_sign_in(tab, world, person):
    for _ in range(2):
        tab.sign_in(person, remember=True, deviceName="Somebody's laptop")
    rows: list[dict[str, Any]] = world.auth.sessions(person)
    assert {row["device__name"] for row in rows} == {"Somebody's laptop"}
    assert "new_device" in world.auth.events(person)
    assert world.auth.events(person).count("new_device") == 1
