"""The cookies that real browsers take, and a live server whose sessions work over http.

A browser of Playwright uses them in ``tests/browser/test_testing_kit.py``.
"""

import json
import unittest
from http.cookiejar import Cookie
from typing import Any

import httpx
import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.test import LiveServerTestCase

from tests.browsers import ACCESS, DEVICE, REFRESH, SESSION
from tests.tokens.testing.test_clients import MODES
from tokens.conf import token_settings
from tokens.testing import (
    OverHttp,
    create_user,
    cypress_cookies,
    expire_access_token,
    open_session,
    over_http,
    selenium_cookies,
    storage_state,
)
from tokens.testing.plugin import _latchkey_started, latchkey_live_server  # noqa: F401

pytestmark = pytest.mark.django_db


def by_name(cookies: Any) -> dict[str, Any]:
    return {found["name"]: found for found in cookies}


class TestCookies:
    def test_of_playwright(self, user):
        state = storage_state(user)
        assert json.loads(json.dumps(state)) == state
        found = by_name(state["cookies"])
        assert {ACCESS, REFRESH, DEVICE, SESSION} <= found.keys()
        assert found[REFRESH] == {
            "name": REFRESH,
            "value": found[REFRESH]["value"],
            "domain": "testserver",
            "path": "/",
            "expires": -1,
            "httpOnly": True,
            "secure": True,
            "sameSite": "Lax",
        }

    def test_of_playwright_with_remember_me(self, user, clock):
        found = by_name(storage_state(user, remember=True)["cookies"])
        assert found[REFRESH]["expires"] == clock.now.timestamp() + 14 * 86400

    def test_of_selenium(self, user):
        found = by_name(selenium_cookies(user, remember=True))[REFRESH]
        assert found.keys() == {"name", "value", "path", "secure", "httpOnly", "sameSite", "expiry"}
        assert "expiry" not in by_name(selenium_cookies(user))[REFRESH]

    def test_of_cypress(self, user):
        found = by_name(cypress_cookies(user))[REFRESH]
        assert (found["sameSite"], found["hostOnly"], found["domain"]) == ("lax", True, "testserver")

    def test_of_a_site_with_an_auth_host(self, user, settings):
        settings.TOKENS = {"MODES": MODES, "COOKIE_DOMAIN": "example.org"}
        settings.ORIGIN = "https://auth.example.org"
        signed_in = open_session(user, mode="subdomain")
        for cookies in (storage_state(signed_in)["cookies"], selenium_cookies(signed_in), cypress_cookies(signed_in)):
            assert by_name(cookies)["__Secure-access"]["domain"] == ".example.org"
        assert by_name(storage_state(signed_in)["cookies"])[REFRESH]["domain"] == "auth.example.org"
        assert "hostOnly" not in by_name(cypress_cookies(signed_in))["__Secure-access"]

    def test_of_mode_body_there_are_none(self, user, settings):
        settings.TOKENS = {"MODES": MODES, "COOKIE_DOMAIN": "testserver"}
        with pytest.raises(ValueError, match="mode body"):
            storage_state(user, mode="body")


def browser(state: dict[str, Any]) -> httpx.Client:
    """Return a client that keeps cookies as browsers do: Secure ones are not sent over http."""
    client = httpx.Client(trust_env=False)
    for found in state["cookies"]:
        domain = found["domain"] if "." in found["domain"] else f"{found['domain']}.local"  # As the jar names hosts.
        where = domain, True, False, found["path"], True, found["secure"]
        client.cookies.jar.set_cookie(
            Cookie(0, found["name"], found["value"], None, False, *where, None, True, None, None, {})
        )
    return client


class TestTheLiveServer:
    def test_without_the_kit_nobody_is_signed_in(self, live_server):
        assert browser(storage_state(create_user())).get(f"{live_server.url}/api/auth/me").status_code == 401

    def test_answers_a_browser_that_is_signed_in_and_refreshes(self, latchkey_live_server):  # noqa: F811
        user = create_user()
        signed_in = open_session(user)
        assert {"access", "refresh", "session"} <= signed_in.cookies.keys()
        client, me = browser(storage_state(signed_in)), f"{latchkey_live_server.url}/api/auth/me"
        answer = client.get(me)
        assert (answer.status_code, answer.json()["user"]["email"]) == (200, user.email)
        client = browser(storage_state(expire_access_token(signed_in)))
        answer = client.get(me)
        assert (answer.status_code, set(answer.cookies) >= {"access", "refresh"}) == (200, True)
        assert client.get(me).status_code == 200

    def test_of_a_test_case_is_the_origin_and_afterwards_all_is_as_before(self):
        seen = []

        class Inside(OverHttp, LiveServerTestCase):
            host = "localhost"

            def runTest(self):
                seen.append((token_settings().origin, self.live_server_url, django_settings.SESSION_COOKIE_NAME))

        before = token_settings()
        [url] = {url for url, _, _ in self.run(Inside, seen)}
        assert seen == [(url, url, "session")]
        assert token_settings() == before
        assert django_settings.SESSION_COOKIE_NAME == SESSION

    def test_of_a_test_case_is_prepared_before_it_starts(self):
        with pytest.raises(TypeError, match="OverHttp has to stand before"):
            type("Inside", (LiveServerTestCase, OverHttp), {})

    def run(self, case, seen):
        """Run a test case without its database, which this test run has made otherwise."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(case, "databases", set())
            result = unittest.TestSuite([case()]).run(unittest.TestResult())
        assert result.wasSuccessful(), result.errors
        return seen

    def test_redirects_nobody_to_https(self, settings):
        settings.SECURE_SSL_REDIRECT = True
        with over_http("http://localhost:1"):
            assert not django_settings.SECURE_SSL_REDIRECT

    def test_with_debug_off_http_is_an_error_only_outside(self, settings):
        with over_http("http://localhost:1"):
            assert (token_settings().origin, token_settings().secure) == ("http://localhost:1", False)
        settings.ORIGIN = "http://localhost:1"
        with pytest.raises(ImproperlyConfigured, match="ORIGIN is not https"):
            token_settings()
