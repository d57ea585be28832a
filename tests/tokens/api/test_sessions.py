"""A user lists, renames and ends the user's own sessions and no other user's; reauthentication; signing out."""

from typing import Any
from uuid import uuid4

import pytest
from django.db.models import F
from django.test import Client

from tests.browsers import ACCESS, DEVICE, REFRESH, SESSION, login, post, refresh
from tests.factories import PASSWORD, UserFactory
from tests.tokens.api.paths import HOUR, LOGIN, LOGOUT, ME, REAUTHENTICATE, RECENT, REFRESH_PATH, SESSIONS
from tests.tokens.api.steps import assert_problem, bearer, client_with, max_ages, refusal, revoke_row, sign_in, state_of
from tests.tokens.service.statements import TABLE, statements
from tokens.api import views
from tokens.conf import codec
from tokens.models import RefreshToken, SecurityEvent
from tokens.service import revocation_feed
from tokens.service.client import Client as Requester
from tokens.service.opening import open_session
from tokens.service.revocation import revoke

pytestmark = pytest.mark.django_db


@pytest.fixture
def other(another: Any, user: Any) -> str:
    """The id of the user's session in another browser. Without it a test could not tell one session from all."""
    return sign_in(another(), user)


@pytest.fixture
def current(api: Client, user: Any) -> str:
    """The id of the user's session in `api`. Without it a test would not know which session to end."""
    return sign_in(api, user)


def rename(client: Client, session_id: Any, name: Any = "Mine now") -> Any:
    return client.patch(f"{SESSIONS}/{session_id}", {"device_name": name}, content_type="application/json")


def delete(client: Client, session_id: Any) -> Any:
    return client.delete(f"{SESSIONS}/{session_id}")


def listed(client: Client, name: str = "id", path: str = SESSIONS) -> list[Any]:
    """Return this field of each session in the list."""
    return [session[name] for session in client.get(path).json()["results"]]


class TestTheList:
    def test_shows_of_a_session_what_the_sign_in_shows(self, api, user):
        session = login(api, user, device_name="My laptop")["session"]
        assert api.get(SESSIONS).json() == {"results": [session], "next": None}

    def test_has_the_users_live_sessions_newest_first_and_marks_the_current_one(self, api, user, another):
        first, *browsers = [another() for _ in range(3)]
        ids = [sign_in(browser, user) for browser in (first, *browsers)]
        login(another(), UserFactory())
        ids.append(sign_in(api, user))
        revoke_row(RefreshToken.objects.get(id=ids[1]))
        RefreshToken.objects.filter(id=ids[2]).update(idle_expires_at=F("created_at"))
        assert listed(api) == listed(first) == [ids[3], ids[0]]
        assert (listed(api, "current"), listed(first, "current")) == ([True, False], [False, True])

    ROUNDED = {
        "just before ten minutes": ("2030-01-01T13:09:59Z", "2030-01-01T13:00:00Z"),
        "at ten minutes": ("2030-01-01T13:10:00Z", "2030-01-01T13:10:00Z"),
        "just before twenty minutes": ("2030-01-01T13:19:59.999Z", "2030-01-01T13:10:00Z"),
        "on the next day": ("2030-01-02T00:00:01Z", "2030-01-02T00:00:00Z"),
        "a minute after the sign-in": ("2030-01-01T12:03:00Z", "2030-01-01T12:02:00Z"),
    }

    @pytest.mark.parametrize(("since", "shown"), ROUNDED.values(), ids=ROUNDED)
    def test_rounds_the_last_use_down_to_ten_minutes_but_not_before_the_sign_in(self, clock, api, user, since, shown):
        clock.forward(120)
        login(api, user)
        RefreshToken.objects.update(since=since)
        assert listed(api, "last_used_at") == [shown]

    def test_holds_no_secret(self, signed_in):
        content = signed_in.get(SESSIONS).content
        row = RefreshToken.objects.get()
        digests = [bytes(row.secret_digest).hex(), bytes(row.device.token_digest).hex(), row.device_id.hex]
        for secret in [*digests, *(cookie.value for cookie in signed_in.cookies.values())]:
            assert secret.encode() not in content

    def test_has_pages(self, user, current, api, monkeypatch):
        monkeypatch.setattr(views, "PAGE", 2)
        open_session(user, Requester(), mode="cookie")
        assert (len(listed(api)), api.get(SESSIONS).json()["next"]) == (2, None)
        for _ in range(3):
            open_session(user, Requester(), mode="cookie")
        pages, path = [], SESSIONS
        while path:
            pages.append(listed(api, path=path))
            path = api.get(path).json()["next"]
        assert [len(page) for page in pages] == [2, 2, 1]
        ids = [session_id for page in pages for session_id in page]
        assert ids == sorted(set(ids), reverse=True)
        assert ids[-1] == current

    def test_continues_after_a_session_that_has_ended_meanwhile(self, api, user, another, other):
        second = sign_in(another(), user)
        login(api, user)
        revoke_row(RefreshToken.objects.get(id=second))
        assert listed(api, path=f"{SESSIONS}?before={second}") == [other]

    def test_shows_where_a_session_was_last_used(self, clock, api, user, settings):
        settings.TRUSTED_PROXIES = ["127.0.0.1"]
        post(api, LOGIN, {"email": user.email, "password": PASSWORD}, **{"X-Forwarded-For": "2001:db8::7"})
        assert listed(api, "ip") == ["2001:db8::7"]
        clock.forward(601)
        post(api, REFRESH_PATH, **{"X-Forwarded-For": "192.0.2.7"})
        assert listed(api, "ip") == ["192.0.2.7"]


