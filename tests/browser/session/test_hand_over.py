"""Mode `body`: in browsers that end the shared worker at a reload, a service worker keeps the token for some seconds.

It gives the token to no page. Chromium knows `extendedLifetime`, and needs no service worker. Here it does not know it.
"""

import pytest
from playwright.sync_api import BrowserContext

from tests.browser import engines
from tests.browser.session.worlds import World
from tests.browser.sites import Person
from tokens.protocol.refresh_tokens import PREFIX

pytestmark = pytest.mark.parametrize("mode", ["body"], indirect=True)

_WITHOUT_EXTENDED_LIFETIME = """const { SharedWorker: Real } = globalThis;
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
    const ask = `fetch("https://hand-over.invalid/", { method: "POST", body: ${given} })
        .then((response) => response.text()).catch((error) => error.name)`;
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
        context.add_init_script(_WITHOUT_EXTENDED_LIFETIME)
    return context


def test_a_reload_of_the_only_tab_does_not_sign_the_user_out(signed_in, person):
    for _ in range(2):
        signed_in.reload()
        assert signed_in.restore() == person.email
        assert signed_in.fetch() == [200]


def test_a_page_that_the_service_worker_controls_cannot_get_the_token_from_it(signed_in, world: World, context, person):
    """It has no policy that would stop its scripts, and asks in each way in which the shared worker could ask."""
    page = context.new_page()
    page.goto(f"{world.app.origin}/static/tokens/session.js")
    is_controlled, seen = page.evaluate(_ATTACK)
    assert is_controlled
    assert dict(seen) == {
        "page": "TypeError",
        "worker": "TypeError",
        "shared": "TypeError",
        "caches": "[]",
        "databases": "[]",
    }
    # The service worker had it all the time.
    signed_in.reload()
    assert signed_in.restore() == person.email
    assert PREFIX not in str(seen)


def test_after_a_sign_out_there_is_nothing_to_take_over(signed_in, person: Person):
    signed_in.sign_out()
    signed_in.reload()
    assert signed_in.restore() is None


def test_the_token_for_one_api_is_not_given_to_the_worker_of_another(signed_in, new_tab, world: World):
    """A page can start the shared worker under any name, which is the URL to which it would send the token."""
    other = new_tab(api=f"{world.app.origin}/elsewhere/")
    assert other.restore() is None
    assert world.answered("/elsewhere/") == []
