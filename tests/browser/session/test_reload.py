"""Mode `body`: in browsers that end the shared worker at a reload, a service worker keeps the token for some seconds.

It gives the token to no page. Chromium knows `extendedLifetime`, and needs no service worker. Here it does not know it.
"""

import pytest
from playwright.sync_api import BrowserContext

from tests.browser import engines
from tests.browser.session.worlds import World
from tokens.protocol.refresh_tokens import PREFIX

pytestmark = pytest.mark.parametrize("mode", ["body"], indirect=True)

WITHOUT_EXTENDED_LIFETIME = """const { SharedWorker: Real } = globalThis;
globalThis.SharedWorker = class extends Real {
    constructor(url, { type, name } = {}) {
        super(url, { type, name });
    }
};"""
_ATTACK = """async () => {
    const seen = [], api = `${location.origin}/api/auth/`, name = `latchkey ${api}`;
    const note = (what) => seen.push(what);
    const worker = (await navigator.serviceWorker.getRegistration("/static/tokens/")).active;
    navigator.serviceWorker.addEventListener("message", ({ data }) => note(["message", JSON.stringify(data)]));
    navigator.serviceWorker.startMessages();
    const ports = [];
    for (const message of [name, { name }, { name, kept: null }, { id: 1, method: "begin", given: [] }]) {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = ({ data }) => note(["port", JSON.stringify(data)]);
        ports.push(port1);
        worker.postMessage(message, [port2]);
    }
    const given = JSON.stringify(JSON.stringify({ name }));
    const url_of_requests = JSON.stringify(`${location.origin}/static/tokens/session-client.js?hand-over`);
    const ask = `fetch(${url_of_requests}, { method: "POST", body: ${given} })
        .then((response) => response.text()).catch((error) => error.name)
        .then((text) => text.startsWith("{") ? text : "nothing")`; // Firefox sends the request of a blob to the server.
    note(["page", await eval(ask)]);
    const url = URL.createObjectURL(new Blob([
        `const answer = (port) => ${ask}.then((text) => port.postMessage(text));
         if ("onconnect" in self) onconnect = ({ ports: [port] }) => answer(port); else answer(self);`
    ]));
    for (const [kind, start] of [["worker", () => new Worker(url)], ["shared", () => new SharedWorker(url).port]]) {
        note([kind, await new Promise((resolve) => {
            const port = start();
            port.onmessage = ({ data }) => resolve(data);
            setTimeout(resolve, 5000, "no answer");
        })]);
    }
    note(["caches", JSON.stringify(await caches.keys())]);
    note(["databases", JSON.stringify(await indexedDB.databases())]);
    return [Boolean(navigator.serviceWorker.controller), seen];
}"""


@pytest.fixture
def context(context, engine) -> BrowserContext:
    """The user's browser, as if it did not know `extendedLifetime`."""
    if engine == engines.CHROMIUM:
        context.add_init_script(WITHOUT_EXTENDED_LIFETIME)
    return context


def test_a_page_that_the_service_worker_controls_cannot_get_the_token_from_it(signed_in, world: World, context, person):
    """It has no policy that would stop its scripts, and asks in each way in which the shared worker could ask."""
    page = context.new_page()
    page.goto(f"{world.app.origin}/static/tokens/session.js")
    is_controlled, seen = page.evaluate(_ATTACK)
    nothing = dict.fromkeys(("page", "worker", "shared"), "nothing")
    assert (is_controlled, dict(seen)) == (True, {**nothing, "caches": "[]", "databases": "[]"})
    # The service worker had it all the time.
    signed_in.reload()
    assert signed_in.restore() == person.email
    assert PREFIX not in str(seen)


def test_after_a_sign_out_there_is_nothing_to_take_over(signed_in, world: World):
    signed_in.sign_out()
    signed_in.reload()
    assert signed_in.restore() is None
    assert world.refreshes == []  # The server would refuse a token that was still there.


def test_the_token_for_one_api_is_not_given_to_the_worker_of_another(signed_in, new_tab, world: World):
    """A page can start the shared worker under any name, which is the URL to which it would send the token."""
    other = new_tab(api=f"{world.app.origin}/elsewhere/")
    assert other.restore() is None
    assert world.answered("/elsewhere/") == []


_POLICY = """from django.contrib.staticfiles.handlers import StaticFilesHandler as owner
def new(self, request):
    response = new.old(self, request)
    response["Content-Security-Policy"] = "default-src 'self'"
    return response"""
_ANSWERS = """from django.contrib.staticfiles.handlers import StaticFilesHandler as owner
from django.http import JsonResponse
owner.bodies = []
def new(self, request):
    if request.method != "POST": return new.old(self, request)
    owner.bodies.append(request.body.decode())
    return JsonResponse({})"""
_BODIES = "from django.contrib.staticfiles.handlers import StaticFilesHandler as owner\nresult = owner.bodies"


def test_a_policy_on_all_responses_does_not_keep_the_worker_from_the_token(world: World, new_tab, person):
    """Many servers add one policy to static files, too. It is the policy of the shared worker then."""
    with world.auth.replaced("serve", _POLICY):
        tab = new_tab()
        tab.sign_in(person)
        tab.reload()
        assert tab.restore() == person.email


def test_without_the_service_worker_the_token_is_sent_to_nobody(world: World, new_context, person):
    with world.auth.replaced("serve", _ANSWERS):
        context = new_context(base_url=world.app.origin, service_workers="block")
        context.add_init_script(WITHOUT_EXTENDED_LIFETIME)
        tab = world.tab(context)
        tab.sign_in(person)
        assert tab.restore() == person.email
        bodies = world.auth.do(_BODIES)
    assert bodies, "The service worker was there."
    assert PREFIX not in str(bodies)


def test_reloads_while_a_refresh_is_under_way_lose_and_fork_nothing(signed_in, world: World, person):
    for _ in range(2):
        world.forward(700)
        world.auth.hold_answers("/api/auth/refresh")
        signed_in.begin()
        world.auth.wait_until_held()
        signed_in.page.reload()
        world.auth.deliver()
        signed_in.open()
        assert (signed_in.restore(), signed_in.fetch()) == (person.email, [200])
    assert world.auth.reasons(person) == [""]


def test_the_next_user_is_the_one_who_is_signed_in_after_a_reload(signed_in, world: World, person):
    other = world.auth.new_person()
    signed_in.sign_in(other)  # Without a sign-out: the token before still works.
    signed_in.reload()
    assert signed_in.restore() == other.email
