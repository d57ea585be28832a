"""Django's session cookie comes without our cookies, although the browser has them: nobody is taken for a thief."""

from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from tests.browsers import ACCESS, REFRESH, login, post
from tests.factories import UserFactory
from tests.tokens.web.django.test_django_sign_in import copy_of
from tests.tokens.web_steps import EXPIRED, set_by, who
from tokens.models import RefreshToken, SecurityEvent
from tokens.web.django.session_data import SESSION_ID

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.at_length_on("sqlite"),
    pytest.mark.urls("tests.tokens.web.compatibility_urls"),
]
SESSION = django_settings.SESSION_COOKIE_NAME
HERE = "tests.tokens.web.compatibility_urls"
USED = 100


@pytest.fixture(autouse=True)
def _database_sessions(settings: Any) -> None:
    """Without it Django's session would be in the cookie, and stand for no refresh token."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"


def refreshed(user: Any, clock: Any) -> Client:
    """Return a browser that has refreshed a sign-in outside of our middleware, and has used what it got."""
    client = Client()
    client.force_login(user)
    clock.forward(EXPIRED)
    assert who(client) == str(user.pk)
    clock.forward(USED)
    assert who(client) == str(user.pk)
    return client


def is_unharmed(client: Client, user: Any) -> bool:
    row = RefreshToken.objects.get(user=user)
    return (row.revoked_reason, row.recovered, who(client)) == ("", 0, str(user.pk))


class TestOverHttp:
    """With an https ORIGIN, our cookies are Secure. Django's is not, unless SESSION_COOKIE_SECURE says so."""

    def test_a_request_ends_nothing_and_gets_nothing(self, user, clock, settings):
        settings.SESSION_COOKIE_SECURE = False
        client = refreshed(user, clock)
        answer = copy_of(client).get("/probe/who", secure=False)
        assert (answer.json()["pk"], set_by(answer), is_unharmed(client, user)) == (None, set(), True)

    @pytest.mark.parametrize(
        ("is_secure_cookie", "is_https"),
        [(True, False), (True, True), (False, True)],
        ids=["a secure cookie over HTTP", "a secure cookie over HTTPS", "another cookie over HTTPS"],
    )
    def test_a_copy_is_reported_where_browsers_would_send_both(self, user, clock, settings, is_secure_cookie, is_https):
        settings.SESSION_COOKIE_SECURE = is_secure_cookie
        client = refreshed(user, clock)
        copy_of(client).get("/probe/who", secure=is_https)
        assert SecurityEvent.objects.filter(kind=SecurityEvent.Kind.REUSE_DETECTED).count() == 1


def test_a_browser_that_lost_what_it_keeps_until_it_is_closed_is_no_thief(user, clock, settings):
    """A view has called ``set_expiry`` after the session was opened."""
    settings.SESSION_EXPIRE_AT_BROWSER_CLOSE = True
    client = refreshed(user, clock)
    session = SessionStore(client.cookies[SESSION].value)
    session.set_expiry(30 * 86400)
    session.save()
    closed = copy_of(client)
    assert (who(closed), is_unharmed(client, user)) == (None, True)


class TestASessionFromAHeader:
    """Another middleware puts it on the request, as for phones. There is no cookie, or that of another session."""

    @pytest.fixture(autouse=True)
    def _middleware(self, settings: Any) -> None:
        """Without it the header would be ignored, and the requests would be those of a stranger."""
        place = settings.MIDDLEWARE.index("tokens.middleware.TokenMiddleware")
        settings.MIDDLEWARE = [*settings.MIDDLEWARE]
        settings.MIDDLEWARE.insert(place, f"{HERE}.reads_session_from_header")

    @pytest.fixture
    def key(self, clock: Any, user: Any) -> str:
        """The key of a session that is signed in. With an unknown key the requests would be those of a stranger."""
        client = Client()
        client.force_login(user)
        return str(client.cookies[SESSION].value)

    @pytest.mark.parametrize("later", [0, EXPIRED], ids=["at once", "after the access token has expired"])
    def test_is_not_refreshed(self, key, clock, later):
        clock.forward(later)
        answer = post(Client(), "/api/auth/refresh", {}, **{"X-Session": key})
        assert (answer.status_code, set_by(answer)) == (401, set())

    def test_leaves_no_mark_in_the_session_of_a_cookie_beside_it(self, key):
        other = Client()
        other.force_login(UserFactory())
        mine = other.cookies[SESSION].value
        before = dict(SessionStore(mine).items())
        post(copy_of(other), "/api/auth/refresh", **{"X-Session": key})
        assert dict(SessionStore(mine).items()) == before

    def test_ends_when_it_signs_out(self, key, user):
        api = Client()
        named = SessionStore(key)[SESSION_ID]
        assert post(api, "/api/auth/logout", **{"X-Session": key}).status_code == 204
        assert RefreshToken.objects.get(id=named).revoked_reason == RefreshToken.Reason.SIGNED_OUT
        assert api.get("/probe/who", headers={"X-Session": key}).json()["pk"] is None

    def test_does_not_end_the_session_of_a_cookie_beside_it(self, key, user, api):
        other = UserFactory()
        login(api, other)
        assert api.post("/probe/sign-out", headers={"X-Session": key}).status_code == 200
        assert RefreshToken.objects.get(user=user).revoked_reason == RefreshToken.Reason.SIGNED_OUT
        assert who(api) == str(other.pk)
        assert {ACCESS, REFRESH} <= api.cookies.keys()
