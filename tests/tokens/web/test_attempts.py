"""Throttles: what counts against an account, a device, a network or a session, and what happens without a cache."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import aauthenticate, authenticate
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.crypto import salted_hmac

from accounts.models import User
from tests.accounts.steps import NEW_PASSWORD, ask, statements, who
from tests.browsers import ACCESS, DEVICE, REFRESH, SESSION, browser_at, login, refresh
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.tokens.api.steps import bearer
from tokens.models import SecurityEvent
from tokens.service import throttles
from tokens.service.throttles import Throttled

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.long]

HTML = {"Accept": "text/html"}
LIMIT, PERIOD = 10, 900
"""The default: how many wrong passwords are accepted for an account, or from one device of it, in so many seconds."""
LIMIT_OF_A_NETWORK = 100
UNKNOWN = "nobody@example.org"
"""An address without an account."""
UNREACHABLE = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"}}
"""A cache whose server cannot be reached: no process listens on the port of TCPMUX."""
LOCAL = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

Rates = Callable[..., None]


def sign_in(client: Client, email: str, password: str = PASSWORD, **more: Any) -> Any:
    return ask(client, "login", {"email": email, "password": password, **more})


def guess(email: str, times: int = LIMIT, client: Client | None = None) -> list[int]:
    """Send wrong passwords, each from another network unless a client is given. Return the statuses."""
    clients = [client or browser_at(f"198.51.{number}.7") for number in range(times)]
    return [sign_in(one, email, f"guess {number}").status_code for number, one in enumerate(clients)]


def seconds_to_wait(response: Any) -> int:
    """Assert that the response is the one to a throttled client, and return how many seconds it says to wait."""
    assert response.status_code == 429
    assert "no-store" in response["Cache-Control"]
    # Django's test client sends a deleted session cookie as an empty one, and Django deletes it again.
    assert not set(response.cookies) - {SESSION}, "A throttled request neither sets nor clears a cookie."
    return int(response["Retry-After"])


@pytest.fixture(autouse=True)
def _on(throttled: Rates, clock: Any) -> None:
    """Switches throttles on, by a clock that stands still. Otherwise a period that ends meanwhile fails a test."""


class TestUsersBehindOneAddress:
    @pytest.mark.parametrize(("users", "times"), [(51, 2), (1, 11)], ids=["51 users twice", "one user eleven times"])
    def test_they_sign_in_every_second(self, users, times, db, another, clock):
        for user in [UserFactory() for _ in range(users)] * times:
            assert sign_in(another(), user.email).status_code == 200
            clock.forward(1)

    def test_a_session_is_refreshed_a_hundred_times_within_a_minute_twice(self, signed_in, clock):
        for _ in range(2):
            for _ in range(100):
                assert refresh(signed_in).status_code == 200
                clock.forward(0.6)
            clock.forward(600)

    def test_a_user_who_mistypes_now_and_then_is_let_in(self, user, another):
        for _ in range(LIMIT - 1):
            assert sign_in(another(), user.email, "oops").status_code == 401
            assert sign_in(another(), user.email).status_code == 200


ACCOUNTS: dict[str, Callable[[], str]] = {
    "deactivated": lambda: UserFactory(is_active=False).email,
    "without a password": lambda: UserFactory(password=None).email,
    "unknown": lambda: UNKNOWN,
}


class TestAnAccount:
    def test_is_closed_to_strangers_after_too_many_wrong_passwords_and_opens_by_itself(self, user, api, clock):
        assert guess(user.email) == [401] * LIMIT
        clock.forward(seconds_to_wait(sign_in(api, user.email)) - 1)
        assert seconds_to_wait(sign_in(api, user.email)) == 1
        assert sign_in(api, UserFactory().email).status_code == 200, "Another account stays open."
        clock.forward(1)
        assert sign_in(api, user.email).status_code == 200

    def test_while_it_is_closed_costs_no_hash_and_no_row_and_the_log_says_why(self, user, api, caplog, hashed):
        guess(user.email)
        caplog.set_level(logging.INFO, "tokens")
        hashed.clear()
        with CaptureQueriesContext(connection) as context:
            response = sign_in(api, user.email)
        assert [query["sql"].split()[0] for query in context.captured_queries] == ["SELECT"] * 2
        assert (SecurityEvent.objects.count(), hashed) == (LIMIT, [])
        wait, problem = seconds_to_wait(response), response.json()
        assert (problem["status"], problem["code"]) == (429, "throttled")
        assert "too many wrong passwords" in problem["detail"]
        assert f"event=throttled name=sign_in_account wait={wait} ip=127.0.0.1" in caplog.messages

    def test_a_refused_attempt_does_not_count_so_repeating_it_does_not_prolong_the_wait(self, user, api, clock):
        guess(user.email)
        wait = seconds_to_wait(sign_in(api, user.email))
        assert {seconds_to_wait(sign_in(api, user.email)) for _ in range(50)} == {wait}
        clock.forward(wait)
        assert sign_in(api, user.email).status_code == 200

    def test_all_spellings_of_its_address_count_together(self, user, api):
        for email in (user.email, UNKNOWN):
            for number in range(LIMIT):
                spelling = email.upper() if number % 2 else f" {email} "
                assert sign_in(browser_at(f"198.51.{number}.7"), spelling, "wrong").status_code == 401
            seconds_to_wait(sign_in(api, email, "wrong"))

    def test_a_new_password_does_not_restart_the_count_because_that_would_tell_who_has_an_account(self, user, api):
        guess(user.email)
        user.set_password(PASSWORD)
        user.save()
        seconds_to_wait(sign_in(api, user.email))

    @pytest.mark.parametrize("account", ACCOUNTS.values(), ids=ACCOUNTS)
    def test_neither_responses_nor_statements_tell_one_account_from_another(self, user, account):
        def attempts(email: str) -> list[Any]:
            data = {"email": email, "password": "wrong"}
            return [statements(browser_at(f"198.51.{number}.7"), "login", data) for number in range(LIMIT + 2)]

        assert attempts(account()) == attempts(user.email)


class TestAKnownDevice:
    @pytest.fixture
    def owner(self, user: Any) -> Client:
        """The user's browser, signed out. If it were not, the session instead of the device cookie might let it in."""
        client = browser_at("192.0.2.1")
        login(client, user)
        ask(client, "logout")
        assert client.cookies[ACCESS].value == ""
        return client

    def test_gets_in_whatever_a_distributed_guesser_does(self, user, owner, clock):
        for _ in range(4):
            assert guess(user.email, 2 * LIMIT)[-1] == 429
            assert sign_in(owner, user.email).status_code == 200
            clock.forward(PERIOD)

    def test_it_is_let_in_from_a_network_that_is_closed(self, user, owner, throttled):
        throttled(sign_in_network="3/h")
        assert guess(UNKNOWN, 4, browser_at("192.0.2.99")) == [401, 401, 401, 429]
        assert sign_in(owner, user.email).status_code == 200

    def test_it_is_known_by_every_name_by_which_the_projects_manager_finds_the_user(self, user, owner, monkeypatch):
        def by_first_part(manager: Any, name: str) -> User:
            return User.objects.get(email__startswith=f"{name.partition('+')[0].partition('@')[0]}@")

        monkeypatch.setattr(type(User.objects), "get_by_natural_key", by_first_part)
        spelling = user.email.replace("@", "+home@")
        guess(spelling)
        seconds_to_wait(sign_in(browser_at("192.0.2.1"), spelling))
        assert sign_in(owner, spelling).status_code == 200

    def test_after_too_many_wrong_passwords_only_this_device_is_closed(self, user, owner):
        assert guess(user.email, LIMIT + 1, owner) == [401] * LIMIT + [429]
        seconds_to_wait(sign_in(owner, user.email))
        assert sign_in(browser_at("192.0.2.1"), user.email).status_code == 200

    def test_it_is_known_only_for_its_own_user(self, owner):
        other = UserFactory()
        guess(other.email)
        seconds_to_wait(sign_in(owner, other.email))

    def test_a_device_token_that_the_server_did_not_issue_is_unknown(self, user):
        guess(user.email)
        attacker = browser_at("192.0.2.1")
        attacker.cookies[DEVICE] = "x" * 43
        seconds_to_wait(sign_in(attacker, user.email))

    def test_without_cookies_the_device_token_is_sent_in_the_body(self, user, settings):
        settings.TOKENS = {**settings.TOKENS, "MODES": ["body"]}
        app = browser_at("192.0.2.1")
        device = sign_in(app, user.email).json()["device_token"]
        guess(user.email)
        seconds_to_wait(sign_in(app, user.email))
        assert sign_in(app, user.email, device_token=device).status_code == 200


