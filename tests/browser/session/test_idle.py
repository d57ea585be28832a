"""A session that nobody used for a while is reopened by a factor (LIFETIMES): the user does not sign in anew."""

import pytest

from tests.browser.session.test_changes import send
from tests.browser.session.worlds import World
from tests.browser.sites import THREE_MODES, UNBOUND

HOUR = 3600
_STEP_UP = """async ([options, password]) => {
    const { createSession } = await import(`${location.origin}/static/tokens/session.js`);
    const asked = [];
    const stepUp = async (challenge) => {
        asked.push(challenge);
        await another.send("POST", "reauthenticate", { password });
        return true;
    };
    const another = createSession({ ...options, stepUp });
    const { status } = await another.fetch("/api/orders");
    another.close();
    return [status, asked];
}"""


@pytest.fixture
def world(mode, sites) -> World:
    """A site whose sessions are idle after an hour. With the default settings no factor reopens one.

    None reopens a session that is bound to its device: it has no refresh token.
    """
    site = sites(**THREE_MODES, **UNBOUND, TOKENS_LIFETIMES=f"aal1=864000/{HOUR}/reopens")
    return World(mode, site, site)


@pytest.fixture
def idle(signed_in, world):
    """A tab that was not used for an hour. Before that, its session goes on without a factor."""
    world.forward(HOUR + 1)
    return signed_in


def is_one_live_session(world, person) -> bool:
    return [row["revoked_reason"] for row in world.auth.sessions(person)] == [""]


@pytest.mark.parametrize("mode", ["cookie", "body"], indirect=True)
def test_the_app_asks_for_a_factor_and_the_request_is_repeated(idle, world, person):
    status, asked = idle.page.evaluate(_STEP_UP, [idle._options, person.password])
    assert (status, asked) == (200, [{"offered": ["password"]}])
    assert is_one_live_session(world, person)


@pytest.mark.parametrize("mode", ["body"], indirect=True)
def test_an_answer_afterwards_reopens_it_for_all_tabs_and_a_wrong_one_does_not(idle, world, person, new_tab):
    other = new_tab()
    assert idle.fetch() == [401]
    idle.wait_for("session.user === null")
    assert send(idle, "POST", "reauthenticate", {"password": "wrong"})[0] != "done"
    assert send(idle, "POST", "reauthenticate", {"password": person.password})[0] == "done"
    idle.wait_for("session.user !== null")
    assert idle.heard == [["signin", person.email], ["expire", None], ["signin", person.email]]
    assert (idle.fetch(), other.fetch()) == ([200], [200])
    assert is_one_live_session(world, person)