class TestRenaming:
    def test_names_the_device_in_all_its_sessions(self, signed_in, current):
        response = rename(signed_in, current, "Kitchen tablet")
        assert response.status_code == 200
        assert (response.json()["id"], response.json()["device"]) == (current, {"name": "Kitchen tablet"})
        assert listed(signed_in, "device") == [{"name": "Kitchen tablet"}] * 2

    def test_of_another_session_needs_no_recent_sign_in(self, clock, api, other, signed_in):
        clock.forward(RECENT + 1)
        response = rename(api, other)
        assert (response.status_code, response.json()["current"]) == (200, False)

    def test_takes_any_printable_name(self, api, current):
        for name in ("Ünïcödé 📱", "x" * 100, "a", "  trimmed  "):
            assert rename(api, current, name).json()["device"]["name"] == name.strip()

    def test_takes_no_other_name(self, api, current, subtests):
        for name in ("", "   ", "x" * 101, "a\0b", "\x1b[2J", "two\nlines", "\ud800", None, 5, [], {}):
            with subtests.test(ascii(name)[:9]):
                assert set(assert_problem(rename(api, current, name), 400)["errors"]) == {"device_name"}
                assert listed(api, "device") == [{"name": "Firefox on Windows"}]

    def test_needs_a_name(self, api, current):
        response = api.patch(f"{SESSIONS}/{current}", {}, content_type="application/json")
        assert set(response.json()["errors"]) == {"device_name"}


class TestEndingOneSession:
    def test_ends_it_and_its_access_tokens(self, api, another, user):
        lost = another()
        session_id, current = sign_in(lost, user), sign_in(api, user)
        response = delete(api, session_id)
        assert (response.status_code, response.content, len(response.cookies)) == (204, b"", 0)
        assert state_of(session_id) == "ended_by_user"
        assert (refusal(lost.get(ME)), listed(api)) == ((401, "session_ended"), [current])
        event = SecurityEvent.objects.get(kind="revoked")
        assert (str(event.session_id), event.user, event.reason) == (session_id, user, "ended_by_user")
        assert event.ip == "127.0.0.1"
        assert delete(api, session_id).status_code == 404

    def test_signs_out_if_it_is_the_current_one(self, clock, api, current):
        clock.forward(RECENT + 1)
        response = delete(api, current)
        assert (response.status_code, max_ages(response)) == (204, {ACCESS: 0, REFRESH: 0, SESSION: 0})
        assert state_of(current) == "signed_out"
        assert api.get(ME).status_code == 401