class TestANetwork:
    def test_it_is_closed_after_too_many_wrong_passwords_for_any_accounts(self, user):
        for number in range(LIMIT_OF_A_NETWORK):
            assert sign_in(browser_at(f"203.0.113.{number}"), f"{number}@example.org", "x").status_code == 401
        seconds_to_wait(sign_in(browser_at("203.0.113.200"), user.email))
        assert sign_in(browser_at("203.0.114.1"), user.email).status_code == 200

    @pytest.mark.parametrize(
        ("proxies", "statuses"),
        [([], [401, 429]), (["127.0.0.1"], [401, 401])],
        ids=["header of the client", "header of a trusted proxy"],
    )
    def test_x_forwarded_for_counts_only_from_a_trusted_proxy(self, proxies, statuses, throttled, settings, db):
        throttled(sign_in_network="1/h")
        settings.TRUSTED_PROXIES = proxies
        clients = [Client(headers={"X-Forwarded-For": f"198.51.{number}.7"}) for number in range(2)]
        assert [sign_in(one, f"{n}@example.org", "x").status_code for n, one in enumerate(clients)] == statuses

    def test_an_unknown_address_is_not_counted(self, db, throttled):
        throttled(sign_in_network="1/h")
        for number in range(3):
            assert sign_in(browser_at(""), f"{number}@example.org", "x").status_code == 401


