"""A greedy cache in front that everybody shares: what is one person's is never given to another."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import at_length
from tests.browser.proxies import nginx_started, reserved_port
from tests.browser.sites import Certificate, Site, served
from tests.browser.steps import ACCESS, REFRESH, cookie, gather, sign_in

GREEDY_CACHE = Path(__file__).with_name("greedy_cache.conf")


@pytest.fixture(scope="module")
def behind(database_url: str, certificate: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that nginx stands in front of; its origin is nginx's."""
    folder = tmp_path_factory.mktemp("nginx")
    with (
        reserved_port() as port,
        served(database_url, certificate, ORIGIN=f"https://app.test:{port}", TRUSTED_PROXIES="127.0.0.1") as site,
        nginx_started(GREEDY_CACHE, folder, certificate, PORT=port, SITE=site.port),
    ):
        yield site


@pytest.fixture
def site(behind: Site) -> Site:
    return behind


def test_the_cache_is_greedy(page, site, jar):
    """Else the tests below would prove nothing."""
    answers = [jar(base_url=site.origin).new_page().goto("/.well-known/jwks.json") for _ in range(2)]
    assert answers[1] is not None
    assert answers[1].headers["x-cache"] == "HIT"


@pytest.mark.parametrize(
    "path", ["/", "/api/auth/me", *at_length("/probe/note", "/probe/who", "/api/auth/sessions", "/admin/login/")]
)
def test_a_page_with_a_new_cookie_is_not_stored(page, site, person, jar, path):
    sign_in(page, person)
    site.forward(601)
    unique = f"{path}?{uuid4()}"
    before = cookie(page.context, REFRESH)
    answer = page.goto(unique)
    assert answer is not None
    assert cookie(page.context, REFRESH) != before
    assert answer.headers["x-cache"] != "HIT"
    assert "no-store" in answer.headers["cache-control"]
    stranger = jar(base_url=site.origin)
    theirs = stranger.new_page().goto(unique)
    assert theirs is not None
    assert theirs.headers["x-cache"] != "HIT"
    assert person.email not in theirs.text()
    assert cookie(stranger, ACCESS) is cookie(stranger, REFRESH) is None


@pytest.mark.parametrize("path", ["/", "/api/auth/me", *at_length("/probe/who", "/email/change", "/account/delete")])
def test_a_page_about_somebody_is_not_stored(page, site, person, jar, path):
    sign_in(page, person)
    unique = f"{path}?{uuid4()}"
    page.goto(unique)
    theirs = jar(base_url=site.origin).new_page().goto(unique)
    assert theirs is not None
    assert theirs.headers["x-cache"] != "HIT"


def test_signing_in_is_not_stored(page, site, person, jar):
    sign_in(page, person)
    stranger = jar(base_url=site.origin).new_page()
    stranger.goto("/probe/note")
    expect(stranger.locator("#who")).to_have_text("nobody")


def test_the_address_of_a_session_is_the_persons_and_not_the_proxys(page, site, person):
    sign_in(page, person)
    shown: dict[str, Any] = page.evaluate("fetch('/api/auth/me').then(r => r.json())")
    assert shown["session"]["ip"] == "127.0.0.1"


def test_sixty_requests_at_once_over_http_2_are_one_rotation(page, site, person):
    sign_in(page, person)
    site.forward(601)
    assert gather(page, "/api/auth/me", 60) == [200] * 60
    assert [session["generation"] for session in site.sessions(person)] == [1]
