"""Refreshing over HTTP: every line of the protocol's table, in both storage modes, by the clock."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from tests.browsers import ACCESS, FIREFOX, REFRESH, login, post
from tokens import refresh_tokens
from tokens.access_tokens import codec
from tokens.keys import derive, keyring
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.ending import end

pytestmark = pytest.mark.django_db

PATH = "/api/auth/refresh"
GRACE, STILL, ACCESS_LIFETIME = 30, 90, 600
HOUR, DAY = 3600, 86400


class Holder:
    """Somebody who holds a session and keeps its tokens by hand, so that a test can lose, repeat and copy them.

    ``mode`` is how the tokens travel; all else is the same, and so are the tests.
    """

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.access = self.token = self.session_id = ""

    def sign_in(self, user: Any, **more: Any) -> "Holder":
        client = Client(headers={"User-Agent": FIREFOX})
        answer = login(client, user, mode=self.mode, **more)
        self.session_id = answer["session"]["id"]
        self.access = client.cookies[ACCESS].value if self.mode == "cookie" else answer["access_token"]
        self.token = client.cookies[REFRESH].value if self.mode == "cookie" else answer["refresh_token"]
        return self

    def present(self, token: str | None = None, **headers: str) -> Any:
        """Present a token, the newest one unless another is given, and keep nothing of the answer."""
        client = Client(headers={"User-Agent": FIREFOX})
        token = self.token if token is None else token
        if self.mode == "body":
            return post(client, PATH, {"refresh_token": token}, **headers)
        client.cookies[REFRESH] = token
        return post(client, PATH, **headers)

    def refresh(self) -> Any:
        """Present the newest token, and keep what the answer gives."""
        response = self.present()
        assert response.status_code == 200, response.content
        self.access = self.access_in(response)
        self.token = self.token_in(response) or self.token
        return response

    def token_in(self, response: Any) -> str | None:
        """The refresh token that an answer carries."""
        if self.mode == "cookie":
            return response.cookies[REFRESH].value if REFRESH in response.cookies else None
        token: str | None = response.json().get("refresh_token")
        return token

    def access_in(self, response: Any) -> str:
        access = response.cookies[ACCESS].value if self.mode == "cookie" else response.json()["access_token"]
        return str(access)

    def use(self) -> Any:
        """Ask who this is, with the access token alone."""
        return Client().get("/api/auth/me", headers={"Authorization": f"Bearer {self.access}"})

    @property
    def row(self) -> RefreshToken:
        return RefreshToken.objects.get(id=self.session_id)


@pytest.fixture(params=["cookie", "body"])
def holder(request: pytest.FixtureRequest, user: Any, settings: Any, clock: Any) -> Holder:
    """A session in either mode: the protocol is the same whatever carries the tokens."""
    settings.TOKENS = {"MODES": ["cookie", "body"]}
    return Holder(request.param).sign_in(user)


def generation_of(text: str | None) -> int:
    assert text is not None
    return refresh_tokens.loads(text, keyring().mac_keys).generation


def acknowledge(holder: Holder, clock: Any) -> None:
    """Use the access token so late that its use proves that it was received, and let the process write that."""
    clock.forward(STILL + 1)
    for _ in range(2):
        assert holder.use().status_code == 200
        clock.forward(1)
    assert holder.row.acknowledged


class TestRotate:
    def test_answers_with_the_next_generation(self, holder, clock):
        clock.forward(ACCESS_LIFETIME)
        old = holder.token
        response = holder.refresh()
        assert response.status_code == 200
        assert generation_of(holder.token) == 1
        assert generation_of(old) == 0
        assert holder.row.generation == 1
        assert holder.row.since == clock.now
        assert RefreshToken.objects.count() == 1

    def test_answers_as_a_sign_in_does(self, holder, user, clock):
        clock.forward(ACCESS_LIFETIME)
        answer = holder.refresh().json()
        assert answer["user"] == {"id": str(user.pk), "email": user.email}
        assert answer["session"]["id"] == holder.session_id
        assert answer["session"]["current"] is True
        assert "2030-01-01T12:19:30Z" <= answer["access_token_expires_at"] <= "2030-01-01T12:20:00Z"
        tokens = {"access_token", "refresh_token", "token_type", "expires_in"} if holder.mode == "body" else set()
        assert set(answer) == {"user", "session", "access_token_expires_at"} | tokens

    def test_gives_an_access_token_of_the_new_generation(self, holder, clock):
        clock.forward(ACCESS_LIFETIME)
        holder.refresh()
        token = codec().loads(holder.access, clock.now)
        assert (token.generation, token.issued_at) == (1, int(clock.now.timestamp()))
        assert holder.use().status_code == 200

    def test_is_stored_by_no_cache(self, holder):
        assert "no-store" in holder.refresh()["Cache-Control"]

    def test_goes_on_for_ever_with_one_row(self, holder, clock):
        for generation in range(1, 6):
            clock.forward(ACCESS_LIFETIME)
            holder.refresh()
            assert generation_of(holder.token) == generation
        assert RefreshToken.objects.count() == 1

    def test_needs_no_still_time_after_the_sign_in(self, holder):
        assert generation_of(holder.token_in(holder.refresh())) == 1


class TestRepeat:
    @pytest.mark.parametrize("age", [0, 1, GRACE, STILL - 1])
    def test_of_the_current_generation_carries_no_refresh_token(self, holder, clock, age):
        holder.refresh()
        before = holder.row
        clock.forward(age)
        response = holder.present()
        assert response.status_code == 200
        assert holder.token_in(response) is None
        assert b"latchkey_rt_" not in response.content
        assert codec().loads(holder.access_in(response), clock.now).generation == 1
        assert (holder.row.generation, holder.row.since) == (before.generation, before.since)

    def test_of_the_current_generation_is_over_with_the_still_time(self, holder, clock):
        holder.refresh()
        clock.forward(STILL)
        assert generation_of(holder.token_in(holder.present())) == 2

    @pytest.mark.parametrize("age", [0, 1, GRACE - 1])
    def test_of_the_generation_before_gives_the_same_successor(self, holder, clock, age):
        old = holder.token
        holder.refresh()
        clock.forward(age)
        for _ in range(3):
            assert holder.token_in(holder.present(old)) == holder.token
        assert holder.row.generation == 1
        assert not SecurityEvent.objects.filter(kind="refresh_recovered").exists()


class TestRecover:
    @pytest.mark.parametrize("late", [GRACE, STILL, HOUR, 11 * HOUR])
    def test_gives_the_same_successor_however_late(self, holder, clock, late):
        lost = holder.present()
        clock.forward(late)
        recovered = holder.present()
        assert holder.token_in(recovered) == holder.token_in(lost)
        assert holder.row.generation == 1
        assert holder.row.since == clock.now
        assert SecurityEvent.objects.filter(kind="refresh_recovered", session_id=holder.session_id).count() == 1

    def test_goes_on_as_if_nothing_had_been_lost(self, holder, clock):
        holder.present()
        clock.forward(HOUR)
        holder.refresh()
        assert holder.use().status_code == 200
        clock.forward(ACCESS_LIFETIME)
        holder.refresh()
        assert generation_of(holder.token) == 2

    def test_is_bounded(self, holder, clock, settings):
        settings.TOKENS = {"MODES": ["cookie", "body"], "MAX_RECOVERIES": 2}
        for _ in range(2):
            holder.present()
            clock.forward(STILL)
            holder.refresh()
            clock.forward(STILL)
        holder.present()
        clock.forward(STILL)
        response = holder.present()
        assert response.json()["code"] == "session_ended"
        assert holder.row.revoked_reason == "recoveries_exhausted"
        assert SecurityEvent.objects.filter(kind="recoveries_exhausted").count() == 1


class TestReuse:
    def test_after_the_successor_was_acknowledged_ends_the_session(self, holder, clock):
        stolen = holder.token
        holder.refresh()
        acknowledge(holder, clock)
        assert holder.present(stolen).json()["code"] == "session_ended"
        assert holder.row.revoked_reason == "reuse_detected"
        assert SecurityEvent.objects.filter(kind="reuse_detected", session_id=holder.session_id).count() == 1
        assert holder.present().status_code == 401
        assert holder.use().json()["code"] == "session_ended"

    @pytest.mark.parametrize("ancestor", [0, 1, 2])
    def test_of_any_ancestor_ends_the_session(self, holder, clock, ancestor):
        tokens = [holder.token]
        for _ in range(4):
            clock.forward(STILL)
            holder.refresh()
            tokens.append(holder.token)
        assert holder.present(tokens[ancestor]).status_code == 401
        assert holder.row.revoked_reason == "reuse_detected"

    def test_leaves_the_users_other_sessions_alone(self, holder, user, clock):
        other = Holder(holder.mode).sign_in(user)
        stolen = holder.token
        holder.refresh()
        acknowledge(holder, clock)
        holder.present(stolen)
        assert other.refresh().status_code == 200

    def test_by_whoever_has_our_key_but_not_the_secret_is_none(self, holder, clock):
        # Else a leaked key would be enough to sign everybody out.
        ring = keyring()
        clock.forward(STILL)
        holder.refresh()
        clock.forward(STILL)
        holder.refresh()
        forged = refresh_tokens.RefreshToken(holder.row.id, bytes(16), 0)
        response = holder.present(refresh_tokens.dumps(forged, ring.key_id, ring.mac_keys[ring.key_id]))
        assert response.status_code == 401
        assert holder.row.revoked_at is None
        assert holder.present().status_code == 200


class TestCatchUp:
    def test_a_database_that_forgot_its_last_rotations_signs_nobody_out(self, holder, clock):
        for _ in range(3):
            clock.forward(STILL)
            holder.refresh()
        RefreshToken.objects.filter(id=holder.session_id).update(generation=1)
        token = holder.token
        response = holder.refresh()
        assert holder.token_in(response) == token
        assert holder.row.generation == 3
        clock.forward(STILL)
        assert generation_of(holder.token_in(holder.refresh())) == 4


class TestStrictly:
    @pytest.fixture(autouse=True)
    def _strict(self, holder: Holder, settings: Any) -> None:
        settings.TOKENS = {"MODES": ["cookie", "body"], "REUSE_GRACE": 0}

    def test_a_token_works_once_to_the_letter(self, holder):
        assert holder.present().status_code == 200
        assert holder.present().status_code == 401
        assert holder.row.revoked_reason == "reuse_detected"

    def test_a_generation_has_no_still_time(self, holder):
        for generation in (1, 2, 3):
            assert generation_of(holder.token_in(holder.refresh())) == generation

    def test_a_lost_response_ends_the_session(self, holder, clock):
        holder.present()
        clock.forward(HOUR)
        assert holder.present().status_code == 401
        assert not SecurityEvent.objects.filter(kind="refresh_recovered").exists()


def flipped(holder: Holder, clock: Any) -> str:
    return holder.token[:-8] + ("A" if holder.token[-8] != "A" else "B") + holder.token[-7:]


def garbage(holder: Holder, clock: Any) -> str:
    return "garbage"


def long_garbage(holder: Holder, clock: Any) -> str:
    return "latchkey_rt_" + "A" * 3000


def an_access_token(holder: Holder, clock: Any) -> str:
    return holder.access


def of_an_unknown_session(holder: Holder, clock: Any) -> str:
    ring = keyring()
    token = refresh_tokens.RefreshToken(uuid4(), bytes(16), 0)
    return refresh_tokens.dumps(token, ring.key_id, ring.mac_keys[ring.key_id])


def with_another_secret(holder: Holder, clock: Any) -> str:
    ring = keyring()
    token = refresh_tokens.RefreshToken(holder.row.id, bytes(16), 0)
    return refresh_tokens.dumps(token, ring.key_id, ring.mac_keys[ring.key_id])


def of_an_unknown_key(holder: Holder, clock: Any) -> str:
    ring = derive(["a secret that this process does not have"])
    token = refresh_tokens.loads(holder.token, keyring().mac_keys)
    return refresh_tokens.dumps(token, ring.key_id, ring.mac_keys[ring.key_id])


def revoked(holder: Holder, clock: Any) -> str:
    end(RefreshToken.objects.filter(id=holder.session_id), RefreshToken.Reason.ENDED_BY_STAFF)
    return holder.token


def of_a_deleted_session(holder: Holder, clock: Any) -> str:
    holder.row.delete()
    return holder.token


def unused_too_long(holder: Holder, clock: Any) -> str:
    clock.forward(12 * HOUR)
    return holder.token


def too_old(holder: Holder, clock: Any) -> str:
    RefreshToken.objects.update(expires_at=clock.now)
    return holder.token


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


def after_a_new_password(holder: Holder, clock: Any) -> str:
    user = holder.row.user
    user.set_password("a new password")
    user.save()
    return holder.token


def of_a_user_switched_off(holder: Holder, clock: Any) -> str:
    user = holder.row.user
    user.is_active = False
    user.save()
    return holder.token


def of_a_user_switched_off_in_sql(holder: Holder, clock: Any) -> str:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_user SET is_active = %s", [False])
    return holder.token


def of_a_deleted_user(holder: Holder, clock: Any) -> str:
    holder.row.user.delete()
    return holder.token


def of_the_other_mode(holder: Holder, clock: Any) -> str:
    other = Holder("body" if holder.mode == "cookie" else "cookie")
    return other.sign_in(holder.row.user).token


REASONS = [
    garbage,
    long_garbage,
    flipped,
    an_access_token,
    of_an_unknown_key,
    of_an_unknown_session,
    with_another_secret,
    revoked,
    of_a_deleted_session,
    unused_too_long,
    too_old,
    reused,
    reused_before,
    recovered_too_often,
    after_a_new_password,
    of_a_user_switched_off,
    of_a_user_switched_off_in_sql,
    of_a_deleted_user,
    of_the_other_mode,
]
Reason = Callable[[Holder, Any], str]


class TestARefusal:
    """No oracle: whatever the reason, one status, one body, the same headers."""

    BODY = (
        b'{"type":"about:blank","title":"Unauthorized","status":401,"code":"session_ended",'
        b'"detail":"The session has ended. Sign in again."}'
    )

    @pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.__name__)
    def test_is_the_same_to_the_byte(self, holder, clock, reason):
        token = reason(holder, clock)
        response, other = holder.present(token), holder.present("garbage")
        assert (response.status_code, response.content) == (401, self.BODY)
        if holder.mode == "cookie" and reason is of_an_unknown_key:
            # Another process may have that key: this alone clears no cookie, and need not say who asked.
            assert not response.cookies
            for answer in (response, other):
                del answer["Cache-Control"], answer["Vary"]
        else:
            assert response.cookies == other.cookies
        assert response.headers.items() == other.headers.items()

    def test_is_a_problem_that_nobody_stores_and_clears_what_it_refused(self, holder):
        response = holder.present("garbage")
        assert response["Content-Type"] == "application/problem+json"
        assert response["WWW-Authenticate"] == 'Bearer error="invalid_token"'
        assert "no-store" in response["Cache-Control"]
        cleared = {name: (cookie.value, cookie["max-age"]) for name, cookie in response.cookies.items()}
        # The device's own cookie stays: the browser is still that browser.
        assert cleared == ({ACCESS: ("", 0), REFRESH: ("", 0)} if holder.mode == "cookie" else {})

    @pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.__name__)
    def test_is_the_same_the_second_time(self, holder, clock, reason):
        token = reason(holder, clock)
        first, second = holder.present(token), holder.present(token)
        assert first.content == second.content
        assert first.headers.items() == second.headers.items()

    def test_tells_the_log_why_and_no_token(self, holder, clock, caplog):
        caplog.set_level(logging.INFO, "tokens")
        tokens = [
            reason(holder, clock) for reason in (garbage, of_an_unknown_key, with_another_secret, unused_too_long)
        ]
        for token in tokens:
            holder.present(token)
        causes = [record.getMessage() for record in caplog.records if "refresh refused" in record.getMessage()]
        assert len(set(causes)) == 4
        for token in tokens[1:]:
            assert token.removeprefix("latchkey_rt_")[:20] not in caplog.text

    @pytest.mark.parametrize("reason", [garbage, flipped, of_an_unknown_key, with_another_secret, of_the_other_mode])
    def test_of_a_token_that_is_not_the_sessions_does_it_no_harm(self, holder, clock, reason):
        token = reason(holder, clock)
        assert holder.present(token).status_code == 401
        assert not RefreshToken.objects.exclude(revoked_at=None).exists()
        assert holder.refresh().status_code == 200

    def test_of_an_unknown_key_is_over_when_the_key_is_there(self, holder, settings):
        key, settings.SECRET_KEY = settings.SECRET_KEY, "another secret, long enough to be taken for a real one, too"
        assert holder.present().status_code == 401
        settings.SECRET_KEY_FALLBACKS = [key]
        holder.refresh()
        settings.SECRET_KEY_FALLBACKS = []
        assert holder.present().status_code == 200  # The new token is made with the new key.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("atomic", [False, True], ids=["", "atomic requests"])
@pytest.mark.parametrize("reason", [reused, recovered_too_often, after_a_new_password, of_a_user_switched_off_in_sql])
def test_the_end_of_a_session_is_committed_though_refused(holder, clock, reason, atomic, monkeypatch):
    token = reason(holder, clock)
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic)
    assert holder.present(token).status_code == 401
    connection.close()  # Whatever was not committed is gone.
    assert holder.row.revoked_at is not None
    assert SecurityEvent.objects.filter(session_id=holder.session_id).exclude(reason="").count() == 1


class TestHowItIsAskedFor:
    def test_without_a_token_it_is_refused_and_touches_no_cookie(self, api, db):
        for data in (None, {}):
            response = post(api, PATH, data)
            assert response.status_code == 401
            assert response.json()["code"] == "session_ended"
            assert not response.cookies

    @pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options", "trace"])
    def test_no_method_but_post_refreshes(self, holder, method):
        client = Client()
        client.cookies[REFRESH] = holder.token
        response = getattr(client, method)(PATH)
        assert response.status_code == (200 if method == "options" else 405)
        assert not response.cookies
        assert holder.row.generation == 0

    @pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}])
    @pytest.mark.parametrize("more", [{}, {"Authorization": "Bearer x"}], ids=["", "with a Bearer header"])
    def test_a_page_of_another_origin_causes_no_rotation(self, holder, headers, more):
        response = holder.present(**headers, **more)
        assert response.status_code == 403
        assert response.json()["code"] == "cross_origin"
        assert not response.cookies
        assert holder.row.generation == 0

    def test_a_token_in_the_body_goes_before_the_cookie(self, user, settings):
        settings.TOKENS = {"MODES": ["cookie", "body"]}
        browser, client = Holder("cookie").sign_in(user), Holder("body").sign_in(user)
        jar = Client()
        jar.cookies[REFRESH] = browser.token
        response = post(jar, PATH, {"refresh_token": client.token})
        assert response.json()["session"]["id"] == client.session_id
        assert not response.cookies
        assert (client.row.generation, browser.row.generation) == (1, 0)

    def test_an_expired_bearer_token_does_not_hinder(self, holder, clock):
        clock.forward(ACCESS_LIFETIME)
        assert holder.present(Authorization=f"Bearer {holder.access}").status_code == 200


class TestTheEndOfASession:
    def test_unused_moves_with_every_refresh(self, holder, clock):
        for _ in range(4):
            clock.forward(12 * HOUR - 1)
            holder.refresh()
        clock.forward(12 * HOUR)
        assert holder.present().status_code == 401
        assert holder.row.revoked_at is None  # It ended by itself.

    @pytest.mark.parametrize("mode", ["cookie", "body"])
    def test_in_any_case_does_not_move(self, user, clock, settings, mode):
        settings.TOKENS = {"MODES": ["cookie", "body"]}
        holder = Holder(mode).sign_in(user, remember=True)
        for _ in range(2):
            clock.forward(13 * DAY)
            holder.refresh()
        clock.forward(4 * DAY - 1)
        response = holder.refresh()
        assert response.json()["access_token_expires_at"] == "2030-01-31T12:00:00Z"
        if mode == "cookie":
            assert response.cookies[REFRESH]["max-age"] == response.cookies[ACCESS]["max-age"] == 1
        clock.forward(1)
        assert holder.use().json()["code"] == "token_expired"
        assert holder.present().status_code == 401

    def test_remembered_cookies_are_kept_as_long_as_it_lives(self, user, clock):
        holder = Holder("cookie").sign_in(user, remember=True)
        clock.forward(DAY)
        cookies = holder.refresh().cookies
        assert cookies[REFRESH]["max-age"] == cookies[ACCESS]["max-age"] == 14 * DAY
        clock.forward(13 * DAY)
        holder.refresh()
        clock.forward(13 * DAY)
        assert holder.refresh().cookies[REFRESH]["max-age"] == 3 * DAY
        assert holder.row.idle_expires_at - clock.now == timedelta(days=14)
