"""The server is down, or there is no network: the session client waits, and does not sign the user out."""

from typing import Any

import pytest

from tests.browser.conftest import at_length
from tests.browser.steps import FAST_TIMERS

RESTORE = "void (globalThis.begun = session.restore().then(({ email }) => email))"


def test_requests_wait_while_the_server_is_down_and_are_answered_afterwards(signed_in, world, person):
    if world.mode == "cookie" and not world.binds:
        pytest.skip("In this mode the middleware refreshes, unless the session is bound to its device.")
    world.forward(601)
    with world.auth.down():
        signed_in.begin(times=5)
        signed_in.page.wait_for_function("() => performance.now() > 0")
        while len(world.refreshes) < 2:
            signed_in.page.wait_for_timeout(100)
        assert signed_in.user == person.email
    assert (signed_in.end(), signed_in.heard) == ([200] * 5, [["signin", person.email]])
    refreshes = [one for one in world.answered("/api/auth/refresh") if one.status != 307]
    assert [one.status for one in refreshes[:-1]] == [503] * (len(refreshes) - 1)
    assert refreshes[1].at - refreshes[0].at >= 2  # The pause that Retry-After asked for.


@pytest.mark.parametrize("mode", ["cookie"], indirect=True)
def test_where_the_middleware_refreshes_the_app_gets_its_503_and_the_user_stays_signed_in(signed_in, world, person):
    if world.binds:
        pytest.skip("The browser refreshes a bound session, and the client waits for it, as in the other modes.")
    world.forward(601)
    with world.auth.down():
        assert (signed_in.fetch(), signed_in.user) == ([503], person.email)
        signed_in.page.evaluate(RESTORE)
        while not world.answered("/api/auth/me"):
            signed_in.page.wait_for_timeout(100)
    signed_in.end_pause()
    assert (signed_in.page.evaluate("begun"), signed_in.heard) == (person.email, [["signin", person.email]])


@pytest.mark.parametrize("mode", [*at_length("scoped", "subdomain"), "body"], indirect=True)
def test_a_request_that_is_aborted_stops_waiting_and_the_others_continue(signed_in, world, engine):
    world.forward(601)
    with world.auth.down():
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
        # In WebKit the signal of a request may not tell why it was aborted.
        assert signed_in.page.evaluate(late) in {"TimeoutError", *(["AbortError"] if engine == "webkit" else [])}
    signed_in.end_pause()
    assert signed_in.end() == [200]


MADE_UP: dict[str, dict[str, Any]] = {
    "no network": {},
    "too many requests": {"status": 429, "headers": {"Retry-After": "1"}},
    "a date for the next attempt": {"status": 503, "headers": {"Retry-After": "Tue, 24 Nov 2026 12:00:01 GMT"}},
    "a proxy without a server": {"status": 502, "body": "<h1>Bad gateway</h1>", "content_type": "text/html"},
    "a hotel's page": {"status": 200, "body": "<h1>Your room number?</h1>", "content_type": "text/html"},
}


@pytest.mark.parametrize("mode", ["scoped", "subdomain"], indirect=True)
@pytest.mark.parametrize("answer", MADE_UP.values(), ids=MADE_UP)
def test_a_refresh_that_cannot_reach_the_server_is_repeated(signed_in, world, person, answer):
    common = {
        "Access-Control-Allow-Origin": world.app.origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "Date, Retry-After",
        "Date": "Tue, 24 Nov 2026 12:00:00 GMT",
    }

    def intercept(route: Any) -> None:
        if answer:
            route.fulfill(**{**answer, "headers": {**common, **answer.get("headers", {})}})
        else:
            route.abort("connectionrefused")

    world.forward(601)
    signed_in.page.route("**/api/auth/refresh", intercept, times=1)
    assert signed_in.fetch(times=3) == [200] * 3
    assert (world.refreshes, world.generation(person), signed_in.heard) == ([200], 1, [["signin", person.email]])


@pytest.mark.parametrize("mode", ["scoped"], indirect=True)
def test_a_401_that_a_proxy_made_does_not_sign_the_user_out(signed_in, world, person):
    world.forward(601)
    refusal = {"status": 401, "body": "<h1>Who are you?</h1>", "content_type": "text/html"}
    signed_in.page.route("**/api/auth/refresh", lambda route: route.fulfill(**refusal), times=1)
    assert (signed_in.fetch(), signed_in.user, signed_in.fetch()) == (["SessionError"], person.email, [200])


@pytest.mark.parametrize("mode", ["scoped", "subdomain"], indirect=True)
def test_when_the_network_is_back_a_pause_ends_early(signed_in, context, person):
    signed_in.page.evaluate("void (globalThis.setTimeout = () => 0)")  # Now no pause ends by itself.
    context.set_offline(True)
    with signed_in.page.expect_event("requestfailed"):
        signed_in.page.evaluate(RESTORE)
    context.set_offline(False)
    assert signed_in.page.evaluate("begun") == person.email


def test_an_app_s_request_without_a_network_fails_as_fetch_does(signed_in, context, person):
    context.set_offline(True)
    assert signed_in.fetch(times=2) == ["TypeError"] * 2
    context.set_offline(False)
    assert (signed_in.fetch(), signed_in.user) == ([200], person.email)


DOWN = """
from tokens.api.views import Logout as owner
from tokens.api.errors import ProblemError
from tokens.web.http.problems import UNAVAILABLE
def new(self, request): raise ProblemError(UNAVAILABLE)
"""


def test_a_sign_out_that_the_server_did_not_process_fails(signed_in, world, person):
    """The page cannot delete an HttpOnly cookie, so it may report "signed out" only after the server has done it."""
    with world.auth.replaced("post", DOWN):
        found = signed_in.page.evaluate("session.signOut().catch(({ code, status }) => [code, status])")
    assert (found, signed_in.user, signed_in.fetch()) == (["unavailable", 503], person.email, [200])


@pytest.mark.parametrize("mode", ["body"], indirect=True)
def test_a_worker_that_never_answers_is_an_error_after_a_while(context, new_tab):
    context.add_init_script("globalThis.SharedWorker = class { port = new MessageChannel().port1; }")
    context.add_init_script(FAST_TIMERS)
    assert new_tab().fetch() == ["SessionError"]
