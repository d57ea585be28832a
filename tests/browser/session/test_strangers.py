"""Mode `body`: pages send access tokens only to the origins they are for, and no page ever has the refresh token."""

import json

import pytest

from tests.browser.session.worlds import World
from tokens.protocol.refresh_tokens import PREFIX

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

_UNKNOWN_MESSAGES = """async () => {
    const before = record.length;
    const methods = ["refreshToken", "#refreshToken", "tokens", "#tokens", "constructor", "hear", "toString"];
    methods.forEach((method, id) => worker.port.postMessage({ id: 1000 + id, method, given: [] }));
    await session.restore();
    return JSON.stringify(record.slice(before));
}"""


@pytest.fixture
def other_origin(world) -> str:
    """The origin of another site, which the tests' server answers too, so that they see what it receives."""
    return world.app.origin.replace("app.test", EVIL)


def received(world: World) -> list[str]:
    """Return the method of each request to the other site, preflights included, with its Authorization header."""
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
    tabs[0].reload()
    assert tabs[0].restore() == person.email
    seen = [tab.page.evaluate(_SEEN) for tab in tabs]
    # The search finds tokens: the access token is in messages.
    assert '"token":"eyJ' in seen[1]
    for text in seen:
        assert PREFIX not in text
        assert "device_token" not in text
    # The worker does not answer messages that it does not know.
    answers = json.loads(tabs[1].page.evaluate(_UNKNOWN_MESSAGES))
    assert [answer["value"]["kind"] for answer in answers] == ["restore"]
    tabs[1].sign_out()
    assert PREFIX not in tabs[1].page.evaluate(_SEEN)
    assert context.cookies() == []


def test_a_page_cannot_have_the_refresh_token_sent_to_another_api(signed_in, world, new_tab, other_origin):
    """The worker's name contains its API's URL: another URL is another worker, in which no user is signed in."""
    tab = new_tab(api=f"{other_origin}/api/auth/")
    assert (tab.restore(), tab.user, received(world)) == (None, None, [])


REDIRECTED = "`/api/away?to=${url}`"


def test_no_token_is_sent_to_another_origin(signed_in, world, other_origin):
    for what in ("url", "new Request(url)", "new URL(url)", REDIRECTED):
        world.forget()
        ask = f"(url) => session.fetch({what}).then(() => '', (error) => error.name)"
        # The other site permits no CORS, so the page cannot read its answer. The request is sent all the same.
        assert signed_in.page.evaluate(ask, f"{other_origin}/api/orders") == "TypeError"
        # After a redirection Chromium drops the token. Firefox first asks whether it may send it, and may not.
        assert received(world) == ["GET"] or (what == REDIRECTED and received(world) == ["OPTIONS"]), what
        away = [bool(one.sent("Authorization")) for one in world.answered("/api/away")]
        assert away == ([True] if what == REDIRECTED else [])


def test_a_token_is_sent_to_an_origin_that_the_app_names(world, new_tab, person, other_origin):
    tab = new_tab(origins=[other_origin])
    tab.sign_in(person)
    world.forget()
    tab.fetch(f"{other_origin}/api/orders")
    assert received(world) == ["OPTIONS"]  # The preflight for the Authorization header, which is rejected here.


REDIRECT = """
from django.http import HttpResponse
from tokens.api.views import Refresh as owner
def new(self, request): return HttpResponse(status=307, headers={'Location': to})
"""


def test_a_refresh_token_does_not_follow_a_redirection(signed_in, world, other_origin):
    world.forward(601)
    with world.auth.replaced("post", REDIRECT, to=f"{other_origin}/api/auth/refresh"):
        signed_in.begin()
        while 307 not in world.refreshes:
            signed_in.page.wait_for_timeout(50)
    assert signed_in.end() == [200]
    assert not [one for one in world.answered() + world.answered(method="OPTIONS") if EVIL in one.sent("Host")]


def test_a_session_by_cookie_in_the_same_browser_is_not_affected(signed_in, world, context):
    """The worker's requests send no cookies, so that signing out in one mode does not sign out in the other."""
    by_cookie, other = World("cookie", world.auth, world.app).tab(context), world.auth.new_person()
    by_cookie.sign_in(other)
    world.forget()
    world.forward(601)
    assert signed_in.fetch() == [200]
    signed_in.sign_out()
    asked = world.answered("/api/auth/refresh") + world.answered("/api/auth/logout")
    assert [one.sent("Cookie") for one in asked] == ["", ""]
    assert by_cookie.restore() == other.email


def test_when_all_tabs_are_closed_the_client_has_no_session_any_more(new_context, world, person):
    """The server keeps it until it is ended there, or expires."""
    context = new_context()
    world.tab(context).sign_in(person, remember=True)
    context.close()
    assert world.tab(new_context()).restore() is None
    assert world.auth.reasons(person) == [""]
