"""What is refused is asked for once more at the most: no request leads to a loop."""

import pytest


def test_a_service_that_is_never_satisfied_is_asked_twice_and_nobody_is_signed_out(signed_in, world, person):
    for _ in range(3):
        world.forget()
        assert signed_in.fetch("/api/never-satisfied") == [401]
        assert len(world.answered("/api/never-satisfied")) == 2
        assert world.refreshes == [200]
    assert signed_in.user == person.email
    assert signed_in.heard == [["signin", person.email]]
    assert world.generation(person) == 1


def test_a_401_that_is_the_apps_own_affair_is_handed_on(signed_in, world):
    found = signed_in.page.evaluate(
        'session.fetch("/api/own-affair").then(async (response) => [response.status, await response.json()])'
    )
    assert found == [401, {"code": "wrong_pin"}]
    assert [one.path for one in world.answered()] == ["/api/own-affair"]


def test_a_stranger_is_told_so_without_end(tab, world):
    """Who has not asked who is signed in may have a refresh cookie, so that one refresh is tried; and no other."""
    assert tab.fetch(times=3) == [401] * 3
    assert world.refreshes == ([] if world.mode == "body" else [401])
    world.forget()
    assert tab.fetch(times=3) == [401] * 3
    assert tab.restore() is None
    assert tab.fetch() == [401]
    assert world.refreshes == []
    assert tab.heard == []


def test_the_answer_of_a_refused_request_can_be_read(signed_in, world, person):
    signed_in.sign_out()
    code = signed_in.page.evaluate('session.fetch("/api/orders").then(async (answer) => (await answer.json()).code)')
    assert code == "not_authenticated"


@pytest.mark.parametrize("mode", ["scoped"], indirect=True)
def test_a_stream_has_been_read_and_is_not_sent_again(signed_in, world):
    """Chromium streams over HTTP/2 alone, which our server here does not speak: the answers are made up."""
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
    stream = 'new Blob(["tea"]).stream()'
    ask = f'session.fetch("/api/orders", {{ method: "POST", body: {stream}, duplex: "half" }})'
    assert signed_in.page.evaluate(f"{ask}.then(({{ status }}) => [status, sent])") == [401, 1]
    assert world.refreshes == [200]
    ask = f'session.fetch(new Request("/api/orders", {{ method: "POST", body: {stream}, duplex: "half" }}))'
    assert signed_in.page.evaluate(f"{ask}.then(({{ status }}) => [status, sent])") == [401, 3]
