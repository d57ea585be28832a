"""django-allauth: who acts for an app client, and that its list of sessions ends ours.

`tests.tokens.contrib.test_suites` runs this file, with settings of its own.
"""

from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client

from tests.browsers import FIREFOX, login, post
from tests.factories import PASSWORD, UserFactory
from tests.tokens.web_steps import signed_in_as, who
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

APP, BROWSER = "/_allauth/app/v1/", "/_allauth/browser/v1/"
CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.org"}


def sign_in(client: Client, user: Any) -> Any:
    return post(client, f"{APP}auth/login", {"email": user.email, "password": PASSWORD})


def token_of(user: Any) -> dict[str, str]:
    """Return the header by which an app on a phone says who acts."""
    answer = sign_in(Client(), user)
    assert answer.status_code == 200, answer.content
    return {"X-Session-Token": answer.json()["meta"]["session_token"]}


def actor(client: Client, kind: str = APP, **headers: str) -> Any:
    """Return the id of the user who acts by django-allauth, or None."""
    answer = client.get(f"{kind}auth/session", headers=headers)
    return answer.json()["data"]["user"]["id"] if answer.status_code == 200 else None


class TestAnAppClient:
    def test_acts_as_the_user_of_its_token_whatever_the_cookies_are(self, signed_in, user):
        other = UserFactory()
        headers = token_of(other)
        for client in (Client(), signed_in):
            assert actor(client, **headers) == str(other.pk)
        assert who(signed_in) == str(user.pk)

    def test_without_a_token_is_nobody_whatever_the_cookies_are(self, signed_in):
        """Its views need no CSRF token, so cookies must not sign in."""
        assert actor(signed_in) is None
        fields = {"current_password": PASSWORD, "new_password": "a new password, long enough"}
        assert post(signed_in, f"{APP}account/password/change", fields).status_code == 401
        assert post(signed_in, f"{APP}account/password/change", fields, **CROSS_SITE).status_code in {401, 403}
        assert RefreshToken.objects.live().count() == 1

    def test_changes_the_account_of_its_token_only(self, signed_in, user):
        other = UserFactory()
        fields = {"current_password": PASSWORD, "new_password": "a new password, long enough"}
        assert post(signed_in, f"{APP}account/password/change", fields, **token_of(other)).status_code == 200
        for person, is_changed in ((user, False), (other, True)):
            person.refresh_from_db()
            assert person.check_password("a new password, long enough") is is_changed

    def test_is_nobody_when_its_token_has_ended(self, signed_in):
        headers = token_of(UserFactory())
        assert Client().delete(f"{APP}auth/session", headers=headers).status_code == 401
        assert actor(signed_in, **headers) is None


def test_a_browser_acts_as_the_user_of_the_cookies(signed_in, user):
    assert (actor(signed_in, BROWSER), actor(Client(), BROWSER)) == (str(user.pk), None)


def test_signing_out_the_other_sessions_ends_ours(user, django_capture_on_commit_callbacks):
    browsers = [Client(headers={"User-Agent": FIREFOX}) for _ in range(3)]
    for browser in browsers:
        login(browser, user)
        assert browser.get("/accounts/sessions/").status_code == 200
    stranger = signed_in_as(UserFactory())
    assert UserSession.objects.filter(user=user).count() == 3
    with django_capture_on_commit_callbacks(execute=True):  # The process learns of the end when it is committed.
        assert browsers[0].post("/accounts/sessions/").status_code == 302
    assert [who(browser) for browser in browsers] == [str(user.pk), None, None]
    assert who(stranger) is not None
    reasons = RefreshToken.objects.filter(user=user).order_by("created_at").values_list("revoked_reason", flat=True)
    assert list(reasons) == ["", "ended_by_user", "ended_by_user"]
