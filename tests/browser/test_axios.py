"""axios with axios-auth-refresh, both from npm: on a page of the site, and in Node."""

from typing import Any

import pytest
from playwright.sync_api import Page, Route

from tests.browser.node import converse
from tests.browser.sites import THREE_MODES
from tests.browser.steps import EXPIRED

APP = """<!doctype html>
<script type="importmap">{"imports": {
  "axios": "/app/node_modules/axios/dist/esm/axios.js",
  "axios-auth-refresh": "/app/node_modules/axios-auth-refresh/dist/index.esm.js"
}}</script>
<script type="module">
  import { client } from "/app/client.mjs";
  globalThis.app = client("/", "/api/orders");
</script>
"""
"""An app on the site's own origin."""
VIEW, REFRESH = "api/orders", "api/auth/refresh"
SESSION_ENDED = {"status": 401, "code": "session_ended", "retryAfter": None}


@pytest.fixture
def environment() -> dict[str, str]:
    """Serves three storage modes. By default there is one, and the sign-in in another would be refused."""
    return THREE_MODES


@pytest.fixture
def mode() -> str:
    """The storage mode. In mode ``cookie`` the client has nothing to do, so that most tests need no other than this."""
    return "scoped"


@pytest.fixture
def app(page, site, person, package, mode) -> Page:
    """The app in a browser, with a user signed in."""
    folder = package("axios")

    def serve(route: Route) -> None:
        path = route.request.url.removeprefix(f"{site.origin}/app/")
        if path:
            route.fulfill(path=folder / path, content_type="text/javascript")
        else:
            route.fulfill(body=APP, content_type="text/html")

    page.route(f"{site.origin}/app/**", serve)
    page.goto("/app/")
    page.wait_for_function("globalThis.app !== undefined")
    credentials = {"email": person.email, "password": person.password, "mode": mode}
    page.evaluate("credentials => app.signIn(credentials)", credentials)
    return page


@pytest.fixture
def asked(app, site) -> list[str]:
    """The paths of the app's requests since it signed in. Without it an unnecessary refresh would go unnoticed."""
    paths: list[str] = []
    app.on("request", lambda request: paths.append(request.url.removeprefix(f"{site.origin}/")))
    return paths


def me(app: Page, times: int = 1) -> Any:
    return app.evaluate("times => Promise.all(Array.from({ length: times }, app.me))", times)


def test_twenty_requests_with_an_expired_token_are_answered_after_one_rotation(app, site, person, asked):
    site.forward(EXPIRED)
    assert me(app, 20) == [person.email] * 20
    assert (asked.count(REFRESH), site.generations(person)) == (1, [1])
    asked.clear()
    site.forward(EXPIRED)
    assert (me(app), asked) == ([person.email], [VIEW, REFRESH, VIEW])
    assert site.generations(person) == [2]


@pytest.mark.parametrize("mode", ["scoped", "cookie"])
def test_a_rejected_refresh_ends_in_an_error_and_no_loop(app, site, person, mode, asked):
    site.revoke(person, "ENDED_BY_COMMAND")
    site.forward(EXPIRED)
    (refused,) = me(app)
    assert {**SESSION_ENDED, **refused} == SESSION_ENDED
    assert asked == ([VIEW, REFRESH] if mode == "scoped" else [VIEW])


def test_an_outage_does_not_sign_the_user_out(app, site, person):
    site.forward(EXPIRED)
    with site.down():
        answers = me(app, 3)
    assert [(answer["code"], answer["retryAfter"]) for answer in answers] == [("unavailable", "2")] * 3
    assert me(app) == [person.email]


def test_wrong_credentials_are_reported_and_not_taken_for_an_expired_token(app, person, asked):
    code = app.evaluate(
        "email => app.signIn({ email, password: 'not it' }).catch(error => error.response.data.code)", person.email
    )
    assert code == "invalid_credentials"
    assert asked == ["api/auth/login"]


def test_in_node_the_client_keeps_its_tokens_itself(site, person, certificate, package):
    told = converse(site, certificate, package("axios"), "run.mjs", person.email, person.password)
    ended = {"status": 401, "code": "session_ended"}
    assert told == {
        "one": person.email,
        "twenty": [person.email] * 20,
        "again": person.email,
        "replay": ended,
        "after": ended,
        "logout": 204,
        "signedOut": ended,
    }
    assert (site.generations(person)[0], site.reasons(person)) == (2, ["reuse_detected", "signed_out"])
