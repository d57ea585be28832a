"""An idle session (LIFETIMES): it signs nobody in. Its refresh token and a factor reopen it, and neither does alone."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from tests.browsers import ACCESS, DEVICE, REFRESH, login, post, refresh
from tests.factories import PASSWORD, UserFactory
from tests.tokens.api.steps import refusal
from tests.tokens.service.holders import STILL_TIME
from tests.tokens.web_steps import NAVIGATION, signed_in_as, who
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.opening import with_methods
from tokens.service.purge import purges
from tokens.service.revocation import revoke_all
from tokens.web.factors import Factor

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls("tests.urls")]

AGAIN, REFRESHED = "/api/auth/reauthenticate", "/api/auth/refresh"
HOUR = 3600
Kind, Reason = SecurityEvent.Kind, RefreshToken.Reason


@pytest.fixture(autouse=True)
def _nist(settings: Any) -> None:
    """Sets the profile. Without it a session ends when it is idle."""
    given = {"LIFETIMES": "nist", "ACCESS_LIFETIME": 300, "MODES": ["cookie", "body"]}
    settings.TOKENS = {**settings.TOKENS, **given}


def raise_level(clock: Any, methods: tuple[str, ...] = ("pwd", "otp")) -> None:
    """Let all sessions have been opened by these methods just now."""
    for row in RefreshToken.objects.all():
        text = with_methods("", dict.fromkeys(methods, timedelta()), clock.now)
        end = clock.now + timedelta(days=1)
        RefreshToken.objects.filter(id=row.id).update(methods=text, expires_at=end)


def row_of(**given: Any) -> RefreshToken:
    return RefreshToken.objects.get(**given)


@pytest.fixture
def idle(api: Client, user: Any, clock: Any) -> Client:
    """A browser whose session of two factors was not used for an hour. One of a password would not be idle."""
    login(api, user, remember=True)
    raise_level(clock)
    clock.forward(STILL_TIME)
    assert refresh(api).status_code == 200
    clock.forward(HOUR)
    return api


def again(client: Client, password: str = PASSWORD, **more: Any) -> Any:
    return post(client, AGAIN, {"password": password, **more})


class TestBefore:
    def test_it_signs_nobody_in_and_keeps_its_cookies(self, idle, user):
        before = row_of()
        for _ in range(2):
            answer = refresh(idle)
            assert refusal(answer) == (401, "session_idle")
            assert "password" in answer.json()["offered"]
            assert 'error="insufficient_user_authentication"' in answer["WWW-Authenticate"]
            assert (len(answer.cookies), who(idle)) == (0, None)
        assert REFRESH in idle.cookies
        assert row_of().state(before.since) == before.state(before.since)

    def test_the_cookies_are_kept_until_the_absolute_end(self, idle, clock):
        assert int(idle.cookies[REFRESH]["max-age"]) == 86400 - STILL_TIME

    def test_nobody_else_learns_of_it(self, idle, another):
        strangers = [None, "garbage", idle.cookies[REFRESH].value[:-4] + "AAAA"]
        for token in strangers:
            stranger = another()
            if token is not None:
                stranger.cookies[REFRESH] = token
            assert refresh(stranger).json()["code"] != "session_idle"
            assert again(stranger).json()["code"] != "session_idle"

    def test_introspection_and_the_revocation_of_others_see_it_as_what_it_is(self, idle, user):
        here = signed_in_as(user)
        listed = here.get("/api/auth/sessions").json()["results"]
        assert [row["idle"] for row in listed] == [False, True]
        session_id = listed[1]["id"]
        answer = here.delete(f"/api/auth/sessions/{session_id}", content_type="application/json")
        assert (answer.status_code, row_of(id=session_id).revoked_reason) == (204, Reason.ENDED_BY_USER)
        assert refusal(again(idle)) == (401, "session_ended")

    def test_a_new_password_ends_it(self, idle, user):
        user.set_password("another correct horse")
        user.save()
        assert refusal(again(idle, "another correct horse"))[0] == 401
        assert row_of().revoked_reason == Reason.PASSWORD_CHANGED

    def test_an_old_token_ends_it(self, idle, user, clock, another):
        """It proves a theft, as it does while the session is live."""
        thief = another()
        first = idle.cookies[REFRESH].value
        assert again(idle).status_code == 200
        idle.get("/api/auth/me")
        clock.forward(STILL_TIME)
        assert refresh(idle).status_code == 200
        clock.forward(HOUR)
        assert (refusal(refresh(thief, first)), row_of().revoked_reason) == ((401, "session_ended"), Reason.REUSE)
        assert refusal(again(idle)) == (401, "session_ended")

    def test_the_purge_leaves_it(self, idle, settings, clock):
        settings.TOKENS = {**settings.TOKENS, "SESSION_RETENTION": 1}
        clock.forward(HOUR)
        assert purges()[0].count() == 0
        clock.forward(86400)
        assert purges()[0].count() == 1

    def test_the_page_of_devices_and_the_admin_show_it(self, idle, user, admin_client):
        assert ">Idle<" in signed_in_as(user).get("/devices").content.decode()
        shown = admin_client.get("/admin/tokens/refreshtoken/?state=idle").content.decode()
        assert shown.count(">idle</td>") == 1
        assert ">idle</td>" not in admin_client.get("/admin/tokens/refreshtoken/?state=expired").content.decode()

    def test_nothing_that_django_keeps_signs_anybody_in(self, user, clock, another, settings):
        """Its session stands for the first refresh token, of which the browser has no copy. So nothing reopens it."""
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
        browser = another()
        browser.force_login(user)
        assert who(browser) == str(user.pk)
        raise_level(clock)
        RefreshToken.objects.update(idle_expires_at=clock.now + timedelta(hours=1))
        clock.forward(HOUR)
        assert who(browser) is None
        assert again(browser).status_code == 401

    def test_a_new_session_on_the_device_supersedes_it(self, idle, user, clock):
        before = row_of()
        login(idle, user)
        clock.forward(STILL_TIME)
        assert (refresh(idle).status_code, row_of(id=before.id).revoked_reason) == (200, Reason.SUPERSEDED)


class TestReopening:
    def test_by_the_password_goes_on_with_the_same_row(self, idle, user, clock):
        before = row_of()
        answer = again(idle)
        assert answer.status_code == 200
        assert {ACCESS, REFRESH} <= set(answer.cookies)
        row = row_of()
        assert (row.id, row.generation) == (before.id, before.generation + 1)
        assert (row.expires_at, row.idle_expires_at) == (before.expires_at, clock.now + timedelta(hours=1))
        assert (row.amr, who(idle)) == (before.amr, str(user.pk))
        assert SecurityEvent.objects.filter(kind=Kind.REAUTHENTICATED).count() == 1
        assert SecurityEvent.objects.filter(kind=Kind.SIGNED_IN).count() == 1
        clock.forward(STILL_TIME)
        assert refresh(idle).status_code == 200

    def test_needs_the_token(self, idle, user, another):
        nobody = another()
        nobody.cookies[DEVICE] = idle.cookies[DEVICE].value
        assert refusal(again(nobody)) == (401, "not_authenticated")
        assert row_of().is_idle

    def test_needs_the_password(self, idle):
        before = row_of()
        assert refusal(again(idle, "wrong")) == (401, "invalid_credentials")
        assert (row_of().generation, who(idle)) == (before.generation, None)
        assert again(idle).status_code == 200

    def test_needs_the_password_of_its_user(self, idle):
        UserFactory(password="quite another one")
        assert refusal(again(idle, "quite another one"))[0] == 401

    def test_is_throttled_as_a_sign_in_is(self, idle, throttled, settings):
        settings.TOKENS = {**settings.TOKENS, "THROTTLES": {"sign_in_device": "2/h"}}
        assert [again(idle, "wrong").status_code for _ in range(3)] == [401, 401, 429]
        assert again(idle).status_code == 429

    def test_after_a_lost_response_is_possible_with_the_token_before(self, idle, clock):
        kept = idle.cookies[REFRESH].value
        assert again(idle).status_code == 200
        clock.forward(HOUR)
        idle.cookies[REFRESH] = kept
        assert refusal(refresh(idle)) == (401, "session_idle")
        assert (again(idle).status_code, SecurityEvent.objects.filter(kind=Kind.RECOVERED).count()) == (200, 1)
        clock.forward(STILL_TIME)
        assert refresh(idle).status_code == 200

    def test_by_two_tabs_at_once_signs_nobody_out(self, idle, another, clock):
        tabs = [another(), another()]
        for tab in tabs:
            tab.cookies = idle.cookies.copy()
            assert again(tab).status_code == 200
        assert refresh(another(), idle.cookies[REFRESH].value).status_code == 200
        clock.forward(STILL_TIME)
        assert (refresh(tabs[1]).status_code, row_of().revoked_at) == (200, None)

    def test_from_another_origin_is_refused(self, idle):
        headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert post(idle, AGAIN, {"password": PASSWORD}, **headers).status_code == 403
        assert refusal(refresh(idle)) == (401, "session_idle")

    def test_by_a_client_that_keeps_its_tokens_itself(self, api, user, clock):
        token = login(api, user, mode="body")["refresh_token"]
        raise_level(clock)
        clock.forward(STILL_TIME)
        token = post(api, REFRESHED, {"refresh_token": token}).json()["refresh_token"]
        clock.forward(HOUR)
        assert refusal(post(api, REFRESHED, {"refresh_token": token})) == (401, "session_idle")
        assert refusal(again(api)) == (401, "not_authenticated")
        assert refusal(again(api, "wrong", refresh_token=token)) == (401, "invalid_credentials")
        given = again(api, refresh_token=token).json()
        assert given["refresh_token"] != token
        assert api.get("/api/auth/me", headers={"Authorization": f"Bearer {given['access_token']}"}).status_code == 200

    def test_by_the_page_to_sign_in_leads_on(self, idle, user):
        answer = idle.get("/sign-in?next=/devices", headers=NAVIGATION)
        text = answer.content.decode()
        assert answer.status_code == 200
        assert user.email in text
        assert 'name="remember"' not in text
        before = row_of()
        answer = idle.post("/sign-in", {"username": user.email, "password": PASSWORD, "next": "/devices"})
        assert (answer.status_code, answer["Location"]) == (302, "/devices")
        assert (row_of().id, row_of().generation) == (before.id, before.generation + 1)
        assert who(idle) == str(user.pk)

    def test_another_person_signs_in_by_that_page_as_ever(self, idle):
        other = UserFactory()
        answer = idle.post("/sign-in", {"username": other.email, "password": PASSWORD})
        assert (answer.status_code, who(idle)) == (302, str(other.pk))


@pytest.mark.parametrize(
    "methods", [("pwd",), ("hwk", "pin", "mfa")], ids=["of a password", "of a security key with a PIN"]
)
def test_a_session_ends_when_it_was_not_used(methods, signed_in, clock):
    """SP 800-63B-4 lets one factor reopen a session of the level aal2 only."""
    raise_level(clock, methods)
    clock.forward(STILL_TIME)
    assert refresh(signed_in).status_code == 200
    clock.forward(12 * HOUR)
    assert (refusal(refresh(signed_in)), refusal(again(signed_in))[0]) == ((401, "session_ended"), 401)


def test_it_ends_at_its_absolute_end(idle, clock):
    clock.forward(86400)
    assert (refusal(refresh(idle)), refusal(again(idle))[0]) == ((401, "session_ended"), 401)


def test_without_the_setting_it_ends(idle, settings):
    settings.TOKENS = {**settings.TOKENS, "LIFETIMES": {}}
    assert (refusal(refresh(idle)), refusal(again(idle))[0]) == ((401, "session_ended"), 401)


def test_everything_that_ends_all_sessions_ends_it(idle, user):
    revoke_all(RefreshToken.objects.unended().filter(user=user), Reason.ENDED_BY_STAFF)
    assert row_of().revoked_reason == Reason.ENDED_BY_STAFF
    assert refusal(refresh(idle)) == (401, "session_ended")


class Code(Factor):
    """A factor of a project. Its answer is a text."""

    name, label, proves = "code", "code", frozenset({"pin"})

    def is_available(self, user: Any) -> bool:
        return True

    def begin(self, request: Any, user: Any) -> dict[str, Any]:
        return {"for": str(user.pk)}

    def verify(self, request: Any, user: Any, answer: Any) -> list[str] | None:
        return [*self.proves] if answer == "right" else None


class Held(Code):
    """A factor that the user has, as they have the token."""

    name, proves = "held", frozenset({"otp"})


class Mailed(Code):
    """A factor that proves nothing, such as a code by e-mail."""

    name, proves = "mailed", frozenset()


class Silent(Mailed):
    """A factor that does not say what it proves."""

    name = "silent"

    def verify(self, request: Any, user: Any, answer: Any) -> list[str] | None:
        return ["otp"]


class TestAnotherFactor:
    @pytest.fixture(autouse=True)
    def _code(self, settings: Any) -> None:
        """Adds factors that may and may not reopen a session. With the password only, each of them would be unknown."""
        kinds = (Code, Held, Silent, Mailed)
        settings.TOKENS = {**settings.TOKENS, "FACTORS": [f"{__name__}.{kind.__name__}" for kind in kinds]}

    def test_reopens_a_session_without_the_password(self, idle, user):
        assert post(idle, AGAIN, {"method": "code"}).json() == {"options": {"for": str(user.pk)}}
        assert refusal(post(idle, AGAIN, {"method": "code", "answer": "wrong"})) == (401, "invalid_credentials")
        assert who(idle) is None
        assert post(idle, AGAIN, {"method": "code", "answer": "right"}).status_code == 200
        assert who(idle) == str(user.pk)

    @pytest.mark.parametrize("method", ["held", "silent", "mailed"])
    def test_that_the_user_has_or_that_proves_nothing_does_not_reopen_it(self, idle, user, method):
        """Who has stolen a computer and the telephone beside it has the token and the code."""
        before = row_of()
        assert (post(idle, AGAIN, {"method": method, "answer": "right"}).status_code, who(idle)) == (401, None)
        assert (row_of().generation, row_of().methods) == (before.generation, before.methods)
        assert refusal(refresh(idle)) == (401, "session_idle")
        assert post(idle, AGAIN, {"method": "code", "answer": "right"}).status_code == 200

    def test_is_offered_to_nobody_else(self, idle, another):
        assert refusal(post(another(), AGAIN, {"method": "code"})) == (401, "not_authenticated")
