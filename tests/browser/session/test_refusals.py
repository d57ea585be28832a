"""A rejected request is repeated once at most: no request leads to a loop."""

import pytest


def test_a_service_that_rejects_every_token_is_asked_twice_and_the_user_stays_signed_in(signed_in, world, person):
    for _ in range(3):
        world.forget()
        assert signed_in.fetch("/api/never-satisfied") == [401]
        assert len(world.answered("/api/never-satisfied")) == 2
        assert world.refreshes == [200]
    assert (signed_in.user, signed_in.heard) == (person.email, [["signin", person.email]])
    # To a browser with a bound session the endpoint says only that the token is good, which the browser has refreshed.
    assert world.generation(person) == (0 if world.binds else 1)


def test_a_401_with_a_code_of_the_app_is_returned_to_the_app(signed_in, world):
    found = signed_in.page.evaluate(
        'session.fetch("/api/own-affair").then(async (response) => [response.status, await response.json()])'
    )
    assert found == [401, {"code": "wrong_pin"}]
    assert [one.path for one in world.answered()] == ["/api/own-affair"]


def test_a_client_that_is_not_signed_in_gets_401_after_one_refresh_at_most(tab, world):
    """A client that has not asked who is signed in may have a refresh cookie, so it tries one refresh, and no other."""
    assert tab.fetch(times=3) == [401] * 3
    assert world.refreshes == ([] if world.mode == "body" else [401])
    world.forget()
    assert (tab.fetch(times=3), tab.restore(), tab.fetch()) == ([401] * 3, None, [401])
    assert world.refreshes == tab.heard == []


def test_the_answer_to_a_rejected_request_can_be_read(signed_in):
    signed_in.sign_out()
    code = signed_in.page.evaluate('session.fetch("/api/orders").then(async (answer) => (await answer.json()).code)')
    assert code == "not_authenticated"


@pytest.mark.parametrize("mode", ["scoped"], indirect=True)
def test_a_stream_that_was_read_is_not_sent_again(signed_in, world):
    """The answers are made up: Chromium sends streams only over HTTP/2, which the tests' server does not support."""
    signed_in.page.evaluate(
        """() => {
            const refusal = { status: 401, headers: { "Content-Type": "application/problem+json" } };
            const { fetch } = globalThis;
            globalThis.sent = 0;
            globalThis.fetch = (request, ...more) => {
                if (!request.url?.includes("/orders")) return fetch(request, ...more);
                sent += 1;
                return Promise.resolve(new Response('{"code": "token_expired"}', refusal));
            };
        }"""
    )
    options = '{ method: "POST", body: new Blob(["tea"]).stream(), duplex: "half" }'
    ask = "session.fetch(REQUEST).then(({ status }) => [status, sent])"
    assert signed_in.page.evaluate(ask.replace("REQUEST", f'"/api/orders", {options}')) == [401, 1]
    assert world.refreshes == [200]
    assert signed_in.page.evaluate(ask.replace("REQUEST", f'new Request("/api/orders", {options})')) == [401, 3]
