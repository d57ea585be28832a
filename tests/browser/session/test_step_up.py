"""An app lets its user authenticate again: the client keeps the new tokens, and repeats what asked for more."""

import json

import pytest

from tests.browser.session.test_changes import send

CHALLENGE = {
    "code": "insufficient_user_authentication",
    "acr_values": ["aal2"],
    "max_age": 300,
    "offered": ["totp"],
    "detail": "",
}
_ASKED = """async ([options, is_done]) => {
    const { createSession } = await import(`${location.origin}/static/tokens/session.js`);
    const asked = [];
    const stepUp = async (challenge) => asked.push(challenge) && is_done;
    const session = createSession({ ...options, stepUp });
    const request = new Request("/api/pay", { method: "POST", body: "all of it" });
    const { status } = await session.fetch(request);
    session.close();
    return [status, JSON.stringify(asked)];
}"""


def test_the_tokens_of_a_reauthentication_are_kept(signed_in, world, person):
    what, answer = send(signed_in, "POST", "reauthenticate", {"password": person.password})
    assert (what, "eyJ" in answer) == ("done", False)
    # A bound session has no refresh token that would be replaced.
    rotations = 0 if world.binds else 1
    assert world.generation(person) == rotations
    world.forward(601)
    assert signed_in.fetch() == [200]
    # With the token before, it would have been recovered, and still be the first.
    assert world.generation(person) == rotations + 1


_CHANGED = """async ([options, password]) => {
    const { createSession } = await import("/static/tokens/session.js");
    const asked = [];
    const stepUp = async (challenge) => {
        asked.push(challenge.offered);
        await session.send("POST", "reauthenticate", { method: "password", answer: password });
        return true;
    };
    const session = createSession({ ...options, stepUp });
    await session.send("DELETE", "sessions");
    session.close();
    return asked;
}"""


def test_a_change_that_needs_a_recent_sign_in_is_repeated(signed_in, world, person):
    world.forward(7200)
    assert signed_in.page.evaluate(_CHANGED, [signed_in._options, person.password]) == [["password"]]


@pytest.mark.parametrize("mode", ["cookie"], indirect=True)
@pytest.mark.parametrize(("is_done", "statuses"), [(True, [401, 401]), (False, [401])], ids=["done", "given up"])
def test_a_request_that_asks_for_more_is_repeated_once(signed_in, is_done, statuses, engine):
    answered = []

    def answer(route):
        answered.append((route.request.method, route.request.post_data))
        route.fulfill(status=401, content_type="application/problem+json", body=json.dumps(CHALLENGE))

    signed_in.page.route("**/api/pay", answer)
    status, asked = signed_in.page.evaluate(_ASKED, [signed_in._options, is_done])
    assert status == 401
    # The driver of Firefox does not tell what a request's body was.
    body = "all of it" if engine == "chromium" else None
    assert answered == [("POST", body)] * len(statuses)
    assert json.loads(asked) == [{"acr_values": ["aal2"], "max_age": 300, "offered": ["totp"]}]
