"""Mode `body`: pages send access tokens to whom they are for, and the refresh token stays in the worker."""

import json

import pytest

from tests.browser.session.worlds import World
from tokens.refresh_tokens import PREFIX

pytestmark = pytest.mark.parametrize("mode", ["body"], indirect=True)

EVIL = "evil.test"

_RECORD = """
globalThis.record = [];
const note = ({ data }) => record.push(data);
const { SharedWorker: Real } = globalThis;
globalThis.SharedWorker = class extends Real {
    constructor(...given) {
        super(...given);
        globalThis.worker = this;
        this.port.addEventListener("message", note);
        new BroadcastChannel(given[1].name).addEventListener("message", note);
    }
};
"""

_SEEN = """async () => {
    const seen = [record, { ...localStorage }, { ...sessionStorage }, document.cookie, await indexedDB.databases()];
    seen.push(await caches.keys(), performance.getEntries(), history.state, name);
    const known = new Set();
    const walk = (value) => {
        if (Object(value) !== value || known.has(value)) return;
        known.add(value);
        for (const key of Reflect.ownKeys(value)) {
            const { value: found } = Object.getOwnPropertyDescriptor(value, key);
            seen.push(String(key), typeof found === "function" ? "" : Object(found) === found ? "" : String(found));
            walk(found);
        }
        walk(Object.getPrototypeOf(value));
    };
    walk(session);
    walk(worker);
    return JSON.stringify(seen);
}"""


def at_the_stranger(world: World) -> list[str]:
    """What was sent to the stranger, preflights too: method, and whether a token was with it or asked for."""
    found = world.answered(method="GET") + world.answered(method="OPTIONS")
    return [f"{one.method} {one.sent('Authorization')}".strip() for one in found if one.sent("Host").startswith(EVIL)]


def test_the_refresh_token_is_in_no_message_no_storage_and_nothing_that_a_page_sees(context, new_tab, world, person):
    context.add_init_script(_RECORD)
    tabs = [new_tab(), new_tab()]
    tabs[0].sign_in(person, remember=True)
    for _ in range(3):
        world.forward(601)
        assert [tab.fetch(times=3) for tab in tabs] == [[200] * 3] * 2
    assert world.generation(person) == 3
    tabs[0].page.reload()
    tabs[0].open()
    assert tabs[0].restore() == person.email
    seen = [tab.page.evaluate(_SEEN) for tab in tabs]
    # What is looked for would be found: the access token is in messages.
    assert '"token":"eyJ' in seen[1]
    device = "device_token"
    for text in seen:
        assert PREFIX not in text
        assert device not in text
    # Whatever is asked for at the worker's door.
    answers = tabs[1].page.evaluate(
        """async () => {
            const before = record.length;
            const doors = ["refreshToken", "#refreshToken", "tokens", "#tokens", "constructor", "hear", "toString"];
            doors.forEach((door, id) => worker.port.postMessage({ id: 1000 + id, door, given: [] }));
            await session.restore();
            return JSON.stringify(record.slice(before));
        }"""
    )
    assert [answer["value"]["kind"] for answer in json.loads(answers)] == ["restore"]
    tabs[1].sign_out()
    assert PREFIX not in tabs[1].page.evaluate(_SEEN)
    assert context.cookies() == []


def test_a_page_cannot_have_the_refresh_token_sent_to_another_api(signed_in, world, new_tab):
    """The worker's name is its API: another name is another worker, in which nobody is signed in."""
    stranger = world.app.origin.replace("app.test", EVIL)
    tab = new_tab(api=f"{stranger}/api/auth/")
    assert tab.restore() is None
    assert tab.user is None
    assert at_the_stranger(world) == []


def test_no_token_is_sent_to_a_strangers_origin(signed_in, world):
    stranger = world.app.origin.replace("app.test", EVIL)
    assert signed_in.fetch(f"{stranger}/api/orders") == ["TypeError"]  # No CORS there: what was sent is what counts.
    assert at_the_stranger(world) == ["GET"]
    world.forget()
    signed_in.page.evaluate("(url) => session.fetch(new Request(url)).catch(() => {})", f"{stranger}/api/orders")
    signed_in.page.evaluate("(url) => session.fetch(new URL(url)).catch(() => {})", f"{stranger}/api/orders")
    assert at_the_stranger(world) == ["GET", "GET"]


def test_a_token_does_not_follow_a_redirection_to_a_stranger(signed_in, world):
    stranger = world.app.origin.replace("app.test", EVIL)
    signed_in.fetch(f"/api/away?to={stranger}/api/orders")
    assert at_the_stranger(world) == ["GET"]
    assert [bool(one.sent("Authorization")) for one in world.answered("/api/away")] == [True]


def test_a_token_is_sent_to_an_origin_that_the_app_names(world, new_tab, person):
    named = world.app.origin.replace("app.test", EVIL)
    tab = new_tab(origins=[named])
    tab.sign_in(person)
    world.forget()
    tab.fetch(f"{named}/api/orders")
    assert at_the_stranger(world) == ["OPTIONS"]  # Asks whether it may bring an Authorization header; here it may not.


def test_a_refresh_token_does_not_follow_a_redirection_either(signed_in, world):
    world.forward(601)
    world.auth.do(
        "from django.http import HttpResponse\n"
        "from tokens.api.views import Refresh\n"
        "def away(self, request): return HttpResponse(status=307, headers={'Location': to})\n"
        "Refresh.was, Refresh.post = Refresh.post, away",
        to=world.app.origin.replace("app.test", EVIL) + "/api/auth/refresh",
    )
    try:
        signed_in.begin()
        while 307 not in world.refreshes:
            signed_in.page.wait_for_timeout(50)
    finally:
        world.auth.do("from tokens.api.views import Refresh; Refresh.post = Refresh.was")
    assert signed_in.end() == [200]
    assert not [one for one in world.answered() + world.answered(method="OPTIONS") if EVIL in one.sent("Host")]


def test_a_session_by_cookie_beside_it_is_left_alone(signed_in, world, context):
    """What the worker asks goes without cookies, so that signing out here signs nobody out there."""
    by_cookie, other = World("cookie", world.auth, world.app).tab(context), world.auth.new_person()
    by_cookie.sign_in(other)
    world.forget()
    world.forward(601)
    assert signed_in.fetch() == [200]
    signed_in.sign_out()
    asked = world.answered("/api/auth/refresh") + world.answered("/api/auth/logout")
    assert [one.sent("Cookie") for one in asked] == ["", ""]
    assert by_cookie.restore() == other.email


def test_when_all_tabs_are_closed_for_good_the_session_is_gone_from_the_client(jar, world, person):
    """And stays on the server until it is ended there, or runs out."""
    context = jar()
    tab = world.tab(context)
    tab.sign_in(person, remember=True)
    context.close()
    assert world.tab(jar()).restore() is None
    assert [row["revoked_reason"] for row in world.auth.sessions(person)] == [""]
