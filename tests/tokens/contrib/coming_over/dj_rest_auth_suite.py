"""dj-rest-auth with USE_JWT: browsers and applications that it has signed in come over.

`tests.tokens.contrib.test_suites` runs this file, with settings of its own.
"""

from typing import Any

import pytest
from dj_rest_auth.app_settings import api_settings
from django.test import Client
from rest_framework_simplejwt.settings import api_settings as jwt_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken

from tests.browsers import ACCESS, FIREFOX, REFRESH, post
from tests.factories import PASSWORD
from tests.tokens.contrib.coming_over.steps import POLICY, live
from tokens.models import RefreshToken
from tokens.protocol.refresh_tokens import PREFIX
from tokens.service.revocation import revoke

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]
JSON = {"content_type": "application/json"}


@pytest.fixture
def applications(monkeypatch: pytest.MonkeyPatch) -> None:
    """dj-rest-auth without cookies: its clients keep both tokens."""
    for name, value in {"JWT_AUTH_COOKIE": None, "JWT_AUTH_REFRESH_COOKIE": None, "JWT_AUTH_HTTPONLY": False}.items():
        monkeypatch.setattr(api_settings, name, value)


def signed_in(user: Any, at: str, client: Client | None = None) -> Any:
    return post(client or Client(), f"/{at}/login/", {"email": user.email, "password": PASSWORD})


@pytest.fixture
def browser(user: Any) -> Client:
    """A browser that dj-rest-auth has signed in before the release. Django's session is left out."""
    client = Client(headers={"User-Agent": FIREFOX})
    answer = signed_in(user, "old")
    assert answer.status_code == 200, answer.content
    for name in ("access", "refresh"):
        client.cookies[name] = answer.cookies[name].value
    RefreshToken.objects.all().delete()
    return client


class TestBrowsers:
    def test_a_browser_comes_over_at_its_next_refresh_and_keeps_our_cookies(self, browser):
        answer = post(browser, "/dj-rest-auth/token/refresh/")
        assert set(answer.json()) == {"access", "access_expiration"}
        assert (live(), RefreshToken.objects.get().mode) == (1, "cookie")
        assert {ACCESS, REFRESH} <= set(answer.cookies)
        assert [answer.cookies[name].value for name in ("access", "refresh")] == ["", ""]
        assert browser.get("/dj-rest-auth/user/").status_code == 200
        del browser.cookies[ACCESS]
        again = post(browser, "/dj-rest-auth/token/refresh/")
        assert (again.status_code, set(again.json())) == (200, {"access", "access_expiration"})
        assert (browser.get("/api/auth/me").status_code, live()) == (200, 1)

    def test_a_lost_answer_gives_the_same_session(self, browser):
        before = dict(browser.cookies.items())
        post(browser, "/dj-rest-auth/token/refresh/")
        browser.cookies.clear()
        browser.cookies.update(before)
        assert (post(browser, "/dj-rest-auth/token/refresh/").status_code, RefreshToken.objects.count()) == (200, 1)

    def test_logout_ends_the_session_and_blacklists_the_old_token(self, browser):
        post(browser, "/dj-rest-auth/token/refresh/")
        answer = post(browser, "/dj-rest-auth/logout/")
        assert (answer.status_code, answer.json()) == (200, {"detail": "Successfully logged out."})
        assert (live(), BlacklistedToken.objects.count()) == (0, 1)
        assert post(browser, "/dj-rest-auth/token/refresh/").status_code == 401

    def test_a_logout_before_it_has_come_over(self, browser):
        assert post(browser, "/dj-rest-auth/logout/").status_code == 200
        assert (live(), BlacklistedToken.objects.count()) == (0, 1)
        assert post(browser, "/dj-rest-auth/token/refresh/").status_code == 401

    def test_signing_in(self, user):
        client = Client(headers={"User-Agent": FIREFOX})
        ours, old = signed_in(user, "dj-rest-auth", client), signed_in(user, "old")
        assert ours.json().keys() == old.json().keys()
        assert (ours.json()["user"], ours.json()["refresh"]) == (old.json()["user"], "")
        assert client.get("/dj-rest-auth/user/").status_code == 200

    def test_a_page_of_another_origin_refreshes_nothing(self, browser):
        answer = post(browser, "/dj-rest-auth/token/refresh/", Origin="https://evil.example")
        assert (answer.status_code, live()) == (403, 0)

    def test_an_access_token_of_theirs_is_theirs_until_it_expires(self, browser):
        assert (browser.get("/dj-rest-auth/user/").status_code, live()) == (200, 0)


@pytest.mark.usefixtures("applications")
class TestApplications:
    @pytest.mark.parametrize("rotates", [False, True], ids=["one refresh token", "rotating"])
    def test_an_application_comes_over(self, user, monkeypatch, rotates):
        monkeypatch.setattr(jwt_settings, "ROTATE_REFRESH_TOKENS", rotates)
        old = signed_in(user, "old").json()
        RefreshToken.objects.all().delete()
        answer = post(Client(), "/dj-rest-auth/token/refresh/", {"refresh": old["refresh"]}).json()
        assert ("refresh" in answer) == rotates
        got = Client().get("/dj-rest-auth/user/", headers={"Authorization": f"Bearer {answer['access']}"})
        assert got.status_code == 200
        assert post(Client(), "/dj-rest-auth/logout/", {"refresh": old["refresh"]}).status_code == 200
        assert live() == 0

    @pytest.mark.parametrize("rotates", [False, True], ids=["one refresh token", "rotating"])
    def test_signing_in_and_out(self, user, monkeypatch, rotates):
        monkeypatch.setattr(jwt_settings, "ROTATE_REFRESH_TOKENS", rotates)
        answer = signed_in(user, "dj-rest-auth").json()
        assert answer["refresh"].startswith(PREFIX) == rotates
        assert post(Client(), "/dj-rest-auth/token/refresh/", {"refresh": answer["refresh"]}).status_code == 200
        assert post(Client(), "/dj-rest-auth/logout/", {"refresh": answer["refresh"]}).status_code == 200
        assert live() == 0

    def test_the_answer_to_a_sign_in_that_fails_is_theirs(self, user):
        given = {"email": user.email, "password": "wrong"}
        ours, old = (post(Client(), f"/{at}/login/", given) for at in ("dj-rest-auth", "old"))
        assert (ours.status_code, ours.json()) == (old.status_code, old.json())


def test_the_policy_is_asked(user, browser, settings):
    settings.TOKENS = {**settings.TOKENS, **POLICY}
    for answer in (signed_in(user, "dj-rest-auth"), post(browser, "/dj-rest-auth/token/refresh/")):
        assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_refused")
    assert live() == 0


def test_the_end_of_the_session_ends_the_token(browser):
    post(browser, "/dj-rest-auth/token/refresh/")
    revoke(RefreshToken.objects.all(), RefreshToken.Reason.ENDED_BY_USER)
    assert BlacklistedToken.objects.count() == 1