def test_ending_all_other_sessions_keeps_the_current_one_and_those_of_other_users(api, user, another):
    others = [sign_in(another(), user) for _ in range(3)]
    of_another_user = sign_in(another(), UserFactory())
    current = sign_in(api, user)
    for _ in range(2):  # The second time there is none to end.
        response = api.delete(SESSIONS)
        assert (response.status_code, len(response.cookies)) == (204, 0)
    assert {state_of(session_id) for session_id in others} == {"ended_by_user"}
    assert (state_of(of_another_user), listed(api)) == ("live", [current])


@pytest.mark.parametrize("ends", ["one session", "all other sessions"])
def test_ending_other_sessions_needs_a_recent_sign_in(clock, api, other, signed_in, ends):
    def end_other() -> Any:
        return delete(api, other) if ends == "one session" else api.delete(SESSIONS)

    clock.forward(RECENT + 1)
    assert_problem(end_other(), 403, "reauthentication_required")
    assert state_of(other) == "live"
    assert post(api, REAUTHENTICATE, {"password": PASSWORD}).status_code == 200
    clock.forward(RECENT)
    refresh(api)
    assert (end_other().status_code, state_of(other)) == (204, "ended_by_user")


@pytest.mark.parametrize("ask", [rename, delete])
@pytest.mark.parametrize("age", [0, RECENT + 1], ids=["a recent sign-in", "an old sign-in"])
@pytest.mark.parametrize("whose", ["another user's", "one's own that has ended"])
def test_a_session_that_cannot_be_found_is_404(clock, api, user, another, ask, age, whose):
    """The response is the one for a session that does not exist: nobody can find out by an id who is signed in."""
    owner = user if whose == "one's own that has ended" else UserFactory()
    session_id = sign_in(another(), owner, device_name="Before")
    if owner == user:
        revoke_row(RefreshToken.objects.get())
    login(api, user)
    clock.forward(age)
    api.get(ME)  # The request refreshes the session if the access token has expired.
    response, missing = ask(api, session_id), ask(api, uuid4())
    assert (refusal(response), response.content) == ((404, "not_found"), missing.content)
    assert response.headers.items() == missing.headers.items()
    assert (state_of(session_id) == "live") == (owner != user)
    assert RefreshToken.objects.get(id=session_id).device.name == "Before"


class TestReauthentication:
    def test_keeps_the_session_and_does_not_rotate_it_within_the_still_time(self, clock, api, current):
        refresh(api)
        clock.forward(60)
        before = RefreshToken.objects.get()
        response = post(api, REAUTHENTICATE, {"password": PASSWORD})
        assert response.json()["session"]["id"] == current
        assert set(response.cookies) == {ACCESS}
        assert "no-store" in response["Cache-Control"]
        row = RefreshToken.objects.get()
        assert (row.generation, row.since, row.authenticated_at) == (before.generation, before.since, clock.now)
        token = codec().loads(api.cookies[ACCESS].value, clock.now)
        assert (token.generation, token.authenticated_at) == (1, int(clock.now.timestamp()))

    @pytest.mark.parametrize("password", ["wrong", PASSWORD + " ", PASSWORD.upper(), "another user's"])
    def test_with_a_wrong_password_changes_nothing(self, clock, signed_in, user, password):
        UserFactory(password="another user's")
        clock.forward(60)
        response = post(signed_in, REAUTHENTICATE, {"password": password})
        assert (refusal(response), len(response.cookies)) == ((401, "invalid_credentials"), 0)
        row = RefreshToken.objects.get()
        assert row.authenticated_at == row.created_at
        assert signed_in.get(ME).status_code == 200
        assert SecurityEvent.objects.filter(kind="sign_in_failed", user=user).count() == 1

    def test_does_not_make_an_ended_session_live_again(self, signed_in, monkeypatch):
        monkeypatch.setattr(revocation_feed.feed, "add", lambda ids: None)  # As if another process had ended it.
        signed_in.get(ME)
        revoke(RefreshToken.objects.all(), RefreshToken.Reason.ENDED_BY_STAFF)
        assert_problem(post(signed_in, REAUTHENTICATE, {"password": PASSWORD}), 401, "session_ended")


