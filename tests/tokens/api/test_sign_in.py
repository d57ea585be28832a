"""Signing in: the response, the cookies, the device, and the earlier sessions that a sign-in ends."""

from typing import Any

import pytest
from django.test import Client

from tests.browsers import ACCESS, DEVICE, REFRESH, SESSION, login, post, refresh
from tests.factories import PASSWORD, UserFactory
from tests.tokens.api.paths import DAY, HOUR, LOGIN, LOGOUT, ME
from tests.tokens.api.steps import OF_BODY, assert_problem, bearer, client_with, max_ages, refusal, sign_in, state_of
from tests.tokens.web_steps import signed_in_as
from tokens.models import Device, RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db


def attempt(client: Client, email: str, password: str = PASSWORD, **more: Any) -> Any:
    return post(client, LOGIN, {"email": email, "password": password, **more})


def kinds() -> list[str]:
    return list(SecurityEvent.objects.order_by("id").values_list("kind", flat=True))


def test_signing_in_answers_with_the_user_and_the_session(clock, api, user):
    answer = login(api, user)
    row = RefreshToken.objects.get()
    assert "2030-01-01T12:09:30Z" <= answer.pop("access_token_expires_at") <= "2030-01-01T12:10:00Z"
    assert answer == {
        "user": {"id": str(user.pk), "email": user.email},
        "session": {
            "id": str(row.id),
            "device": {"name": "Firefox on Windows"},
            "mode": "cookie",
            "created_at": "2030-01-01T12:00:00Z",
            "last_used_at": "2030-01-01T12:00:00Z",
            "ip": "127.0.0.1",
            "bound": False,
            "idle": False,
            "lacks_factor": False,
            "amr": ["pwd"],
            "acr": "aal1",
            "actor": None,
            "current": True,
        },
    }
    assert (row.user, row.generation) == (user, 0)
    assert row.user.last_login is not None
    assert api.get(ME).json()["session"]["id"] == str(row.id)


def test_a_response_with_tokens_is_not_stored(api, user, both_modes):
    for mode in ("cookie", "body"):
        assert "no-store" in attempt(api, user.email, mode=mode)["Cache-Control"]


def test_an_address_in_capitals_or_with_blanks_is_the_same_account(api, user):
    for email in (user.email.upper(), f"  {user.email} "):
        assert attempt(api, email).json()["user"]["id"] == str(user.pk)


def test_an_invalid_bearer_token_does_not_prevent_signing_in(api, user):
    data = {"email": user.email, "password": PASSWORD}
    assert post(api, LOGIN, data, **bearer("nonsense")).status_code == 200


class TestARejection:
    def test_has_the_same_response_to_the_byte_for_every_reason(self, user, another):
        """If the responses differed, an attacker could find out who has an account."""
        inactive, without_password = UserFactory(is_active=False), UserFactory(password=None)
        reasons = {
            "an unknown account": ("nobody@example.org", PASSWORD),
            "a wrong password": (user.email, "wrong"),
            "the right password and a blank": (user.email, PASSWORD + " "),
            "the right password in capitals": (user.email, PASSWORD.upper()),
            "a text that is not an address": ("nobody", PASSWORD),
            "an inactive user": (inactive.email, PASSWORD),
            "an inactive user and a wrong password": (inactive.email, "wrong"),
            "a user without a password": (without_password.email, PASSWORD),
        }
        responses = [attempt(another(), *given) for given in reasons.values()]
        assert_problem(responses[0], 401, "invalid_credentials")
        assert responses[0]["WWW-Authenticate"] == "Bearer"
        for reason, response in zip(reasons, responses, strict=True):
            assert (response.status_code, response.content) == (401, responses[0].content), reason
            assert response.headers.items() == responses[0].headers.items(), reason
            assert not response.cookies, reason
        assert (RefreshToken.objects.exists(), Device.objects.exists()) == (False, False)
        assert kinds() == ["sign_in_failed"] * len(reasons)
        assert SecurityEvent.objects.filter(user=user).count() == 3

    def test_does_not_end_the_browsers_session(self, signed_in, user):
        response = attempt(signed_in, user.email, "wrong")
        assert (response.status_code, len(response.cookies)) == (401, 0)
        assert signed_in.get(ME).status_code == 200


