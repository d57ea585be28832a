"""Somebody injects HTML without scripts into a page, or adds values to ``Object.prototype``: no password is lost."""

from pathlib import Path

import pytest

from tests.browser.conftest import at_length
from tests.browser.session.worlds import World
from tests.browser.urls import RECOMMENDED
from tests.clients.conftest import ROOT
from tests.docs.blocks import Block

pytestmark = pytest.mark.parametrize("mode", ["body"], indirect=True)

EVIL = "evil.test"
BEFORE = {
    "an element called like what workers have": """
        document.body.innerHTML = "<a id=onconnect></a><a id=SharedWorkerGlobalScope></a><a id=trustedTypes></a>";
    """,
    "pictures called like methods of the document": """
        document.body.innerHTML = "<img name=addEventListener><img name=hidden>";
    """,
}
AFTER = {
    "a base": "document.head.append(Object.assign(document.createElement('base'), { href: `${evil}/` }));",
    "a polluted prototype": """
        added = {
            api: `${evil}/api/auth/`, origins: [evil], access: "stolen", refresh: "stolen", device: "stolen",
            access_token_expires_at: "2000-01-01", errors: {}, error: {}, signal: {}, once: true, status: 401,
            code: "session_ended", credentials: "omit", referrer: evil, steal: true, integrity: "sha256-x",
            headers: { Authorization: "Bearer stolen" },
        };
        Object.assign(Object.prototype, added);
    """,
}
FORM = "document.body.innerHTML = '<form name=baseURI></form>';"


def runs_blocks() -> list[Block]:
    """The policy, which the page of the test below has."""
    return [RECOMMENDED]


_USE = """async ({ evil, mode, credentials, url }) => {
    let added = {};
    BEFORE
    const { createSession } = await import(url);
    AFTER
    try {
        const session = createSession({ mode });
        await session.signIn(credentials);
        const { status } = await session.fetch(`${location.origin}/api/orders`, { cache: "no-store" });
        const { email } = session.user;
        await session.signOut();
        return [status, email, session.user];
    } finally {
        for (const name of Object.keys(added)) delete Object.prototype[name];
    }
}"""


def use(world: World, context, person, before: str = "", after: str = "", query: str = "") -> list:
    """Sign in, send a request and sign out on a page, without the URL of the API. Return what the page has seen."""
    page = context.new_page()
    page.goto(f"{world.app.origin}/app{query}")
    given = {
        "evil": world.app.origin.replace("app.test", EVIL),
        "mode": world.mode,
        "credentials": {"email": person.email, "password": person.password},
        "url": f"{world.app.origin}/static/tokens/session.js",
    }
    return page.evaluate(_USE.replace("BEFORE", before).replace("AFTER", after), given)


def asked_elsewhere(world: World) -> list[str]:
    found = world.answered() + world.answered(method="OPTIONS")
    return [one.path for one in found if one.sent("Host").startswith(EVIL)]


@pytest.mark.parametrize(
    "injected",
    [*((code, "") for code in BEFORE.values()), *(("", code) for code in AFTER.values()), *at_length(("", FORM))],
    ids=[*BEFORE, *AFTER, "a form called like a property of the document"],
)
def test_the_password_is_sent_to_the_server_of_the_script(world, context, person, injected):
    assert (use(world, context, person, *injected), asked_elsewhere(world)) == ([200, person.email, None], [])


def test_it_works_with_the_policy_that_the_page_recommends(world, context, person, refused):
    assert (use(world, context, person, query="?strict"), refused) == ([200, person.email, None], [])


SCRIPTS = {
    "/static/tokens/session.1a2b3c.js": "/api/auth/login",
    "/shop/static/tokens/session.js": "/shop/api/auth/login",
    "/assets/session.js": "/api/auth/login",
}
_SIGN_IN_BY_EACH = """async (urls) => {
    for (const url of urls) {
        const { createSession } = await import(url);
        await createSession().signIn({ email: "nobody@example.org", password: "wrong" }).catch(() => {});
    }
}"""


def test_the_api_is_found_by_the_url_of_the_script(world, context):
    """A script can have a hash in its name, be behind the prefix of the project, or be copied by a bundler."""

    def answer(route):
        name = Path(route.request.url).name
        file = "session-client.js" if "client" in name else "session.js"
        route.fulfill(body=(ROOT / "tokens/static/tokens" / file).read_text(), content_type="text/javascript")

    page = context.new_page()
    page.route("**/*.js", answer)
    page.goto(f"{world.app.origin}/app")
    page.evaluate(_SIGN_IN_BY_EACH, [f"{world.app.origin}{path}" for path in SCRIPTS])
    assert [one.path for one in world.answered(method="POST")] == [*SCRIPTS.values()]
