"""Every cookie of this server, Django's own included: it keeps the promise of its prefix, and is not too large."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.browsers import login, post
from tests.factories import PASSWORD, UserFactory
from tests.tokens.protocol.pems import pem
from tests.tokens.web_steps import EXPIRED, signed_in_as
from tokens.web.http.cookies import MAX_COOKIE

pytestmark = pytest.mark.django_db

MODES = ["cookie", "scoped", "subdomain"]
SHARED = "__Secure-access"
"""The only cookie that other hosts of the site get."""
SCRIPTS_MAY_READ = {"__Host-csrf"}
HUGE = {"groups": ["a group with a long name"] * 150}


def groups(user: Any, session: Any) -> dict[str, Any]:
    return HUGE


@pytest.fixture(params=MODES)
def cookies(request: pytest.FixtureRequest, settings: Any, clock: Any, another: Callable[[], Client]) -> list[Any]:
    """All cookies of a user with a long address and a device with a long name, with large signatures.

    With short values a cookie that is too large for browsers would go unnoticed.
    """
    settings.ORIGIN = "https://auth.example.org"
    settings.ALLOWED_HOSTS = ["*"]
    settings.TOKENS = {"MODES": MODES, "COOKIE_DOMAIN": "example.org", "ALGORITHM": "RS256"}
    settings.TOKENS["SIGNING_KEYS"] = [pem("RS256")]
    user, browser = UserFactory(email=f"{'a' * 60}@{'b' * 60}.{'c' * 60}.example.org"), another()
    answers = [browser.get("/sign-in"), browser.post("/sign-in", {"username": user.email, "password": PASSWORD})]
    browser = signed_in_as(user, mode=request.param, device_name="x" * 100)
    session = post(browser, "/api/auth/refresh").json()["session"]["id"]
    answers += [browser.post(f"/sessions/{session}/rename", {"name": "\N{SNOWMAN}" * 100}) for _ in range(3)]
    answers.append(browser.post("/sessions/end-others"))
    clock.forward(EXPIRED)
    answers += [post(browser, "/api/auth/refresh"), browser.get("/password/change"), post(browser, "/api/auth/logout")]
    found = [*browser.cookies.values()] + [cookie for answer in answers for cookie in answer.cookies.values()]
    assert {cookie.key for cookie in found} >= {"__Host-csrf", "__Host-session", "__Host-Http-device"}
    return found


def test_each_has_a_prefix_is_secure_and_lax_and_none_but_the_forms_is_read_by_scripts(cookies):
    for cookie in cookies:
        assert cookie.key.startswith(("__Host-", "__Secure-", "__Http-")), cookie.key
        assert (bool(cookie["secure"]), cookie["samesite"]) == (True, "Lax"), cookie.key
        assert not cookie.value or bool(cookie["httponly"]) is (cookie.key not in SCRIPTS_MAY_READ), cookie.key
        assert not cookie["domain"] or cookie.key == SHARED, cookie.key
        assert cookie["path"] == "/" or not cookie.key.startswith("__Host-"), cookie.key
        # A script can plant the other cookies of an attacker, but none that lasts.
        is_guarded = cookie.key.startswith(("__Host-Http-", "__Http-"))
        assert not cookie.value or is_guarded is cookie.key.endswith(("refresh", "device")), cookie.key


def test_each_is_far_smaller_than_what_browsers_keep(cookies):
    assert max(len(cookie.key) + len(cookie.coded_value) for cookie in cookies) < MAX_COOKIE / 2


def test_one_that_a_claims_hook_makes_too_large_is_told_of(api, user, settings, caplog):
    caplog.set_level(logging.INFO, "tokens")
    login(api, user)
    assert "cookie too large" not in caplog.text
    settings.TOKENS = {"CLAIMS_HOOK": f"{__name__}.groups"}
    login(api, user)
    (line,) = [message for message in caplog.messages if "cookie too large" in message]
    assert line.startswith('event="cookie too large" name=__Host-access bytes=')