class TestRememberMe:
    @pytest.mark.parametrize(
        ("setting", "age"), [({}, 14 * DAY), ({"ABSOLUTE_LIFETIME": 3600}, 3600)], ids=["two weeks", "an hour"]
    )
    def test_keeps_the_cookies_as_long_as_the_session_may_last(self, clock, api, user, settings, setting, age):
        settings.TOKENS = setting
        response = attempt(api, user.email, remember=True)
        assert max_ages(response).items() >= {ACCESS: age, REFRESH: age, DEVICE: 400 * DAY, SESSION: 14 * DAY}.items()

    @pytest.mark.parametrize("more", [{}, {"remember": False}], ids=["nothing said", "refused"])
    def test_is_off_by_default_so_that_the_cookies_are_deleted_with_the_browser(self, api, user, more):
        response = attempt(api, user.email, **more)
        assert max_ages(response).items() >= {ACCESS: "", REFRESH: "", DEVICE: 400 * DAY, SESSION: ""}.items()
        assert [response.cookies[name]["expires"] for name in (ACCESS, REFRESH)] == ["", ""]


@pytest.mark.usefixtures("both_modes")
class TestBodyMode:
    """The client keeps its tokens itself: they are in the body, and no cookie is set."""

    def test_answers_with_the_tokens_and_sets_no_cookie(self, api, user, another):
        response = attempt(api, user.email, mode="body")
        answer = response.json()
        assert not response.cookies
        assert set(answer) == {"user", "session", "refresh_token", "device_token"} | OF_BODY
        assert answer["token_type"] == "Bearer"
        assert 570 <= answer["expires_in"] <= 600
        assert answer["refresh_token"].startswith("latchkey_rt_")
        assert answer["session"]["mode"] == "body"
        assert another().get(ME, headers=bearer(answer["access_token"])).json()["user"]["id"] == str(user.pk)
        assert api.get(ME).status_code == 401

    def test_changes_no_cookie_of_a_signed_in_browser(self, api, user):
        in_cookies = login(api, user)
        response = attempt(api, UserFactory().email, mode="body", device_token="another device")
        assert not response.cookies
        assert api.get(ME).json()["session"]["id"] == in_cookies["session"]["id"]


class TestTheMode:
    def test_is_the_first_of_the_setting_by_default(self, api, user, settings):
        settings.TOKENS = {"MODES": ["body", "cookie"]}
        assert login(api, user)["session"]["mode"] == "body"
        assert login(api, user, mode="cookie")["session"]["mode"] == "cookie"

    @pytest.mark.parametrize(
        ("served", "asked"),
        [("cookie", "body"), ("body", "cookie"), ("cookie", "scoped"), ("cookie", "COOKIE")],
        ids=["body instead of cookie", "cookie instead of body", "scoped instead of cookie", "another spelling"],
    )
    def test_must_be_one_of_the_setting(self, api, user, settings, served, asked):
        settings.TOKENS = {"MODES": [served]}
        response = attempt(api, user.email, mode=asked)
        text = f"This server does not serve this mode. Its setting MODES has: {served}."
        assert assert_problem(response, 400, "invalid")["errors"] == {"mode": [text]}
        assert (len(response.cookies), RefreshToken.objects.exists()) == (0, False)


class TestTheDevice:
    def test_is_recognised_when_the_user_signs_in_again(self, signed_in, user):
        assert DEVICE not in attempt(signed_in, user.email).cookies
        post(signed_in, LOGOUT)
        assert DEVICE not in attempt(signed_in, user.email).cookies
        assert (Device.objects.count(), RefreshToken.objects.count(), kinds().count("new_device")) == (1, 3, 1)

    def test_is_another_in_another_browser(self, signed_in, user, another):
        login(another(), user)
        assert (Device.objects.count(), kinds().count("new_device")) == (2, 2)

    def test_is_stored_as_a_digest_of_its_token(self, signed_in):
        digest = bytes(Device.objects.get().token_digest)
        assert len(digest) == 32
        assert signed_in.cookies[DEVICE].value.encode() not in digest

    def test_keeps_its_name_until_another_is_given(self, api, user):
        given = [{"device_name": "My laptop"}, {}, {"device_name": "Ours"}]
        names = [login(api, user, **more)["session"]["device"]["name"] for more in given]
        assert names == ["My laptop", "My laptop", "Ours"]
        assert Device.objects.get().name == "Ours"

    @pytest.mark.usefixtures("both_modes")
    def test_of_a_client_without_cookies_is_recognised_by_its_token(self, user, another):
        first = login(another(), user, mode="body")
        assert "device_token" not in login(another(), user, mode="body", device_token=first["device_token"])
        assert Device.objects.count() == 1
        assert "device_token" in login(another(), user, mode="body")

    @pytest.mark.usefixtures("both_modes")
    def test_is_that_of_the_token_in_the_body_if_there_is_a_cookie_too(self, signed_in, user, another):
        token = login(another(), user, mode="body", device_name="An app")["device_token"]
        assert login(signed_in, user, mode="body", device_token=token)["session"]["device"]["name"] == "An app"

    def test_is_not_recognised_by_a_token_that_the_server_did_not_make(self, another, user):
        for count, token in enumerate(("chosen by an attacker", "x" * 101, "é", ""), start=1):
            browser = another()
            browser.cookies[DEVICE] = token
            assert attempt(browser, user.email).cookies[DEVICE].value not in {"", token}
            login(browser, user)
            assert Device.objects.count() == count, token


