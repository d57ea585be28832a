"""Signing in: what is answered, what is remembered, and what becomes of the sessions that were there before."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.signals import user_logged_in
from django.test import Client

from tests.browsers import ACCESS, DEVICE, REFRESH, login, post, refresh
from tests.factories import PASSWORD, UserFactory
from tests.hashers import CheapArgon2
from tokens.models import Device, RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

LOGIN = "/api/auth/login"
ME = "/api/auth/me"
DAY = 86400
Another = Callable[[], Client]


@pytest.fixture
def both_modes(settings: Any) -> None:
    """A server that serves browsers that keep cookies, and clients that keep their tokens themselves."""
    settings.TOKENS = {"MODES": ["cookie", "body"]}


def attempt(client: Client, email: str, password: str = PASSWORD, **more: Any) -> Any:
    return post(client, LOGIN, {"email": email, "password": password, **more})


def is_live(session_id: str) -> bool:
    return RefreshToken.objects.live().filter(id=session_id).exists()


def reason_of(session_id: str) -> str:
    return RefreshToken.objects.get(id=session_id).revoked_reason


def kinds() -> list[str]:
    return list(SecurityEvent.objects.order_by("id").values_list("kind", flat=True))


def test_signing_in_answers_with_the_user_and_the_session(api, user, clock):
    response = attempt(api, user.email)
    assert response.status_code == 200
    answer = response.json()
    row = RefreshToken.objects.get()
    expires = answer.pop("access_token_expires_at")
    assert "2030-01-01T12:09:30Z" <= expires <= "2030-01-01T12:10:00Z"
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
            "current": True,
        },
    }
    assert row.user == user
    assert row.generation == 0


def test_signing_in_signs_the_next_request_in(api, user):
    signed_in = login(api, user)
    response = api.get(ME)
    assert response.json()["session"]["id"] == signed_in["session"]["id"]


def test_an_answer_with_tokens_is_stored_by_nobody(api, user, both_modes):
    for mode in ("cookie", "body"):
        assert "no-store" in attempt(api, user.email, mode=mode)["Cache-Control"]


def test_two_spellings_of_an_address_are_one_account(api, user):
    assert attempt(api, user.email.upper()).json()["user"]["id"] == str(user.pk)
    assert attempt(api, f"  {user.email} ").status_code == 200


def test_djangos_own_signal_is_sent_once(api, user):
    heard: list[Any] = []

    def hear(**signal: Any) -> None:
        heard.append(signal["user"])

    user_logged_in.connect(hear)
    try:
        login(api, user)
    finally:
        user_logged_in.disconnect(hear)
    assert heard == [user]
    assert RefreshToken.objects.count() == 1
    user.refresh_from_db()
    assert user.last_login is not None


class TestARefusal:
    @pytest.fixture
    def refusals(self, user: Any, another: Another) -> dict[str, Any]:
        """Every way of not getting in: if their answers differed, anybody could ask who has an account."""
        inactive = UserFactory(is_active=False)
        without = UserFactory(password=None)
        return {
            "unknown account": attempt(another(), "nobody@example.org"),
            "wrong password": attempt(another(), user.email, "wrong"),
            "right password, and a blank": attempt(another(), user.email, PASSWORD + " "),
            "right password in capitals": attempt(another(), user.email, PASSWORD.upper()),
            "no address": attempt(another(), "nobody"),
            "switched off": attempt(another(), inactive.email),
            "switched off, wrong password": attempt(another(), inactive.email, "wrong"),
            "without a password": attempt(another(), without.email),
        }

    def test_is_the_same_to_the_byte_whatever_the_reason(self, refusals):
        assert {response.status_code for response in refusals.values()} == {401}
        assert {response.json()["code"] for response in refusals.values()} == {"invalid_credentials"}
        assert len({response.content for response in refusals.values()}) == 1
        assert len({str(sorted(response.headers.items())) for response in refusals.values()}) == 1

    def test_sets_no_cookie_and_opens_no_session(self, refusals):
        assert not any(response.cookies for response in refusals.values())
        assert not RefreshToken.objects.exists()
        assert not Device.objects.exists()

    def test_is_written_down_with_the_account_if_there_is_one(self, refusals, user):
        assert set(kinds()) == {"sign_in_failed"}
        assert SecurityEvent.objects.count() == len(refusals)
        assert SecurityEvent.objects.filter(user=user).count() == 3

    @pytest.mark.parametrize("who", ["unknown", "known", "inactive", "without"])
    def test_costs_one_hash_whatever_the_reason(self, api, who, monkeypatch):
        account = {
            "known": lambda: UserFactory(),
            "inactive": lambda: UserFactory(is_active=False),
            "without": lambda: UserFactory(password=None),
            "unknown": lambda: UserFactory.build(),
        }[who]()
        hashed: list[str] = []
        for name in ("encode", "verify"):
            plain = getattr(CheapArgon2, name)
            monkeypatch.setattr(CheapArgon2, name, lambda *a, f=plain, n=name: hashed.append(n) or f(*a))
        attempt(api, account.email, "wrong")
        assert len(hashed) == 1

    def test_leaves_the_session_that_is_there_alone(self, api, user):
        login(api, user)
        response = attempt(api, user.email, "wrong")
        assert response.status_code == 401
        assert not response.cookies
        assert api.get(ME).status_code == 200


class TestRememberMe:
    def test_keeps_the_cookies_as_long_as_the_session(self, api, user, clock):
        response = attempt(api, user.email, remember=True)
        ages = {name: cookie["max-age"] for name, cookie in response.cookies.items()}
        assert ages == {ACCESS: 14 * DAY, REFRESH: 14 * DAY, DEVICE: 400 * DAY}

    def test_never_keeps_them_longer_than_the_session_may_last(self, api, user, settings, clock):
        settings.TOKENS = {"ABSOLUTE_LIFETIME": 3600}
        response = attempt(api, user.email, remember=True)
        assert response.cookies[REFRESH]["max-age"] == 3600

    @pytest.mark.parametrize("more", [{}, {"remember": False}])
    def test_unasked_lets_the_cookies_go_with_the_browser(self, api, user, more):
        response = attempt(api, user.email, **more)
        for name in (ACCESS, REFRESH):
            assert response.cookies[name]["max-age"] == ""
            assert response.cookies[name]["expires"] == ""
        assert response.cookies[DEVICE]["max-age"] == 400 * DAY

    @pytest.mark.parametrize(("remember", "idle"), [(True, 14 * DAY), (False, DAY // 2)])
    def test_decides_how_long_a_session_may_stay_unused(self, api, user, clock, remember, idle):
        login(api, user, remember=remember)
        row = RefreshToken.objects.get()
        assert row.remember is remember
        assert row.idle_expires_at - clock.now == timedelta(seconds=idle)
        assert row.expires_at - clock.now == timedelta(days=30)


@pytest.mark.usefixtures("both_modes")
class TestBodyMode:
    """The client keeps its tokens itself: they come in the body, and no cookie does."""

    def test_answers_with_the_tokens_and_sets_no_cookie(self, api, user):
        response = attempt(api, user.email, mode="body")
        answer = response.json()
        assert not response.cookies
        assert set(answer) == {
            "user",
            "session",
            "access_token",
            "access_token_expires_at",
            "token_type",
            "expires_in",
            "refresh_token",
            "device_token",
        }
        assert answer["token_type"] == "Bearer"
        assert 570 <= answer["expires_in"] <= 600
        assert answer["refresh_token"].startswith("latchkey_rt_")
        assert answer["session"]["mode"] == "body"

    def test_signs_requests_in_by_bearer_token(self, api, user, another):
        answer = login(api, user, mode="body")
        headers = {"Authorization": f"Bearer {answer['access_token']}"}
        assert another().get(ME, headers=headers).json()["user"]["id"] == str(user.pk)
        assert api.get(ME).status_code == 401

    def test_leaves_the_cookies_of_the_browser_alone(self, api, user):
        in_cookies = login(api, user)
        response = attempt(api, UserFactory().email, mode="body", device_token="another device")
        assert not response.cookies
        assert api.get(ME).json()["session"]["id"] == in_cookies["session"]["id"]

    def test_is_not_to_be_had_by_presenting_a_cookie_sessions_token_in_the_body(self, api, user):
        session = login(api, user)["session"]
        token = api.cookies[REFRESH].value
        response = post(Client(), "/api/auth/refresh", {"refresh_token": token})
        assert response.status_code == 401
        assert response.json()["code"] == "session_ended"
        assert b"latchkey_rt_" not in response.content
        assert is_live(session["id"])
        assert refresh(api).status_code == 200

    def test_is_not_left_by_presenting_its_token_as_a_cookie(self, api, user, another):
        answer = login(api, user, mode="body")
        response = refresh(another(), answer["refresh_token"])
        assert response.status_code == 401
        assert {cookie.value for cookie in response.cookies.values()} == {""}
        assert is_live(answer["session"]["id"])
        again = post(api, "/api/auth/refresh", {"refresh_token": answer["refresh_token"]})
        assert again.json()["refresh_token"]

    def test_is_not_what_a_browser_gets_unasked(self, api, user):
        response = attempt(api, user.email)
        assert response.json()["session"]["mode"] == "cookie"
        assert not {"access_token", "refresh_token", "device_token"} & set(response.json())
        for cookie in response.cookies.values():
            assert cookie.value.encode() not in response.content


class TestTheMode:
    def test_is_the_first_of_those_served_unless_asked_for(self, api, user, settings):
        settings.TOKENS = {"MODES": ["body", "cookie"]}
        assert login(api, user)["session"]["mode"] == "body"
        assert login(api, user, mode="cookie")["session"]["mode"] == "cookie"

    @pytest.mark.parametrize(
        ("served", "asked"), [("cookie", "body"), ("body", "cookie"), ("cookie", "scoped"), ("cookie", "COOKIE")]
    )
    def test_must_be_one_that_is_served(self, api, user, settings, served, asked):
        settings.TOKENS = {"MODES": [served]}
        response = attempt(api, user.email, mode=asked)
        assert response.status_code == 400
        assert response.json()["code"] == "invalid"
        assert set(response.json()["errors"]) == {"mode"}
        assert not response.cookies
        assert not RefreshToken.objects.exists()


class TestTheDevice:
    def test_is_recognised_when_it_signs_in_again(self, api, user):
        login(api, user)
        again = attempt(api, user.email)
        assert DEVICE not in again.cookies
        assert Device.objects.count() == 1
        assert RefreshToken.objects.count() == 2
        assert kinds().count("new_device") == 1

    def test_is_another_in_another_browser(self, api, user, another):
        login(api, user)
        login(another(), user)
        assert Device.objects.count() == 2
        assert kinds().count("new_device") == 2

    def test_is_known_by_a_digest_alone(self, api, user):
        login(api, user)
        digest = bytes(Device.objects.get().token_digest)
        assert len(digest) == 32
        assert api.cookies[DEVICE].value.encode() not in digest

    def test_has_the_name_that_is_given_and_keeps_it(self, api, user):
        assert login(api, user, device_name="My laptop")["session"]["device"]["name"] == "My laptop"
        assert login(api, user)["session"]["device"]["name"] == "My laptop"
        assert login(api, user, device_name="Ours")["session"]["device"]["name"] == "Ours"
        assert Device.objects.get().name == "Ours"

    @pytest.mark.usefixtures("both_modes")
    def test_of_a_client_without_cookies_is_recognised_by_its_token(self, user, another):
        first = login(another(), user, mode="body")
        again = login(another(), user, mode="body", device_token=first["device_token"])
        assert "device_token" not in again
        assert Device.objects.count() == 1
        assert "device_token" in login(another(), user, mode="body")

    @pytest.mark.usefixtures("both_modes")
    def test_token_in_the_body_goes_before_the_cookie(self, api, user, another):
        token = login(another(), user, mode="body", device_name="An app")["device_token"]
        login(api, user)
        assert login(api, user, mode="body", device_token=token)["session"]["device"]["name"] == "An app"

    @pytest.mark.parametrize("token", ["chosen by somebody else", "x" * 101, "é", ""])
    def test_is_never_known_by_a_token_that_we_did_not_give(self, api, user, token):
        api.cookies[DEVICE] = token
        response = attempt(api, user.email)
        assert response.cookies[DEVICE].value not in {"", token}
        login(api, user)
        assert Device.objects.count() == 1

    def test_stays_when_somebody_signs_out(self, api, user):
        login(api, user)
        assert DEVICE not in post(api, "/api/auth/logout").cookies
        login(api, user)
        assert Device.objects.count() == 1


class TestAnotherUserOnTheSameBrowser:
    @pytest.fixture
    def before(self, api: Client, user: Any, clock: Any) -> Any:
        """Somebody's session in this browser, and its access token: whoever comes next must not find it alive."""
        session = login(api, user)["session"]
        return session["id"], api.cookies[ACCESS].value

    def test_ends_the_firsts_session_at_once(self, api, before, another):
        session_id, access = before
        login(api, UserFactory())
        assert reason_of(session_id) == "superseded"
        old = another()
        old.cookies[ACCESS] = access
        assert old.get(ME).json()["code"] == "session_ended"

    def test_ends_it_under_this_device_alone(self, api, user, before, another):
        elsewhere = login(another(), user)["session"]["id"]
        login(api, UserFactory())
        assert is_live(elsewhere)

    def test_has_a_device_of_their_own(self, api, before):
        token = api.cookies[DEVICE].value
        login(api, UserFactory(), device_name="Theirs")
        assert api.cookies[DEVICE].value == token  # It is the same browser.
        digests = {bytes(device.token_digest) for device in Device.objects.all()}
        assert len(digests) == 1
        assert {device.name for device in Device.objects.all()} == {"Firefox on Windows", "Theirs"}


