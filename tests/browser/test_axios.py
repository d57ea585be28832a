"""axios with axios-auth-refresh, both as npm has them: on a page of the site, and in Node."""

from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route

from tests.browser.conftest import Sites
from tests.browser.node import converse
from tests.browser.sites import Person, Site
from tests.clients.conftest import Package

APP = """<!doctype html>
<script type="importmap">{"imports": {
  "axios": "/app/node_modules/axios/dist/esm/axios.js",
  "axios-auth-refresh": "/app/node_modules/axios-auth-refresh/dist/index.esm.js"
}}</script>
<script type="module">
  import { client } from "/app/client.mjs";
  globalThis.app = client("/", "/probe/rest");
</script>
"""
"""An app of somebody's, on the site's own origin."""
SESSION_ENDED = {"status": 401, "code": "session_ended", "retryAfter": None}


@pytest.fixture(params=["scoped", "cookie"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(sites: Sites, mode: str) -> Site:
    return sites() if mode == "cookie" else sites(TOKENS_MODES=mode)


@pytest.fixture
def app(page: Page, site: Site, person: Person, package: Package) -> Page:
    """The app in a browser, with somebody signed in."""
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
    page.evaluate("credentials => app.signIn(credentials)", {"email": person.email, "password": person.password})
    return page


@pytest.fixture
def asked(app: Page, site: Site) -> list[str]:
    """The paths of the requests that the app has sent since it signed in."""
    paths: list[str] = []

    def note(request: Request) -> None:
        paths.append(request.url.removeprefix(f"{site.origin}/"))

    app.on("request", note)
    return paths


def me(app: Page, times: int = 1) -> Any:
    return app.evaluate("times => Promise.all(Array.from({ length: times }, app.me))", times)


def generations(site: Site, person: Person) -> list[int]:
    return [session["generation"] for session in site.sessions(person)]


def revoke(site: Site, person: Person) -> None:
    site.do(
        "from tokens.models import RefreshToken\n"
        "from tokens.service.ending import end\n"
        "end(RefreshToken.objects.filter(user__email=email), RefreshToken.Reason.ENDED_BY_COMMAND)",
        email=person.email,
    )


def test_a_request_with_an_expired_token_is_answered(app, site, person, mode, asked):
    site.forward(601)
    assert me(app) == [person.email]
    assert asked == (["probe/rest", "api/auth/refresh", "probe/rest"] if mode == "scoped" else ["probe/rest"])
    assert generations(site, person) == [1]


def test_twenty_requests_with_an_expired_token_are_answered_after_one_rotation(app, site, person, mode, asked):
    site.forward(601)
    assert me(app, 20) == [person.email] * 20
    assert asked.count("api/auth/refresh") == (1 if mode == "scoped" else 0)
    assert generations(site, person) == [1]
    site.forward(601)
    assert me(app) == [person.email]
    assert generations(site, person) == [2]


def test_a_refused_refresh_ends_in_a_rejection_and_no_loop(app, site, person, mode, asked):
    revoke(site, person)
    site.forward(601)
    (refused,) = me(app)
    assert {**SESSION_ENDED, **refused} == SESSION_ENDED
    assert asked == (["probe/rest", "api/auth/refresh"] if mode == "scoped" else ["probe/rest"])


def test_a_service_that_is_down_has_signed_nobody_out(app, site, person):
    site.forward(601)
    site.do(
        "from django.db import OperationalError\n"
        "from tokens import middleware\n"
        "from tokens.api import views\n"
        "def down(*arguments): raise OperationalError\n"
        "middleware.kept, middleware.refresh, views.refresh = middleware.refresh, down, down"
    )
    try:
        answers = me(app, 3)
    finally:
        site.do(
            "from tokens import middleware\n"
            "from tokens.api import views\n"
            "middleware.refresh = views.refresh = middleware.kept"
        )
    assert {answer["code"] for answer in answers} == {"unavailable"}
    assert {answer["retryAfter"] for answer in answers} == {"2"}
    assert me(app) == [person.email]


def test_wrong_credentials_are_told_and_not_taken_for_an_expired_token(app, person, asked):
    code = app.evaluate(
        "email => app.signIn({ email, password: 'not it' }).catch(error => error.response.data.code)", person.email
    )
    assert code == "invalid_credentials"
    assert asked == ["api/auth/login"]


@pytest.mark.parametrize("mode", ["body"])
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
    stolen, signed_out = site.sessions(person)
    assert stolen["generation"] == 2
    assert [stolen["revoked_reason"], signed_out["revoked_reason"]] == ["reuse_detected", "signed_out"]
