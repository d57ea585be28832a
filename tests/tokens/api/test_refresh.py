"""Refreshing over HTTP, in the storage modes "cookie" and "body".

`tests.tokens.service.test_refreshing` tests what is decided. Here a response with a refresh token, one without, and the
end of a session occur once: what matters is how the tokens travel and what a rejection shows.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from tests.browsers import ACCESS, REFRESH, post
from tests.factories import PASSWORD
from tests.tokens.api.paths import DAY, LOGIN, ME, REFRESH_PATH
from tests.tokens.api.steps import ENDINGS, assert_problem, bearer, client_with, max_ages, refusal
from tokens.conf import codec, keyring
from tokens.models import RefreshToken, SecurityEvent
from tokens.protocol import refresh_tokens
from tokens.protocol.keys import derive

pytestmark = pytest.mark.django_db

GRACE, STILL, ACCESS_LIFETIME = 30, 90, 600


class Holder:
    """A client that keeps a session's tokens in attributes, so that a test can lose, repeat and copy them.

    ``mode`` is the storage mode. It decides how the tokens are sent, and nothing else.
    """

    def __init__(self, mode: str, user: Any, **more: Any) -> None:
        self.mode, self.token = mode, ""
        data = {"email": user.email, "password": PASSWORD, "mode": mode, **more}
        self.session_id = self._keep(post(Client(), LOGIN, data)).json()["session"]["id"]

    def _keep(self, response: Any) -> Any:
        assert response.status_code == 200, response.content
        self.access, token = self.tokens_in(response)
        self.token = token or self.token
        return response

    def tokens_in(self, response: Any) -> tuple[str, str | None]:
        """Return the access token and the refresh token of a response. It may carry no refresh token."""
        if self.mode == "cookie":
            cookies = {name: cookie.value for name, cookie in response.cookies.items()}
            return cookies[ACCESS], cookies.get(REFRESH)
        return response.json()["access_token"], response.json().get("refresh_token")

    def present(self, token: str | None = None, **headers: str) -> Any:
        """Present a token, by default the newest one. Keep nothing of the response."""
        token = self.token if token is None else token
        if self.mode == "body":
            return post(Client(), REFRESH_PATH, {"refresh_token": token}, **headers)
        return post(client_with(refresh=token), REFRESH_PATH, **headers)

    def refresh(self) -> Any:
        """Present the newest token, and keep the tokens of the response."""
        return self._keep(self.present())

    def use(self) -> Any:
        """Send a request with the access token, and without the refresh token."""
        return Client().get(ME, headers=bearer(self.access))

    @property
    def row(self) -> RefreshToken:
        return RefreshToken.objects.get(id=self.session_id)


@pytest.fixture(params=["cookie", "body"])
def holder(request: pytest.FixtureRequest, user: Any, both_modes: None, clock: Any) -> Holder:
    """A session in either mode. Without it a difference between the modes would go unnoticed."""
    return Holder(request.param, user)


def generation_of(text: str | None) -> int:
    assert text is not None
    return refresh_tokens.loads(text, keyring().mac_keys).generation


def events(kind: str) -> Any:
    return SecurityEvent.objects.filter(kind=kind)


def test_a_rotation_answers_with_the_next_generation(holder, user, clock):
    old = holder.token
    clock.forward(ACCESS_LIFETIME)
    response = holder.refresh()
    answer = response.json()
    assert answer["user"] == {"id": str(user.pk), "email": user.email}
    assert (answer["session"]["id"], answer["session"]["current"]) == (holder.session_id, True)
    assert "2030-01-01T12:19:30Z" <= answer["access_token_expires_at"] <= "2030-01-01T12:20:00Z"
    tokens = {"access_token", "refresh_token", "token_type", "expires_in"} if holder.mode == "body" else set()
    assert set(answer) == {"user", "session", "access_token_expires_at"} | tokens
    assert "no-store" in response["Cache-Control"]
    assert (generation_of(old), generation_of(holder.token)) == (0, 1)
    assert (holder.row.generation, holder.row.since) == (1, clock.now)
    token = codec().loads(holder.access, clock.now)
    assert (token.generation, token.issued_at) == (1, int(clock.now.timestamp()))
    assert holder.use().status_code == 200
    for generation in range(2, 6):
        clock.forward(STILL)
        holder.refresh()
        assert generation_of(holder.token) == generation
    assert RefreshToken.objects.count() == 1


def test_a_repeat_of_the_current_generation_carries_no_refresh_token(holder, clock):
    holder.refresh()
    before = holder.row
    clock.forward(STILL - 1)
    response = holder.present()
    assert response.status_code == 200
    assert b"latchkey_rt_" not in response.content
    access, token = holder.tokens_in(response)
    assert (codec().loads(access, clock.now).generation, token) == (1, None)
    assert (holder.row.generation, holder.row.since) == (before.generation, before.since)


def test_reuse_after_the_successor_was_acknowledged_ends_the_session_and_no_other(holder, user, clock):
    other, stolen = Holder(holder.mode, user), holder.token
    holder.refresh()
    clock.forward(STILL + 1)
    for _ in range(2):  # The first use acknowledges the generation. The process writes that a second later.
        assert holder.use().status_code == 200
        clock.forward(1)
    assert holder.row.acknowledged
    assert refusal(holder.present(stolen)) == (401, "session_ended")
    assert holder.row.revoked_reason == "reuse_detected"
    assert events("reuse_detected").filter(session_id=holder.session_id).count() == 1
    assert holder.present().status_code == 401
    assert refusal(holder.use()) == (401, "session_ended")
    assert other.refresh().status_code == 200


Reason = Callable[[Holder, Any], str]


def forged(session_id: Any) -> str:
    """Return a token of this session with our key and a wrong secret."""
    ring = keyring()
    token = refresh_tokens.RefreshToken(session_id, bytes(16), 0)
    return refresh_tokens.dumps(token, ring.key_id, ring.mac_keys[ring.key_id])


def changed(holder: Holder, clock: Any) -> str:
    *start, character, end = holder.token
    return "".join(start) + ("A" if character != "A" else "B") + end


def with_an_unknown_key(holder: Holder, clock: Any) -> str:
    ring = derive(["a secret that this process does not have"])
    token = refresh_tokens.loads(holder.token, keyring().mac_keys)
    return refresh_tokens.dumps(token, ring.key_id, ring.mac_keys[ring.key_id])


def reused(holder: Holder, clock: Any) -> str:
    old = holder.token
    for _ in range(2):
        holder.refresh()
        clock.forward(STILL)
    return old


def reused_before(holder: Holder, clock: Any) -> str:
    holder.present(reused(holder, clock))
    return holder.token


def recovered_too_often(holder: Holder, clock: Any) -> str:
    holder.present()
    clock.forward(GRACE)
    RefreshToken.objects.update(recoveries=8)
    return holder.token


def of_the_other_mode(holder: Holder, clock: Any) -> str:
    return Holder("body" if holder.mode == "cookie" else "cookie", holder.row.user).token


def after(event: Callable[[RefreshToken], Any]) -> Reason:
    """Return a function that lets an event happen to the session and returns its newest token."""

    def token(holder: Holder, clock: Any) -> str:
        event(holder.row)
        return holder.token

    return token


HARMLESS: dict[str, Reason] = {
    "a word": lambda holder, clock: "garbage",
    "a changed character": changed,
    "an unknown key": with_an_unknown_key,
    "another secret": lambda holder, clock: forged(holder.row.id),
    "a token of the other mode": of_the_other_mode,
}
COMMITTED: dict[str, Reason] = {
    "an old generation": reused,
    "too many recoveries": recovered_too_often,
    "a new password": after(ENDINGS["a new password"]),
    "a user who was deactivated in SQL": after(ENDINGS["a user who was deactivated in SQL"]),
}
REASONS: dict[str, Reason] = {
    **{name: after(event) for name, event in ENDINGS.items()},
    **HARMLESS,
    **COMMITTED,
    "a long text": lambda holder, clock: "latchkey_rt_" + "A" * 3000,
    "an access token": lambda holder, clock: holder.access,
    "an unknown session": lambda holder, clock: forged(uuid4()),
    "a session that ended by reuse": reused_before,
}
BODY = (
    b'{"type":"about:blank","title":"Unauthorized","status":401,"code":"session_ended",'
    b'"detail":"The session has ended. Sign in again."}'
)


class TestARejection:
    """Its response does not depend on the reason: an attacker learns nothing about the session."""

    @pytest.mark.parametrize("reason", REASONS)
    def test_is_the_same_to_the_byte_and_the_second_time(self, holder, clock, reason):
        token = REASONS[reason](holder, clock)
        first, second, other = holder.present(token), holder.present(token), holder.present("garbage")
        assert (first.status_code, first.content) == (401, BODY)
        assert (second.status_code, second.content) == (401, BODY)
        assert (first.headers.items(), first.cookies) == (second.headers.items(), second.cookies)
        if holder.mode == "cookie" and reason == "an unknown key":
            # Another process may have that key. So this response deletes no cookie, and its caching headers may differ.
            assert not first.cookies
            for response in (first, other):
                del response["Cache-Control"], response["Vary"]
        else:
            assert first.cookies == other.cookies
        assert first.headers.items() == other.headers.items()

    def test_is_a_problem_that_no_cache_stores_and_deletes_the_tokens(self, holder):
        response = holder.present("garbage")
        assert_problem(response, 401, "session_ended")
        assert response["WWW-Authenticate"] == 'Bearer error="invalid_token"'
        assert "no-store" in response["Cache-Control"]
        # The cookie of the device stays, because the browser is still the same.
        assert max_ages(response) == ({ACCESS: 0, REFRESH: 0} if holder.mode == "cookie" else {})
        assert {cookie.value for cookie in response.cookies.values()} <= {""}

    def test_is_logged_with_its_reason_and_without_the_token(self, holder, clock, caplog):
        caplog.set_level(logging.INFO, "tokens")
        names = ["a word", "an unknown key", "another secret", "a session that was unused for too long"]
        tokens = [REASONS[name](holder, clock) for name in names]
        for token in tokens:
            holder.present(token)
        causes = [record.getMessage() for record in caplog.records if "refresh refused" in record.getMessage()]
        assert len(set(causes)) == 4
        for token in tokens[1:]:
            assert token.removeprefix("latchkey_rt_")[:20] not in caplog.text

    @pytest.mark.parametrize("reason", HARMLESS.values(), ids=HARMLESS)
    def test_of_a_token_that_is_not_the_sessions_ends_no_session_and_records_no_event(self, holder, clock, reason):
        """An attacker who only knows the format of tokens must not fill the list of a user's security events."""
        token = reason(holder, clock)
        recorded = SecurityEvent.objects.count()
        assert (holder.present(token).status_code, SecurityEvent.objects.count()) == (401, recorded)
        assert not RefreshToken.objects.exclude(revoked_at=None, generation=0).exists()
        assert holder.refresh().status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("atomic", [False, True], ids=["", "atomic requests"])
