"""A shared cache in front stores all that it may: it never answers one user with another user's page."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Response

from tests.browser.conftest import NewContext, at_length
from tests.browser.proxies import nginx_started, reserved_port
from tests.browser.sites import UNBOUND, Site, served
from tests.browser.steps import EXPIRED, REFRESH, cookie, tokens

GREEDY_CACHE = Path(__file__).with_name("greedy_cache.conf")


@pytest.fixture(scope="module")
def behind(database_url, certificate, tmp_path_factory) -> Iterator[Site]:
    """A site behind nginx. Its origin is that of nginx."""
    folder = tmp_path_factory.mktemp("nginx")
    with (
        reserved_port() as port,
        served(
            database_url, certificate, ORIGIN=f"https://app.test:{port}", TRUSTED_PROXIES="127.0.0.1", **UNBOUND
        ) as site,
        nginx_started(GREEDY_CACHE, folder, certificate, PORT=port, SITE=site.port),
    ):
        yield site


@pytest.fixture
def site(behind) -> Site:
    """The site behind nginx, also for `context` and `person`. Otherwise the browser would not go through the cache."""
    return behind


def visit_elsewhere(new_context: NewContext, site: Site, path: str) -> Response:
    """Open a page in a new browser, in which no user is signed in."""
    return new_context(base_url=site.origin).new_page().goto(path)


def test_the_cache_stores_what_it_may(site, new_context):
    """Otherwise the tests below would pass without a cache."""
    answers = [visit_elsewhere(new_context, site, "/.well-known/jwks.json") for _ in range(2)]
    assert answers[1].headers["x-cache"] == "HIT"


@pytest.mark.parametrize(
    "path", ["/", "/api/auth/me", *at_length("/probe/note", "/probe/who", "/api/auth/sessions", "/admin/login/")]
)
def test_a_page_with_a_new_cookie_is_not_stored(signed_in, site, person, new_context, path):
    site.forward(EXPIRED)
    unique = f"{path}?{uuid4()}"
    before = cookie(signed_in.context, REFRESH)
    answer = signed_in.goto(unique)
    assert cookie(signed_in.context, REFRESH) != before
    assert answer.headers["x-cache"] != "HIT"
    assert "no-store" in answer.headers["cache-control"]
    other = new_context(base_url=site.origin)
    theirs = other.new_page().goto(unique)
    assert theirs.headers["x-cache"] != "HIT"
    assert person.email not in theirs.text()
    assert tokens(other) == (None, None)


@pytest.mark.parametrize("path", ["/", "/api/auth/me", *at_length("/probe/who", "/email/change", "/account/delete")])
def test_a_page_about_a_user_is_not_stored(signed_in, site, new_context, path):
    unique = f"{path}?{uuid4()}"
    signed_in.goto(unique)
    assert visit_elsewhere(new_context, site, unique).headers["x-cache"] != "HIT"


def test_the_answer_to_a_sign_in_is_not_stored(signed_in, site, new_context):
    other = new_context(base_url=site.origin)
    assert other.new_page().goto("/sign-in").headers["x-cache"] != "HIT"
    assert tokens(other) == (None, None)


def test_sixty_parallel_requests_over_http_2_are_one_rotation(signed_in, site, person):
    site.forward(EXPIRED)
    sixty = "Promise.all(Array.from({length: 60}, () => fetch('/api/auth/me').then(r => r.status)))"
    assert signed_in.evaluate(sixty) == [200] * 60
    assert site.generations(person) == [1]
    site.forward(EXPIRED)
    # A URL of its own: the cache may have stored the page that an anonymous user got.
    assert person.email in signed_in.goto(f"/?{uuid4()}").text()
    assert site.reasons(person) == [""]