class TestTheSameUserAgain:
    def test_keeps_the_earlier_session_until_the_new_one_is_refreshed(self, api, user, another, clock):
        earlier = login(api, user)["session"]["id"]
        old_tab = another()
        old_tab.cookies = api.cookies.copy()
        clock.forward(1)
        login(api, user)
        assert old_tab.get(ME).json()["session"]["id"] == earlier
        assert is_live(earlier)
        assert refresh(api).status_code == 200
        assert reason_of(earlier) == "superseded"
        assert old_tab.get(ME).json()["code"] == "session_ended"

    def test_ends_it_on_this_device_alone(self, api, user, another, clock):
        elsewhere = login(another(), user)["session"]["id"]
        clock.forward(1)
        login(api, user)
        refresh(api)
        assert is_live(elsewhere)

    @pytest.mark.parametrize("known", [True, False], ids=["a known browser", "a new browser"])
    @pytest.mark.parametrize("kept", [0, 1], ids=["the first answer is kept", "the second answer is kept"])
    def test_a_double_click_leaves_a_live_session(self, api, user, another, clock, known, kept):
        if known:
            login(api, user)
            post(api, "/api/auth/logout")
        clicks = [another(), another()]
        for click in clicks:
            click.cookies = api.cookies.copy()
            clock.forward(0.05)
            login(click, user)
        winner = clicks[kept]
        for _ in range(3):
            clock.forward(601)
            assert refresh(winner).status_code == 200
            assert winner.get(ME).status_code == 200


