"""A session gets older, becomes idle and is revoked, without a clock that moves. A live server would see the same."""

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from tests.browsers import ACCESS
from tests.factories import PASSWORD
from tokens.conf import codec
from tokens.models import RefreshToken
from tokens.protocol.access_tokens import AccessToken
from tokens.testing import age, expire_access_token, make_idle, open_session, revoke, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

MINUTE, HOUR, DAY = 60, 3600, 86400


def code(client: Any, method: str = "get", path: str = "/api/auth/me", **more: Any) -> Any:
    """Return the code of the problem that answers a request, or None."""
    answer = getattr(client, method)(path, **more)
    return answer.json().get("code") if answer.content else None


def access(client: Client) -> AccessToken:
    return codec().loads_expired(client.cookies[ACCESS].value)


@pytest.fixture
def client(user: Any) -> Client:
    """A client that is signed in. Without a session there would be nothing that gets older, or that ends."""
    client = Client()
    sign_in(client, user, remember=True)
    return client


class TestAge:
    def test_an_access_token_expires_by_its_own_time(self, user, settings):
        settings.TOKENS = {"MODES": ["body"]}
        client = APIClient()
        sign_in(client, user, mode="body")
        age(client, 5 * MINUTE)
        assert code(client) is None
        age(client, 6 * MINUTE)
        assert code(client) == "token_expired"

    def test_a_change_of_the_account_needs_a_recent_sign_in(self, client, user):
        changed = {"method": "delete", "path": "/api/auth/sessions"}
        assert code(client, **changed) is None
        age(client, 16 * MINUTE)
        assert code(client, **changed) == "reauthentication_required"
        sign_in(client, user)
        assert code(client, **changed) is None

    @pytest.mark.parametrize(("days", "expected"), [(13, None), (15, "session_ended")], ids=["in use", "too long"])
    def test_a_session_ends_that_was_not_used_for_its_idle_lifetime(self, days, expected, client):
        age(client, days * DAY)
        assert code(client) == expected

    @pytest.mark.parametrize(("days", "expected"), [(27, None), (33, "session_ended")], ids=["within", "after"])
    def test_a_session_ends_with_its_absolute_lifetime(self, days, expected, client):
        for _ in range(9):
            assert code(client) is None
            age(client, 3 * DAY)
        age(client, (days - 27) * DAY)
        assert code(client) == expected

    def test_a_session_that_is_not_remembered_ends_sooner(self, signed_in):
        age(signed_in, 13 * HOUR)
        assert code(signed_in) == "session_ended"

    def test_the_methods_get_older_too(self, user):
        client = Client()
        before = sign_in(client, user, methods=["pwd", "otp"]).session.methods
        age(client, HOUR)
        [first, *_], [then, *_] = before.split(), RefreshToken.objects.get().methods.split()
        assert int(first.partition(":")[2]) - int(then.partition(":")[2]) == HOUR
        assert RefreshToken.objects.get().amr == ["pwd", "otp", "mfa"]


def test_a_session_that_was_not_used_has_ended(client):
    assert code(client) is None
    make_idle(client)
    assert code(client) == "session_ended"


def test_with_lifetimes_an_idle_session_is_reopened_by_the_password(user, settings):
    settings.TOKENS = {"LIFETIMES": "nist", "ACCESS_LIFETIME": 300}
    client = Client()
    sign_in(client, user, methods=["pwd", "otp"])
    make_idle(client)
    sent = {"content_type": "application/json"}
    assert code(client, "post", "/api/auth/refresh", **sent) == "session_idle"
    assert code(client, "post", "/api/auth/reauthenticate", data={"password": PASSWORD}, **sent) is None
    assert code(client) is None


def test_a_revoked_session_is_refused_at_once(client, signed_in):
    assert code(client) is None
    revoke(client)
    assert (code(client), code(signed_in)) == ("session_ended", None)
    assert RefreshToken.objects.exclude(revoked_at=None).get().revoked_reason == "ended_by_staff"


@pytest.mark.django_db(transaction=True)
def test_a_revoked_session_is_refused_at_once_in_a_test_that_commits(signed_in):
    revoke(signed_in)
    assert code(signed_in) == "session_ended"


def test_a_new_access_token_says_the_same_as_before(user, settings):
    settings.TOKENS = {"CLAIMS_HOOK": "tests.tokens.testing.policies.claims"}
    client = Client()
    sign_in(client, user, methods=["pwd", "otp"])
    before = access(client)
    age(client, MINUTE)
    after = access(client)
    moved = {"iat", "exp", "auth_time"}
    assert {name: before.claims[name] - after.claims[name] for name in moved} == dict.fromkeys(moved, MINUTE)
    same = before.claims.keys() - moved - {"jti"}
    assert {name: before.claims[name] for name in same} == {name: after.claims[name] for name in same}
    assert after.claims["plan"] == "gold"


def test_what_open_session_returns_changes_in_the_same_way(user):
    opened = open_session(user)
    expired = expire_access_token(opened)
    client = Client()
    client.cookies.update(expired.cookies)
    before = dict(client.cookies)
    assert {name: dict(found) for name, found in opened.cookies.items()} == {
        name: dict(found) for name, found in before.items()
    }
    assert expired.access_token != opened.access_token
    assert (code(client), RefreshToken.objects.get().generation) == (None, 1)
    revoke(opened)
    assert code(client) == "session_ended"