@pytest.mark.parametrize("reason", COMMITTED.values(), ids=COMMITTED)
def test_the_end_of_a_session_is_committed_although_the_response_is_an_error(user, clock, reason, atomic, monkeypatch):
    holder = Holder("cookie", user)
    token = reason(holder, clock)
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic)
    assert holder.present(token).status_code == 401
    connection.close()  # Closing rolls back what was not committed.
    assert holder.row.revoked_at is not None
    assert SecurityEvent.objects.filter(session_id=holder.session_id).exclude(reason="").count() == 1


class TestTheRequest:
    def test_without_a_token_is_rejected_and_sets_no_cookie(self, api):
        for data in (None, {}):
            response = post(api, REFRESH_PATH, data)
            assert (refusal(response), len(response.cookies)) == ((401, "session_ended"), 0)

    def test_with_two_tokens_refreshes_the_one_in_the_body(self, user, both_modes):
        browser, client = Holder("cookie", user), Holder("body", user)
        response = post(client_with(refresh=browser.token), REFRESH_PATH, {"refresh_token": client.token})
        assert (response.json()["session"]["id"], len(response.cookies)) == (client.session_id, 0)
        assert (client.row.generation, browser.row.generation) == (1, 0)

    def test_may_carry_an_expired_bearer_token(self, holder, clock):
        clock.forward(ACCESS_LIFETIME)
        assert holder.present(**bearer(holder.access)).status_code == 200


@pytest.mark.parametrize("mode", ["cookie", "body"])
def test_cookies_and_access_tokens_last_no_longer_than_the_session(user, clock, both_modes, mode):
    holder = Holder(mode, user, remember=True)
    for days, cookie_days in [(1, 14), (13, 14), (13, 3)]:
        clock.forward(days * DAY)
        age = cookie_days * DAY
        assert max_ages(holder.refresh()) == ({ACCESS: age, REFRESH: age} if mode == "cookie" else {})
        assert holder.row.idle_expires_at - clock.now == timedelta(days=14)
    clock.forward(3 * DAY - 1)
    response = holder.refresh()
    assert response.json()["access_token_expires_at"] == "2030-01-31T12:00:00Z"
    assert max_ages(response) == ({ACCESS: 1, REFRESH: 1} if mode == "cookie" else {})
    clock.forward(1)
    assert (refusal(holder.use()), holder.present().status_code) == ((401, "token_expired"), 401)
    assert holder.row.revoked_at is None  # The session expired, and was not revoked.