class TestAStaleCookie:
    """Whatever lies in the jar, signing in works, and replaces it."""

    @pytest.mark.parametrize(
        "jar",
        [
            {ACCESS: "garbage", REFRESH: "garbage", DEVICE: "garbage"},
            {REFRESH: "latchkey_rt_" + "A" * 75},
            {ACCESS: "a.b.c"},
            {ACCESS: "", REFRESH: "", DEVICE: ""},
            {REFRESH: "x" * 100_000},
        ],
        ids=["garbage", "an unknown key", "no JWT", "empty", "long"],
    )
    def test_of_nobodys_does_not_hinder(self, api, user, jar):
        for name, value in jar.items():
            api.cookies[name] = value
        response = attempt(api, user.email)
        assert set(response.cookies) >= {ACCESS, REFRESH}
        assert api.get(ME).status_code == 200

    @pytest.mark.parametrize("age", [0, 601, 13 * 3600])
    @pytest.mark.parametrize("ended", [True, False])
    def test_of_an_old_session_does_not_hinder(self, api, user, clock, age, ended):
        login(api, user)
        if ended:
            RefreshToken.objects.update(revoked_at=clock.now, revoked_reason="ended_by_staff")
        clock.forward(age)
        signed_in = login(api, user)
        assert api.get(ME).json()["session"]["id"] == signed_in["session"]["id"]

    def test_in_a_header_does_not_hinder_either(self, api, user):
        headers = {"Authorization": "Bearer nonsense"}
        assert post(api, LOGIN, {"email": user.email, "password": PASSWORD}, **headers).status_code == 200