class TestAnotherUserInTheSameBrowser:
    def test_ends_the_first_users_session_in_it_and_no_other(self, clock, api, user, another):
        elsewhere, session_id = sign_in(another(), user), sign_in(api, user)
        old = client_with(access=api.cookies[ACCESS].value)
        login(api, UserFactory())
        assert state_of(session_id) == "superseded"
        assert (refusal(old.get(ME)), state_of(elsewhere)) == ((401, "session_ended"), "live")

    def test_has_another_device_with_the_same_token(self, signed_in):
        token = signed_in.cookies[DEVICE].value
        login(signed_in, UserFactory(), device_name="Theirs")
        # The browser keeps its device token when another user signs in.
        assert signed_in.cookies[DEVICE].value == token
        assert len({bytes(device.token_digest) for device in Device.objects.all()}) == 1
        assert {device.name for device in Device.objects.all()} == {"Firefox on Windows", "Theirs"}


@pytest.mark.parametrize("known", [True, False], ids=["a known browser", "a new browser"])
@pytest.mark.parametrize("kept", [0, 1], ids=["the first response is kept", "the second response is kept"])
def test_a_double_click_leaves_a_live_session(clock, api, user, another, known, kept):
    """`tests.tokens.service.test_refreshing` tests that the first refresh ends the earlier session on the device."""
    if known:
        login(api, user)
        post(api, LOGOUT)
    clicks = [another(), another()]
    for click in clicks:
        click.cookies = api.cookies.copy()
        clock.forward(0.05)
        login(click, user)
    for _ in range(3):
        clock.forward(601)
        assert (refresh(clicks[kept]).status_code, clicks[kept].get(ME).status_code) == (200, 200)


STALE = {
    "words": {"access": "garbage", "refresh": "garbage", "device": "garbage"},
    "an unknown key": {"refresh": "latchkey_rt_" + "A" * 75},
    "no JWT": {"access": "a.b.c"},
    "nothing": {"access": "", "refresh": "", "device": ""},
    "a long text": {"refresh": "x" * 100_000},
}


class TestStaleCookies:
    """Signing in works with any cookies, and replaces them."""

    @pytest.mark.parametrize("cookies", STALE.values(), ids=STALE)
    def test_without_a_valid_token_are_replaced(self, user, cookies):
        client = client_with(**cookies)
        assert set(attempt(client, user.email).cookies) >= {ACCESS, REFRESH}
        assert client.get(ME).status_code == 200

    @pytest.mark.parametrize("age", [0, 601, 13 * HOUR], ids=["new", "without access", "too long unused"])
    @pytest.mark.parametrize("ended", [True, False], ids=["ended by the staff", "not ended"])
    def test_of_an_old_session_are_replaced(self, clock, signed_in, user, age, ended):
        if ended:
            RefreshToken.objects.update(revoked_at=clock.now, revoked_reason="ended_by_staff")
        clock.forward(age)
        session_id = sign_in(signed_in, user)
        assert signed_in.get(ME).json()["session"]["id"] == session_id


class TestTooManySessions:
    def test_end_the_one_that_was_unused_for_longest(self, clock, user, another, settings):
        settings.TOKENS = {"MAX_SESSIONS": 3}
        browsers, ids = [another() for _ in range(3)], []
        for browser in browsers:
            ids.append(sign_in(browser, user))
            clock.forward(60)
        refresh(browsers[0])  # The oldest session is now not the one that was unused for longest.
        clock.forward(60)
        newest = sign_in(another(), user)
        assert [state_of(session_id) for session_id in ids] == ["live", "too_many_sessions", "live"]
        assert state_of(newest) == "live"

    def test_are_counted_for_each_user_without_those_that_have_ended(self, clock, user, another, settings):
        settings.TOKENS = {"MAX_SESSIONS": 2}
        others = sign_in(another(), UserFactory())
        post(signed_in_as(user), LOGOUT)
        kept = [sign_in(another(), user) for _ in range(2)]
        assert {state_of(session_id) for session_id in [others, *kept]} == {"live"}
