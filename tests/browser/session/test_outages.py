"""A server that is down, or a network that is gone: the session waits, and signs nobody out."""

from typing import Any

import pytest

CLIENT_REFRESHES = ["scoped", "subdomain", "body"]
"""Where the client refreshes, and not the middleware on the way."""


@pytest.mark.parametrize("mode", CLIENT_REFRESHES, indirect=True)
def test_requests_wait_while_the_server_is_down_and_are_served_when_it_is_up(signed_in, world, person):
    world.forward(601)
    with world.down():
        signed_in.begin(times=5)
        signed_in.page.wait_for_function("() => performance.now() > 0")
        while len(world.refreshes) < 2:
            signed_in.page.wait_for_timeout(100)
        assert signed_in.user == person.email
    assert signed_in.end() == [200] * 5
    assert signed_in.heard == [["signin", person.email]]
    refreshes = world.answered("/api/auth/refresh")
    assert [one.status for one in refreshes[:-1]] == [503] * (len(refreshes) - 1)
    assert refreshes[1].at - refreshes[0].at >= 2  # What Retry-After asked for.


@pytest.mark.parametrize("mode", ["cookie"], indirect=True)
def test_where_the_middleware_refreshes_its_503_is_the_apps_and_nobody_is_signed_out(signed_in, world, person):
    world.forward(601)
    with world.down():
        assert signed_in.fetch() == [503]
        assert signed_in.user == person.email
        signed_in.page.evaluate("void (globalThis.begun = session.restore().then(({ email }) => email))")
        while not world.answered("/api/auth/me"):
            signed_in.page.wait_for_timeout(100)
    assert signed_in.page.evaluate("begun") == person.email
    assert signed_in.heard == [["signin", person.email]]


@pytest.mark.parametrize("mode", CLIENT_REFRESHES, indirect=True)
def test_whoever_does_not_want_to_wait_aborts_and_the_others_go_on_waiting(signed_in, world):
    world.forward(601)
    with world.down():
        signed_in.begin()
        reason = signed_in.page.evaluate(
            """async () => {
                const leave = new AbortController();
                const asked = session.fetch("/api/orders", { signal: leave.signal });
                setTimeout(() => leave.abort("no time"), 300);
                return asked.catch((reason) => reason);
            }"""
        )
        assert reason == "no time"
        late = 'session.fetch("/api/orders", { signal: AbortSignal.timeout(1) }).catch((error) => error.name)'
        assert signed_in.page.evaluate(late) == "TimeoutError"
    assert signed_in.end() == [200]


MADE_UP: dict[str, dict[str, Any]] = {
    "no network": {},
    "too many requests": {"status": 429, "headers": {"Retry-After": "1"}},
    "a date to come back at": {"status": 503, "headers": {"Retry-After": "Tue, 24 Nov 2026 12:00:01 GMT"}},
    "a proxy without a server": {"status": 502, "body": "<h1>Bad gateway</h1>", "content_type": "text/html"},
    "a hotel's page": {"status": 200, "body": "<h1>Your room number?</h1>", "content_type": "text/html"},
    "an error": {"status": 500, "json": {"code": "error"}},
}


@pytest.mark.parametrize("mode", ["scoped", "subdomain"], indirect=True)
@pytest.mark.parametrize("how", MADE_UP)
def test_whatever_stands_in_the_way_of_a_refresh_is_no_refusal(signed_in, world, person, how):
    answer = MADE_UP[how]

    def stand_in_the_way(route: Any) -> None:
        if answer:
            origin = {
                "Access-Control-Allow-Origin": world.app.origin,
                "Access-Control-Allow-Credentials": "true",
                "Access-Control-Expose-Headers": "Date, Retry-After",
                "Date": "Tue, 24 Nov 2026 12:00:00 GMT",
            }
            route.fulfill(**{**answer, "headers": {**origin, **answer.get("headers", {})}})
        else:
            route.abort("connectionrefused")

    world.forward(601)
    signed_in.page.route("**/api/auth/refresh", stand_in_the_way, times=2)
    assert signed_in.fetch(times=3) == [200] * 3
    assert world.refreshes == [200]
    assert world.generation(person) == 1
    assert signed_in.heard == [["signin", person.email]]


@pytest.mark.parametrize("mode", ["scoped"], indirect=True)
def test_a_401_of_a_proxys_own_signs_nobody_out(signed_in, world, person):
    world.forward(601)
    refusal = {"status": 401, "body": "<h1>Who are you?</h1>", "content_type": "text/html"}
    signed_in.page.route("**/api/auth/refresh", lambda route: route.fulfill(**refusal), times=1)
    assert signed_in.fetch() == ["SessionError"]
    assert signed_in.user == person.email
    assert signed_in.fetch() == [200]


@pytest.mark.parametrize("mode", ["cookie", "scoped", "subdomain"], indirect=True)
def test_when_the_network_is_back_nobody_waits_for_the_end_of_a_pause(signed_in, context, person):
    signed_in.page.evaluate("void (globalThis.setTimeout = () => 0)")  # No pause comes to its end by itself.
    context.set_offline(True)
    with signed_in.page.expect_event("requestfailed"):
        signed_in.page.evaluate("void (globalThis.begun = session.restore().then(({ email }) => email))")
    context.set_offline(False)
    assert signed_in.page.evaluate("begun") == person.email


def test_a_request_of_the_apps_own_that_fails_by_network_fails_as_fetch_does(signed_in, context, person):
    context.set_offline(True)
    assert signed_in.fetch(times=2) == ["TypeError"] * 2
    context.set_offline(False)
    assert signed_in.fetch() == [200]
    assert signed_in.user == person.email


def test_a_sign_out_that_did_not_reach_the_server_is_none(signed_in, world, person, new_tab):
    """The page cannot clear an HttpOnly cookie: whoever is told "signed out" must be."""
    world.auth.do(
        "from tokens.api.views import Logout\n"
        "from tokens.api.errors import ProblemError\n"
        "from tokens.problems import UNAVAILABLE\n"
        "def down(self, request): raise ProblemError(UNAVAILABLE)\n"
        "Logout.up, Logout.post = Logout.post, down"
    )
    try:
        found = signed_in.page.evaluate("session.signOut().catch(({ code, status }) => [code, status])")
    finally:
        world.auth.do("from tokens.api.views import Logout; Logout.post = Logout.up")
    assert found == ["unavailable", 503]
    assert signed_in.user == person.email
    assert signed_in.fetch() == [200]


@pytest.mark.parametrize("mode", ["body"], indirect=True)
def test_a_worker_that_never_says_a_word_is_an_error_after_a_while(context, new_tab):
    context.add_init_script("globalThis.SharedWorker = class { port = new MessageChannel().port1; }")
    assert new_tab().fetch() == ["SessionError"]