class TestTooManySessions:
    def test_let_the_longest_unused_make_way(self, user, another, clock, settings):
        settings.TOKENS = {"MAX_SESSIONS": 3}
        browsers, ids = [], []
        for _ in range(3):
            browsers.append(another())
            ids.append(login(browsers[-1], user)["session"]["id"])
            clock.forward(60)
        refresh(browsers[0])  # The oldest, but not the longest unused any more.
        clock.forward(60)
        newest = login(another(), user)["session"]["id"]
        assert [is_live(session_id) for session_id in [*ids, newest]] == [True, False, True, True]
        assert reason_of(ids[1]) == "too_many_sessions"

    def test_are_counted_for_each_user_and_while_they_live(self, user, another, clock, settings):
        settings.TOKENS = {"MAX_SESSIONS": 2}
        others = login(another(), UserFactory())["session"]["id"]
        signed_out = another()
        login(signed_out, user)
        post(signed_out, "/api/auth/logout")
        kept = [login(another(), user)["session"]["id"] for _ in range(2)]
        assert all(is_live(session_id) for session_id in [others, *kept])

    def test_may_be_one(self, user, another, clock, settings):
        settings.TOKENS = {"MAX_SESSIONS": 1}
        first, second = another(), another()
        login(first, user)
        clock.forward(1)
        login(second, user)
        assert first.get(ME).json()["code"] == "session_ended"
        assert second.get(ME).status_code == 200