class TestSigningOut:
    def test_ends_the_session_and_deletes_all_cookies_except_that_of_the_device(self, clock, api, other, current):
        cookies = api.cookies.copy()
        response = post(api, LOGOUT)
        assert (response.status_code, response.content) == (204, b"")
        ages = max_ages(response)
        ages.pop("__Host-session", None)
        assert ages == {ACCESS: 0, REFRESH: 0}
        assert api.cookies[DEVICE].value
        assert state_of(current) == "signed_out"
        assert api.get(ME).status_code == 401
        assert (refresh(Client(), cookies[REFRESH].value).status_code, state_of(other)) == (401, "live")

    def test_ends_the_session_once_although_djangos_logout_follows(self, api, current):
        sent = statements(lambda: post(api, LOGOUT))
        # The digest of the token's secret, which sessions it names, and their rows under a lock.
        assert len([sql for sql in sent if sql.startswith("SELECT") and f'FROM "{TABLE}"' in sql]) == 3

    def test_twice_changes_nothing_the_second_time(self, clock, api, current):
        cookies = api.cookies.copy()
        post(api, LOGOUT)
        ended = clock.now
        clock.forward(5)
        for client in (api, Client()):
            api.cookies = cookies.copy()
            assert post(client, LOGOUT).status_code == 204
        assert RefreshToken.objects.get(id=current).revoked_at == ended
        assert SecurityEvent.objects.filter(kind="revoked").count() == 1

    @pytest.mark.parametrize("age", [0, 601, 2 * HOUR], ids=["at once", "after the access token", "two hours later"])
    @pytest.mark.parametrize("kept", [{ACCESS}, {REFRESH}, {ACCESS, REFRESH}], ids=["access", "refresh", "both"])
    def test_works_with_either_token_even_if_it_has_expired(self, clock, api, current, age, kept):
        for name in {ACCESS, REFRESH} - kept:
            del api.cookies[name]
        clock.forward(age)
        assert (post(api, LOGOUT).status_code, state_of(current)) == (204, "signed_out")
        assert RefreshToken.objects.get().generation == 0  # The request did not refresh the session.

    @pytest.mark.parametrize(
        "generation", [0, 1, 2], ids=["that of the sign-in", "the previous one", "the current one"]
    )
    def test_works_with_a_token_of_any_generation(self, clock, api, current, generation):
        tokens = [api.cookies[REFRESH].value]
        for _ in range(2):
            clock.forward(100)
            refresh(api)
            tokens.append(api.cookies[REFRESH].value)
        assert post(client_with(refresh=tokens[generation]), LOGOUT).status_code == 204
        assert state_of(current) == "signed_out"

    def test_works_with_either_token_of_body_mode(self, user, both_modes):
        by_refresh, by_access = (login(Client(), user, mode="body") for _ in range(2))
        assert post(Client(), LOGOUT, {"refresh_token": by_refresh["refresh_token"]}).status_code == 204
        assert post(Client(), LOGOUT, **bearer(by_access["access_token"])).status_code == 204
        assert {state_of(answer["session"]["id"]) for answer in (by_refresh, by_access)} == {"signed_out"}

    def test_ignores_a_token_that_is_sent_as_in_the_other_mode(self, api, user, current, both_modes):
        in_body = login(Client(), user, mode="body")
        assert post(client_with(refresh=in_body["refresh_token"]), LOGOUT).status_code == 204
        assert post(Client(), LOGOUT, {"refresh_token": api.cookies[REFRESH].value}).status_code == 204
        assert (state_of(in_body["session"]["id"]), state_of(current)) == ("live", "live")

    @pytest.mark.parametrize("token", ["garbage", "latchkey_rt_" + "A" * 75, "a.b.c"])
    def test_with_an_invalid_token_deletes_the_cookies(self, current, token):
        response = post(client_with(access=token, refresh=token), LOGOUT)
        assert response.status_code == 204
        assert {response.cookies[name]["max-age"] for name in (ACCESS, REFRESH)} == {0}
        assert state_of(current) == "live"