class TestEveryWayToSignIn:
    """Whatever calls `django.contrib.auth.authenticate` is throttled."""

    def test_the_admins_form_is_closed(self, browser, db):
        admin, path = AdminFactory(), "/admin/login/"
        for number in range(LIMIT):
            assert browser.post(path, {"username": admin.email, "password": f"{number}"}).status_code == 200
        seconds_to_wait(browser.post(path, {"username": admin.email, "password": PASSWORD}, headers=HTML))

    def test_our_page_is_closed_and_says_why(self, browser, user):
        guess(user.email)
        response = browser.post("/sign-in", {"username": user.email, "password": PASSWORD}, headers=HTML)
        seconds_to_wait(response)
        assert "too many wrong passwords" in response.content.decode()

    def test_counts_together(self, api, user):
        for number in range(LIMIT // 2):
            api.post("/sign-in", {"username": user.email, "password": f"{number}"})
        assert guess(user.email, LIMIT // 2 + 1)[-2:] == [401, 429]

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("call", [authenticate, async_to_sync(aauthenticate)], ids=["sync", "async"])
    def test_a_call_without_a_request_is_refused(self, user, call):
        for _ in range(LIMIT):
            assert call(username=user.email, password="wrong") is None
        with pytest.raises(Throttled):
            call(email=user.email, password=PASSWORD)

    @pytest.mark.parametrize(
        ("path", "data"),
        [
            ("reauthenticate", {"password": "wrong"}),
            ("password/change", {"current_password": "wrong", "new_password": NEW_PASSWORD}),
        ],
        ids=["authenticating again", "changing the password"],
    )
    def test_wrong_passwords_of_a_signed_in_user_are_counted_for_the_session(self, user, settings, path, data):
        settings.TOKENS = {**settings.TOKENS, "MODES": ["body"]}
        answer = login(Client(), user)
        headers, held = bearer(answer["access_token"]), {"refresh_token": answer["refresh_token"]}
        guess(user.email)
        seconds_to_wait(ask(Client(), path, data, **headers))
        assert [ask(Client(), path, {**data, **held}, **headers).status_code for _ in range(LIMIT)] == [401] * LIMIT
        seconds_to_wait(ask(Client(), path, {**data, **held}, **headers))


class TestRefreshing:
    def test_invalid_tokens_are_limited_for_a_network_and_no_cookie_is_cleared(self, api, throttled, clock, db):
        throttled(refresh_network="3/m")
        assert [refresh(api, "nonsense").status_code for _ in range(3)] == [401] * 3
        wait = seconds_to_wait(refresh(api, "nonsense"))
        assert api.cookies[REFRESH].value == "nonsense"
        clock.forward(wait)
        assert refresh(api, "nonsense").status_code == 401

    def test_a_session_in_the_same_network_continues(self, signed_in, another, throttled):
        throttled(refresh_network="3/m")
        for _ in range(5):
            refresh(another(), "nonsense")
        assert refresh(signed_in).status_code == 200

    def test_refreshes_are_limited_for_a_session_which_stays_signed_in(self, signed_in, throttled, clock):
        throttled(refresh_session="3/m")
        assert [refresh(signed_in).status_code for _ in range(4)] == [200] * 4, "One rotation and three repetitions."
        wait = seconds_to_wait(refresh(signed_in))
        assert who(signed_in) == 200
        for seconds in (wait, 600):
            clock.forward(seconds)
            assert refresh(signed_in).status_code == 200

    def test_each_session_has_its_own_limit(self, api, user, another, throttled):
        throttled(refresh_session="1/m")
        for browser in (api, another()):
            login(browser, user)
            assert [refresh(browser).status_code for _ in range(3)] == [200, 200, 429]

    def test_a_rotation_does_not_use_the_cache(self, signed_in, settings, clock, caplog):
        throttles.forget_outage()
        settings.CACHES = UNREACHABLE
        for _ in range(3):
            assert refresh(signed_in).status_code == 200
            clock.forward(300)
            assert who(signed_in) == 200
        assert "throttles are off" not in caplog.text


class TestACacheThatCannotBeReached:
    @pytest.fixture(autouse=True)
    def _away(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stops the clock of the pause too. On a slow machine the cache would be asked, and the line logged, again."""
        settings.CACHES = UNREACHABLE
        monkeypatch.setattr(throttles, "monotonic", lambda: 0.0)

    def test_no_client_is_throttled_and_one_line_is_logged(self, user, api, caplog):
        assert guess(user.email, 3 * LIMIT) == [401] * 3 * LIMIT
        assert sign_in(api, user.email).status_code == 200
        errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert errors == ["throttles are off for 5 s, because the cache does not answer: ConnectionError"]

    def test_it_is_asked_again_after_the_pause(self, user, settings, monkeypatch):
        guess(user.email)
        settings.CACHES = LOCAL
        monkeypatch.setattr(throttles, "monotonic", lambda: throttles.PAUSE)
        assert guess(user.email, LIMIT + 1)[-2:] == [401, 429]

    def test_mails_and_refreshes_are_not_refused(self, signed_in, user):
        assert ask(signed_in, "password/reset", {"email": user.email}).status_code == 202
        assert ask(signed_in, "register", {"email": UNKNOWN, "password": NEW_PASSWORD}).status_code == 202
        assert [refresh(signed_in).status_code for _ in range(2)] == [200, 200]
        assert refresh(Client(), "nonsense").status_code == 401


def test_the_cache_holds_only_numbers_and_neither_addresses_nor_accounts(user):
    guess(user.email)
    keys = list(cache._cache)  # type: ignore[attr-defined]
    assert len(keys) > LIMIT
    assert not any(user.email.partition("@")[0] in key or "198.51" in key for key in keys)
    assert {type(cache.get(key.removeprefix(":1:"))) for key in keys} == {int}


def test_where_throttles_are_off_the_cache_is_not_used(user, api, settings, caplog):
    settings.TOKENS, settings.CACHES = {"THROTTLES": "off"}, UNREACHABLE
    assert guess(user.email, 3 * LIMIT) == [401] * 3 * LIMIT
    assert sign_in(api, user.email).status_code == 200
    assert "throttles are off" not in caplog.text


def test_the_counts_of_the_version_before_still_apply():
    """During an update, servers of both versions count together. Otherwise an attacker would have twice the guesses."""
    assert throttles._digest("a", "b") == salted_hmac("tokens.throttles", '["a", "b"]', algorithm="sha256").hexdigest()