class TestAnotherOrigin:
    HEADERS = (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "nonsense"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://testserver"},
        {"Origin": "https://testserver:8443"},
        {"Origin": "https://testserver.evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
    )

    @pytest.mark.parametrize("headers", HEADERS, ids=str)
    @pytest.mark.parametrize("signed_in", [True, False])
    def test_may_not_sign_anybody_in_and_no_cookie_is_touched(self, api, user, headers, signed_in):
        if signed_in:
            login(api, user)
        response = post(api, LOGIN, {"email": UserFactory().email, "password": PASSWORD}, **headers)
        assert response.status_code == 403
        assert response.json()["code"] == "cross_origin"
        assert not response.cookies
        assert RefreshToken.objects.count() == int(signed_in)
        assert RefreshToken.objects.live().count() == int(signed_in)

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Sec-Fetch-Site": "same-origin", "Origin": "https://testserver"},
            {"Sec-Fetch-Site": "none"},
            {"Origin": "https://testserver"},
            {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"},
        ],
        ids=str,
    )
    def test_may_if_it_is_ours_or_trusted(self, api, user, settings, headers):
        settings.TOKENS = {"TRUSTED_ORIGINS": ["https://app.example"]}
        assert post(api, LOGIN, {"email": user.email, "password": PASSWORD}, **headers).status_code == 200


def test_a_claims_hook_that_fails_leaves_no_session_behind(api, user, settings):
    settings.TOKENS = {"CLAIMS_HOOK": f"{__name__}.failing_hook"}
    with pytest.raises(RuntimeError, match="a bug of the project's"):
        post(api, "/api/auth/login", {"email": user.email, "password": PASSWORD})
    assert not RefreshToken.objects.exists()


def failing_hook(user: Any) -> dict[str, Any]:
    raise RuntimeError("a bug of the project's")
