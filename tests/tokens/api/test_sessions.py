"""A person's sessions: seen, renamed and ended, one's own and nobody else's; and signing out."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import F
from django.test import Client

from tests.browsers import ACCESS, DEVICE, REFRESH, login, post, refresh
from tests.factories import PASSWORD, UserFactory
from tokens.access_tokens import codec
from tokens.api.views import PAGE
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.client import Client as Requester
from tokens.service.ending import end
from tokens.service.opening import open_session

pytestmark = pytest.mark.django_db

ME, SESSIONS, LOGOUT = "/api/auth/me", "/api/auth/sessions", "/api/auth/logout"
REAUTHENTICATE = "/api/auth/reauthenticate"
RECENT = 900
Another = Callable[[], Client]


def patch(client: Client, session_id: Any, name: Any, **headers: str) -> Any:
    data = {"device_name": name}
    return client.patch(f"{SESSIONS}/{session_id}", data, content_type="application/json", headers=headers)


def delete(client: Client, session_id: Any = None, **headers: str) -> Any:
    return client.delete(f"{SESSIONS}/{session_id}" if session_id else SESSIONS, headers=headers)


def is_live(session_id: Any) -> bool:
    return RefreshToken.objects.live().filter(id=session_id).exists()


def reason_of(session_id: Any) -> str:
    return RefreshToken.objects.get(id=session_id).revoked_reason


def listed(client: Client) -> list[str]:
    return [session["id"] for session in client.get(SESSIONS).json()["results"]]


class TestTheList:
    def test_shows_a_session_as_the_design_says(self, api, user, clock):
        login(api, user, device_name="My laptop")
        assert api.get(SESSIONS).json() == {
            "results": [
                {
                    "id": str(RefreshToken.objects.get().id),
                    "device": {"name": "My laptop"},
                    "mode": "cookie",
                    "created_at": "2030-01-01T12:00:00Z",
                    "last_used_at": "2030-01-01T12:00:00Z",
                    "ip": "127.0.0.1",
                    "bound": False,
                    "current": True,
                }
            ],
            "next": None,
        }

    def test_has_ones_own_live_sessions_newest_first(self, api, user, another):
        ids = [login(another(), user)["session"]["id"] for _ in range(3)]
        login(another(), UserFactory())
        ids.append(login(api, user)["session"]["id"])
        end(RefreshToken.objects.filter(id=ids[1]), RefreshToken.Reason.ENDED_BY_STAFF)
        RefreshToken.objects.filter(id=ids[2]).update(idle_expires_at=F("created_at"))
        assert listed(api) == [ids[3], ids[0]]

    def test_marks_the_session_that_asks(self, api, user, another):
        other = another()
        login(other, user)
        login(api, user)
        assert [session["current"] for session in api.get(SESSIONS).json()["results"]] == [True, False]
        assert [session["current"] for session in other.get(SESSIONS).json()["results"]] == [False, True]

    @pytest.mark.parametrize(
        ("since", "told"),
        [
            ("2030-01-01T13:09:59Z", "2030-01-01T13:00:00Z"),
            ("2030-01-01T13:10:00Z", "2030-01-01T13:10:00Z"),
            ("2030-01-01T13:19:59.999Z", "2030-01-01T13:10:00Z"),
            ("2030-01-02T00:00:01Z", "2030-01-02T00:00:00Z"),
            ("2030-01-01T12:03:00Z", "2030-01-01T12:02:00Z"),
        ],
    )
    def test_tells_the_last_use_to_ten_minutes_and_never_before_the_sign_in(self, api, user, clock, since, told):
        clock.forward(120)
        login(api, user)
        RefreshToken.objects.update(since=since)
        assert api.get(SESSIONS).json()["results"][0]["last_used_at"] == told

    def test_holds_no_secret(self, api, user):
        login(api, user)
        content = api.get(SESSIONS).content
        row = RefreshToken.objects.get()
        for secret in (bytes(row.secret_digest).hex(), bytes(row.device.token_digest).hex(), row.device_id.hex):
            assert secret.encode() not in content
        for cookie in api.cookies.values():
            assert cookie.value.encode() not in content

    def test_comes_in_pages(self, api, user, settings):
        settings.TOKENS = {"MAX_SESSIONS": 1000}
        for _ in range(2 * PAGE):
            open_session(user, Requester(), mode="cookie")
        current = login(api, user)["session"]["id"]
        pages, path = [], SESSIONS
        while path:
            page = api.get(path).json()
            pages.append([session["id"] for session in page["results"]])
            path = page["next"]
        assert [len(page) for page in pages] == [PAGE, PAGE, 1]
        ids = [session_id for page in pages for session_id in page]
        assert ids == sorted(ids, reverse=True)
        assert len(set(ids)) == 2 * PAGE + 1
        assert ids[0] == current

    def test_of_exactly_a_page_has_no_next(self, api, user, settings):
        settings.TOKENS = {"MAX_SESSIONS": 1000}
        for _ in range(PAGE - 1):
            open_session(user, Requester(), mode="cookie")
        login(api, user)
        page = api.get(SESSIONS).json()
        assert len(page["results"]) == PAGE
        assert page["next"] is None

    def test_goes_on_behind_a_session_that_ended_meanwhile(self, api, user, another):
        first = login(another(), user)["session"]["id"]
        second = login(another(), user)["session"]["id"]
        login(api, user)
        end(RefreshToken.objects.filter(id=second), RefreshToken.Reason.ENDED_BY_STAFF)
        page = api.get(f"{SESSIONS}?before={second}").json()
        assert [session["id"] for session in page["results"]] == [first]

    @pytest.mark.parametrize("before", ["nonsense", "1", "%00", "%ff", "01939d2a-7c00-7abc-8def-0123456789a"])
    def test_goes_on_behind_nothing_else(self, api, user, before):
        login(api, user)
        assert api.get(f"{SESSIONS}?before={before}").json()["code"] == "not_found"

    def test_is_for_who_is_signed_in(self, api, db):
        response = api.get(SESSIONS)
        assert response.status_code == 401
        assert response.json()["code"] == "not_authenticated"

    def test_shows_where_a_session_was_last_used(self, api, user, settings, clock):
        settings.TRUSTED_PROXIES = ["127.0.0.1"]
        headers = {"X-Forwarded-For": "2001:db8::7"}
        post(api, "/api/auth/login", {"email": user.email, "password": PASSWORD}, **headers)
        assert api.get(SESSIONS).json()["results"][0]["ip"] == "2001:db8::7"
        clock.forward(601)
        post(api, "/api/auth/refresh", **{"X-Forwarded-For": "192.0.2.7"})
        assert api.get(SESSIONS).json()["results"][0]["ip"] == "192.0.2.7"


class TestRenaming:
    def test_names_the_device_for_all_its_sessions(self, api, user):
        first = login(api, user)["session"]["id"]
        login(api, user)
        response = patch(api, first, "Kitchen tablet")
        assert response.status_code == 200
        assert response.json()["id"] == first
        assert response.json()["device"] == {"name": "Kitchen tablet"}
        names = [session["device"]["name"] for session in api.get(SESSIONS).json()["results"]]
        assert names == ["Kitchen tablet", "Kitchen tablet"]

    def test_names_another_of_ones_own_without_a_recent_sign_in(self, api, user, another, clock):
        other = login(another(), user)["session"]["id"]
        login(api, user)
        clock.forward(RECENT + 1)
        response = patch(api, other, "Old phone")
        assert response.status_code == 200
        assert response.json()["current"] is False

    @pytest.mark.parametrize("name", ["Ünïcödé 📱", "x" * 100, "a", "  trimmed  "])
    def test_takes_any_name_that_can_be_shown(self, api, user, name):
        session_id = login(api, user)["session"]["id"]
        assert patch(api, session_id, name).json()["device"]["name"] == name.strip()

    @pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\0b", "\x1b[2J", "two\nlines", "\ud800", None, 5, [], {}])
    def test_takes_no_other(self, api, user, name):
        session_id = login(api, user, device_name="Before")["session"]["id"]
        response = patch(api, session_id, name)
        assert response.status_code == 400
        assert set(response.json()["errors"]) == {"device_name"}
        assert api.get(ME).json()["session"]["device"]["name"] == "Before"

    def test_needs_a_name(self, api, user):
        session_id = login(api, user)["session"]["id"]
        response = api.patch(f"{SESSIONS}/{session_id}", {}, content_type="application/json")
        assert set(response.json()["errors"]) == {"device_name"}


class TestEndingOne:
    def test_ends_it_and_its_access_tokens(self, api, user, another):
        lost = another()
        session_id = login(lost, user)["session"]["id"]
        current = login(api, user)["session"]["id"]
        response = delete(api, session_id)
        assert response.status_code == 204
        assert response.content == b""
        assert not response.cookies
        assert reason_of(session_id) == "ended_by_user"
        assert lost.get(ME).json()["code"] == "session_ended"
        assert listed(api) == [current]

    def test_is_written_down(self, api, user, another):
        session_id = login(another(), user)["session"]["id"]
        login(api, user)
        delete(api, session_id)
        event = SecurityEvent.objects.get(kind="revoked")
        assert (str(event.session_id), event.user, event.reason) == (session_id, user, "ended_by_user")
        assert event.ip == "127.0.0.1"

    def test_which_is_ones_own_signs_out(self, api, user, clock):
        session_id = login(api, user)["session"]["id"]
        clock.forward(RECENT + 1)
        response = delete(api, session_id)
        assert response.status_code == 204
        assert {name: cookie["max-age"] for name, cookie in response.cookies.items()} == {ACCESS: 0, REFRESH: 0}
        assert reason_of(session_id) == "signed_out"
        assert api.get(ME).status_code == 401

    def test_twice_finds_nothing_the_second_time(self, api, user, another):
        session_id = login(another(), user)["session"]["id"]
        login(api, user)
        assert [delete(api, session_id).status_code for _ in range(2)] == [204, 404]

    def test_needs_a_recent_sign_in(self, api, user, another, clock):
        session_id = login(another(), user)["session"]["id"]
        login(api, user)
        clock.forward(RECENT)
        other = login(another(), user)["session"]["id"]
        assert delete(api, other).status_code == 204
        clock.forward(1)
        response = delete(api, session_id)
        assert response.status_code == 403
        assert response.json()["code"] == "reauthentication_required"
        assert is_live(session_id)

    def test_must_come_from_our_own_origin(self, api, user, another):
        session_id = login(another(), user)["session"]["id"]
        login(api, user)
        response = delete(api, session_id, Origin="https://evil.example")
        assert response.json()["code"] == "cross_origin"
        assert is_live(session_id)


class TestEndingAllOthers:
    def test_leaves_this_one_and_other_peoples(self, api, user, another):
        others = [login(another(), user)["session"]["id"] for _ in range(3)]
        somebody = login(another(), UserFactory())["session"]["id"]
        current = login(api, user)["session"]["id"]
        response = delete(api)
        assert response.status_code == 204
        assert not response.cookies
        assert {reason_of(session_id) for session_id in others} == {"ended_by_user"}
        assert is_live(somebody)
        assert listed(api) == [current]

    def test_is_nothing_where_there_are_none(self, api, user):
        login(api, user)
        assert delete(api).status_code == 204
        assert api.get(ME).status_code == 200

    def test_needs_a_recent_sign_in(self, api, user, another, clock):
        session_id = login(another(), user)["session"]["id"]
        login(api, user)
        clock.forward(RECENT + 1)
        assert delete(api).json()["code"] == "reauthentication_required"
        assert is_live(session_id)


@pytest.mark.parametrize("method", ["patch", "delete"])
class TestAnotherPersonsSession:
    """It is not told from one that is not there: an id is no way to find out who is signed in."""

    def ask(self, method: str, client: Client, session_id: Any) -> Any:
        return patch(client, session_id, "Mine now") if method == "patch" else delete(client, session_id)

    def test_is_not_found(self, api, user, another, method):
        theirs = login(another(), UserFactory(), device_name="Theirs")["session"]["id"]
        login(api, user)
        response, nothing = (self.ask(method, api, session_id) for session_id in (theirs, uuid4()))
        assert response.status_code == nothing.status_code == 404
        assert response.content == nothing.content
        assert response.headers.items() == nothing.headers.items()
        assert is_live(theirs)
        assert RefreshToken.objects.get(id=theirs).device.name == "Theirs"

    def test_is_not_found_without_a_recent_sign_in_either(self, api, user, another, clock, method):
        theirs = login(another(), UserFactory())["session"]["id"]
        login(api, user)
        clock.forward(RECENT + 1)
        assert self.ask(method, api, theirs).json()["code"] == "not_found"

    def test_which_ended_is_not_found(self, api, user, another, method):
        mine = login(another(), user)["session"]["id"]
        login(api, user)
        end(RefreshToken.objects.filter(id=mine), RefreshToken.Reason.ENDED_BY_STAFF)
        assert self.ask(method, api, mine).status_code == 404

    def test_is_not_for_strangers(self, api, user, another, method):
        theirs = login(another(), user)["session"]["id"]
        assert self.ask(method, api, theirs).json()["code"] == "not_authenticated"
        assert is_live(theirs)


class TestReauthentication:
    def test_gives_the_recent_sign_in_that_is_asked_for(self, api, user, another, clock):
        other = login(another(), user)["session"]["id"]
        login(api, user)
        clock.forward(RECENT + 1)
        assert delete(api, other).status_code == 403
        assert post(api, REAUTHENTICATE, {"password": PASSWORD}).status_code == 200
        assert delete(api, other).status_code == 204

    def test_is_the_same_session_without_a_rotation(self, api, user, clock):
        session_id = login(api, user)["session"]["id"]
        refresh(api)
        clock.forward(60)
        before = RefreshToken.objects.get()
        response = post(api, REAUTHENTICATE, {"password": PASSWORD})
        assert response.json()["session"]["id"] == session_id
        assert set(response.cookies) == {ACCESS}
        row = RefreshToken.objects.get()
        assert (row.generation, row.since) == (before.generation, before.since)
        assert row.authenticated_at == clock.now
        assert "no-store" in response["Cache-Control"]

    def test_gives_a_token_without_generation_that_acknowledges_nothing(self, api, user, clock):
        login(api, user)
        post(api, REAUTHENTICATE, {"password": PASSWORD})
        token = codec().loads(api.cookies[ACCESS].value, clock.now)
        assert token.generation is None
        assert token.claims["auth_time"] == int(clock.now.timestamp())
        for _ in range(3):
            clock.forward(100)
            assert api.get(ME).status_code == 200
        assert RefreshToken.objects.get().acknowledged is False

    def test_lasts_beyond_the_next_refresh(self, api, user, another, clock):
        other = login(another(), user)["session"]["id"]
        login(api, user)
        clock.forward(RECENT + 1)
        post(api, REAUTHENTICATE, {"password": PASSWORD})
        clock.forward(601)
        refresh(api)
        assert delete(api, other).status_code == 204

    def test_in_body_mode_gives_the_token_in_the_body(self, user, settings):
        settings.TOKENS = {"MODES": ["body"]}
        answer = login(Client(), user)
        bearer = {"Authorization": f"Bearer {answer['access_token']}"}
        response = post(Client(), REAUTHENTICATE, {"password": PASSWORD}, **bearer)
        assert set(response.json()) == {
            "user",
            "session",
            "access_token",
            "access_token_expires_at",
            "token_type",
            "expires_in",
        }
        assert not response.cookies

    @pytest.mark.parametrize("password", ["wrong", PASSWORD + " ", PASSWORD.upper()])
    def test_with_a_wrong_password_changes_nothing(self, api, user, clock, password):
        login(api, user)
        clock.forward(60)
        response = post(api, REAUTHENTICATE, {"password": password})
        assert response.status_code == 401
        assert response.json()["code"] == "invalid_credentials"
        assert not response.cookies
        assert RefreshToken.objects.get().authenticated_at == RefreshToken.objects.get().created_at
        assert api.get(ME).status_code == 200
        assert SecurityEvent.objects.filter(kind="sign_in_failed", user=user).count() == 1

    def test_with_anothers_password_changes_nothing(self, api, user):
        UserFactory(password="another's")
        login(api, user)
        assert post(api, REAUTHENTICATE, {"password": "another's"}).status_code == 401

    def test_is_for_who_is_signed_in(self, api, user):
        assert post(api, REAUTHENTICATE, {"password": PASSWORD}).json()["code"] == "not_authenticated"

    def test_does_not_bring_an_ended_session_back(self, api, user, monkeypatch):
        login(api, user)
        monkeypatch.setattr("tokens.service.ending.feed.add", lambda ids: None)  # As if another process had ended it.
        api.get(ME)
        end(RefreshToken.objects.filter(user=user), RefreshToken.Reason.ENDED_BY_STAFF)
        assert post(api, REAUTHENTICATE, {"password": PASSWORD}).json()["code"] == "session_ended"

    def test_must_come_from_our_own_origin(self, api, user):
        login(api, user)
        response = post(api, REAUTHENTICATE, {"password": PASSWORD}, Origin="https://evil.example")
        assert response.json()["code"] == "cross_origin"


class TestSigningOut:
    def test_ends_the_session_and_clears_the_cookies_but_not_the_device(self, api, user):
        session_id = login(api, user)["session"]["id"]
        response = post(api, LOGOUT)
        assert response.status_code == 204
        assert response.content == b""
        cleared = {name: cookie["max-age"] for name, cookie in response.cookies.items() if name != "__Host-session"}
        assert cleared == {ACCESS: 0, REFRESH: 0}
        assert api.cookies[DEVICE].value
        assert reason_of(session_id) == "signed_out"
        assert api.get(ME).status_code == 401

    def test_leaves_ones_other_sessions(self, api, user, another):
        other = another()
        login(other, user)
        login(api, user)
        post(api, LOGOUT)
        assert other.get(ME).status_code == 200

    def test_twice_is_as_good_as_once(self, api, user):
        login(api, user)
        jar = api.cookies.copy()
        for _ in range(2):
            api.cookies = jar.copy()
            assert post(api, LOGOUT).status_code == 204
        assert post(Client(), LOGOUT).status_code == 204
        assert SecurityEvent.objects.filter(kind="revoked").count() == 1

    @pytest.mark.parametrize("age", [0, 601, 7200])
    @pytest.mark.parametrize("kept", [{ACCESS}, {REFRESH}, {ACCESS, REFRESH}], ids=lambda kept: "+".join(sorted(kept)))
    def test_works_with_either_token_even_expired(self, api, user, clock, age, kept):
        session_id = login(api, user)["session"]["id"]
        for name in {ACCESS, REFRESH} - kept:
            del api.cookies[name]
        clock.forward(age)
        assert post(api, LOGOUT).status_code == 204
        assert reason_of(session_id) == "signed_out"
        assert RefreshToken.objects.get().generation == 0  # Nothing was refreshed on the way.

    @pytest.mark.parametrize("generation", [0, 1, 2])
    def test_works_with_a_token_of_any_generation(self, api, user, clock, generation):
        session_id = login(api, user)["session"]["id"]
        tokens = [api.cookies[REFRESH].value]
        for _ in range(2):
            clock.forward(100)
            refresh(api)
            tokens.append(api.cookies[REFRESH].value)
        old = Client()
        old.cookies[REFRESH] = tokens[generation]
        assert post(old, LOGOUT).status_code == 204
        assert reason_of(session_id) == "signed_out"

    def test_of_a_client_with_tokens_of_its_own(self, user, settings):
        settings.TOKENS = {"MODES": ["cookie", "body"]}
        by_refresh, by_access = (login(Client(), user, mode="body") for _ in range(2))
        assert post(Client(), LOGOUT, {"refresh_token": by_refresh["refresh_token"]}).status_code == 204
        bearer = {"Authorization": f"Bearer {by_access['access_token']}"}
        assert post(Client(), LOGOUT, **bearer).status_code == 204
        for answer in (by_refresh, by_access):
            assert reason_of(answer["session"]["id"]) == "signed_out"

    def test_takes_no_token_that_came_the_wrong_way(self, api, user, settings):
        settings.TOKENS = {"MODES": ["cookie", "body"]}
        in_body, in_cookies = login(Client(), user, mode="body"), login(api, user)
        wrong = Client()
        wrong.cookies[REFRESH] = in_body["refresh_token"]
        assert post(wrong, LOGOUT).status_code == 204
        assert post(Client(), LOGOUT, {"refresh_token": api.cookies[REFRESH].value}).status_code == 204
        assert is_live(in_body["session"]["id"])
        assert is_live(in_cookies["session"]["id"])

    @pytest.mark.parametrize("token", ["garbage", "latchkey_rt_" + "A" * 75, "a.b.c"])
    def test_with_a_token_of_nobodys_clears_the_cookies(self, api, user, token):
        session_id = login(api, user)["session"]["id"]
        stranger = Client()
        stranger.cookies[ACCESS] = stranger.cookies[REFRESH] = token
        response = post(stranger, LOGOUT)
        assert response.status_code == 204
        assert {response.cookies[name]["max-age"] for name in (ACCESS, REFRESH)} == {0}
        assert is_live(session_id)

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Origin": "https://evil.example", "Authorization": "Bearer x"},
        ],
        ids=str,
    )
    def test_is_not_for_pages_of_another_origin(self, api, user, headers):
        session_id = login(api, user)["session"]["id"]
        response = post(api, LOGOUT, **headers)
        assert response.json()["code"] == "cross_origin"
        assert not response.cookies
        assert is_live(session_id)

    def test_is_undone_by_no_refresh(self, api, user, clock):
        login(api, user)
        token = api.cookies[REFRESH].value
        post(api, LOGOUT)
        assert refresh(Client(), token).status_code == 401

    def test_ends_a_session_only_once_in_the_books(self, api, user, clock):
        session_id = login(api, user)["session"]["id"]
        jar = api.cookies.copy()
        post(api, LOGOUT)
        ended = RefreshToken.objects.get(id=session_id).revoked_at
        clock.forward(5)
        api.cookies = jar
        post(api, LOGOUT)
        assert RefreshToken.objects.get(id=session_id).revoked_at == ended == clock.now - timedelta(seconds=5)
