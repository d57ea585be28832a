"""Throttles: what counts, against whom, by which door; who gets in all the same; and a cache that is away."""

import logging
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from django.contrib.auth import aauthenticate, authenticate
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests.accounts.steps import ask, statements, who
from tests.browsers import ACCESS, DEVICE, FIREFOX, REFRESH, AsyncBrowser, login, refresh
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tokens import throttles
from tokens.models import SecurityEvent
from tokens.throttles import Tally, Throttled

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

HTML = {"Accept": "text/html"}
LIMIT, PERIOD = 10, 900
"""Wrong passwords for an account, or from one device of it, and seconds."""
OF_A_NETWORK = 100
NOBODY = "nobody@example.org"
NOWHERE = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"}}
"""A server that is not there: nobody listens on the port of TCPMUX."""
HERE = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

Rates = Callable[..., None]


def browser_at(address: str) -> Client:
    """A browser that was never here, at this address."""
    return Client(headers={"User-Agent": FIREFOX}, REMOTE_ADDR=address)


def sign_in(client: Client, email: str, password: str = PASSWORD, **more: Any) -> Any:
    return ask(client, "login", {"email": email, "password": password, **more})


def guess(email: str, times: int = LIMIT, client: Client | None = None) -> list[int]:
    """Try wrong passwords, each from another network unless one browser does it; return the statuses."""
    clients = [client or browser_at(f"198.51.{number}.7") for number in range(times)]
    return [sign_in(one, email, f"guess {number}").status_code for number, one in enumerate(clients)]


def is_told_to_wait(response: Any) -> int:
    """Hold an answer to what a throttled client is told; return the seconds."""
    assert response.status_code == 429
    assert response["Cache-Control"] == "no-store"
    assert not response.cookies, "No cookie is set, and none is cleared."
    return int(response["Retry-After"])


@pytest.fixture(autouse=True)
def _on(throttled: Rates, clock: Any) -> None:
    """Everything here is about throttles that are on, by a clock that stands at the beginning of every period."""


class TestAnOffice:
    """All behind one address."""

    def test_sixty_sign_in_in_a_minute_and_again(self, another, clock):
        people = [UserFactory() for _ in range(60)]
        for person in [*people, *people]:
            assert sign_in(another(), person.email).status_code == 200
            clock.forward(1)

    def test_one_signs_in_sixty_times_in_a_minute(self, user, another, clock):
        for _ in range(60):
            assert sign_in(another(), user.email).status_code == 200
            clock.forward(1)

    def test_a_session_is_refreshed_a_hundred_times_in_a_minute(self, api, user, clock):
        login(api, user)
        for _ in range(2):
            for _ in range(100):
                assert refresh(api).status_code == 200
                clock.forward(0.6)
            clock.forward(600)

    def test_who_mistypes_now_and_then_gets_in(self, user, another):
        for _ in range(LIMIT - 1):
            assert sign_in(another(), user.email, "oops").status_code == 401
            assert sign_in(another(), user.email).status_code == 200


class TestAnAccount:
    def test_is_closed_to_strangers_after_too_many_wrong_passwords_and_opens_by_itself(self, user, api, clock):
        assert guess(user.email) == [401] * LIMIT
        wait = is_told_to_wait(sign_in(api, user.email))
        clock.forward(wait - 1)
        assert is_told_to_wait(sign_in(api, user.email)) == 1
        clock.forward(1)
        assert sign_in(api, user.email).status_code == 200

    def test_says_in_words_what_helps(self, user, api):
        guess(user.email)
        answer = sign_in(api, user.email).json()
        assert (answer["status"], answer["code"]) == (429, "throttled")
        assert "too many wrong passwords" in answer["detail"]

    def test_is_told_of_in_the_log(self, user, api, caplog):
        guess(user.email)
        caplog.set_level(logging.INFO, "tokens")
        wait = is_told_to_wait(sign_in(api, user.email))
        assert f"event=throttled name=sign_in_account wait={wait} ip=127.0.0.1" in caplog.messages

    def test_is_not_hashed_for_and_nothing_is_written_when_it_is_closed(self, user, api):
        guess(user.email)
        with CaptureQueriesContext(connection) as context:
            sign_in(api, user.email)
        assert [query["sql"].split()[0] for query in context.captured_queries] == ["SELECT"] * 2
        assert SecurityEvent.objects.count() == LIMIT

    def test_that_is_refused_is_not_counted_so_patience_is_not_needed(self, user, api, clock):
        guess(user.email)
        wait = is_told_to_wait(sign_in(api, user.email))
        for _ in range(50):
            assert is_told_to_wait(sign_in(api, user.email)) == wait
        clock.forward(wait)
        assert sign_in(api, user.email).status_code == 200

    def test_is_one_in_every_spelling(self, user, api):
        for email in (user.email, NOBODY):
            for number in range(LIMIT):
                spelling = email.upper() if number % 2 else f" {email} "
                assert sign_in(browser_at(f"198.51.{number}.7"), spelling, "wrong").status_code == 401
            is_told_to_wait(sign_in(api, email, "wrong"))

    def test_is_not_another(self, user, api):
        guess(user.email)
        assert sign_in(api, UserFactory().email).status_code == 200

    @pytest.mark.parametrize("how", ["a new password", "a new hash"])
    def test_begins_at_nought_with_a_new_password_by_whichever_door(self, user, api, how):
        guess(user.email)
        user.set_password(PASSWORD)
        user.save() if how == "a new password" else User.objects.filter(pk=user.pk).update(password=user.password)
        assert sign_in(api, user.email).status_code == 200

    @pytest.mark.parametrize("kind", ["switched off", "without a password", "nobody's"])
    def test_is_told_from_no_other_by_what_is_answered_or_asked(self, user, api, kind):
        email = {
            "switched off": lambda: UserFactory(is_active=False).email,
            "without a password": lambda: UserFactory(password=None).email,
            "nobody's": lambda: NOBODY,
        }[kind]()

        def tries(email: str) -> list[Any]:
            data = {"email": email, "password": "wrong"}
            return [statements(browser_at(f"198.51.{number}.7"), "login", data) for number in range(LIMIT + 2)]

        assert tries(email) == tries(user.email)


class TestAKnownDevice:
    @pytest.fixture
    def owner(self, user: Any) -> Client:
        """The owner's browser, signed out: the device's cookie is all that it has."""
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

    def test_gets_in_from_a_network_that_somebody_else_has_used_up(self, user, owner, throttled):
        throttled(sign_in_network="3/h")
        neighbour = browser_at("192.0.2.99")
        assert guess(NOBODY, 4, neighbour) == [401, 401, 401, 429]
        assert sign_in(owner, user.email).status_code == 200

    def test_is_known_by_whatever_name_the_projects_manager_finds_its_user(self, user, owner, monkeypatch):
        def by_first_part(manager: Any, name: str) -> User:
            return User.objects.get(email__startswith=f"{name.partition('+')[0].partition('@')[0]}@")

        monkeypatch.setattr(type(User.objects), "get_by_natural_key", by_first_part)
        spelling = user.email.replace("@", "+home@")
        guess(spelling)
        is_told_to_wait(sign_in(browser_at("192.0.2.1"), spelling))
        assert sign_in(owner, spelling).status_code == 200

    def test_is_closed_after_too_many_wrong_passwords_of_its_own_and_alone(self, user, owner):
        assert guess(user.email, LIMIT + 1, owner) == [401] * LIMIT + [429]
        is_told_to_wait(sign_in(owner, user.email))
        assert sign_in(browser_at("192.0.2.1"), user.email).status_code == 200

    def test_is_one_of_its_own_user_alone(self, user, owner):
        somebody = UserFactory()
        guess(somebody.email)
        is_told_to_wait(sign_in(owner, somebody.email))

    def test_is_nobodys_with_a_token_that_we_did_not_give(self, user):
        guess(user.email)
        stranger = browser_at("192.0.2.1")
        stranger.cookies[DEVICE] = "x" * 43
        is_told_to_wait(sign_in(stranger, user.email))

    def test_says_so_in_the_body_where_there_are_no_cookies(self, user, settings):
        settings.TOKENS = {**settings.TOKENS, "MODES": ["body"]}
        app = browser_at("192.0.2.1")
        device = sign_in(app, user.email).json()["device_token"]
        guess(user.email)
        is_told_to_wait(sign_in(app, user.email))
        assert sign_in(app, user.email, device_token=device).status_code == 200


class TestANetwork:
    def test_is_closed_after_too_many_wrong_passwords_for_whomever(self, user):
        for number in range(OF_A_NETWORK):
            assert sign_in(browser_at(f"203.0.113.{number}"), f"{number}@example.org", "x").status_code == 401
        is_told_to_wait(sign_in(browser_at("203.0.113.200"), user.email))
        assert sign_in(browser_at("203.0.114.1"), user.email).status_code == 200

    @pytest.mark.parametrize(
        ("proxies", "statuses"), [([], [401, 429]), (["127.0.0.1"], [401, 401])], ids=["anybody's word", "a proxy's"]
    )
    def test_is_believed_of_a_trusted_proxy_alone(self, proxies, statuses, throttled, settings, db):
        throttled(sign_in_network="1/h")
        settings.TRUSTED_PROXIES = proxies
        for number, status in enumerate(statuses):
            client = Client(headers={"X-Forwarded-For": f"198.51.{number}.7"})
            assert sign_in(client, f"{number}@example.org", "x").status_code == status

    def test_that_is_not_known_is_not_counted(self, db, throttled):
        throttled(sign_in_network="1/h")
        for number in range(3):
            assert sign_in(browser_at(""), f"{number}@example.org", "x").status_code == 401


class TestEveryDoor:
    """That asks `django.contrib.auth.authenticate`."""

    @pytest.fixture(params=[Client, AsyncBrowser], ids=["WSGI", "ASGI"])
    def browser(self, request: pytest.FixtureRequest) -> Client:
        client: Client = request.param(headers={"User-Agent": FIREFOX, **HTML})
        return client

    def test_of_the_admin_is_closed(self, browser, db):
        admin, path = AdminFactory(), "/admin/login/"
        for number in range(LIMIT):
            assert browser.post(path, {"username": admin.email, "password": f"{number}"}).status_code == 200
        is_told_to_wait(browser.post(path, {"username": admin.email, "password": PASSWORD}))

    def test_of_our_page_is_closed_and_says_so_to_a_person(self, browser, user):
        guess(user.email)
        response = browser.post("/sign-in", {"username": user.email, "password": PASSWORD})
        is_told_to_wait(response)
        assert "too many wrong passwords" in response.content.decode()

    def test_counts_together(self, api, user):
        for number in range(LIMIT // 2):
            api.post("/sign-in", {"username": user.email, "password": f"{number}"})
        assert guess(user.email, LIMIT // 2 + 1)[-2:] == [401, 429]

    def test_is_closed_without_a_request_too(self, user):
        for _ in range(LIMIT):
            assert authenticate(username=user.email, password="wrong") is None
        with pytest.raises(Throttled):
            authenticate(email=user.email, password=PASSWORD)

    @pytest.mark.django_db(transaction=True)
    def test_is_closed_in_async_views_too(self, user):
        from asgiref.sync import async_to_sync

        for _ in range(LIMIT):
            assert async_to_sync(aauthenticate)(username=user.email, password="wrong") is None
        with pytest.raises(Throttled):
            async_to_sync(aauthenticate)(username=user.email, password=PASSWORD)

    def test_asks_for_nothing_where_it_is_not_about_a_password(self, db):
        assert authenticate(token="x") is None

    @pytest.mark.parametrize(
        ("path", "data"),
        [
            ("reauthenticate", {"password": "wrong"}),
            ("password/change", {"current_password": "wrong", "new_password": "a brand new and better one"}),
        ],
    )
    def test_for_whoever_is_signed_in_is_their_sessions_own(self, user, settings, path, data):
        settings.TOKENS = {**settings.TOKENS, "MODES": ["body"]}
        token = login(Client(), user)["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        guess(user.email)
        assert [ask(Client(), path, data, **headers).status_code for _ in range(LIMIT)] == [401] * LIMIT
        is_told_to_wait(ask(Client(), path, data, **headers))


class TestRefreshing:
    def test_with_refused_tokens_is_bounded_by_network_and_no_cookie_is_cleared(self, api, throttled, clock, db):
        throttled(refresh_network="3/m")
        assert [refresh(api, "nonsense").status_code for _ in range(3)] == [401] * 3
        api.cookies[REFRESH] = "nonsense"
        wait = is_told_to_wait(refresh(api, "nonsense"))
        assert api.cookies[REFRESH].value == "nonsense"
        clock.forward(wait)
        assert refresh(api, "nonsense").status_code == 401

    def test_goes_on_for_a_session_that_lives_beside_them(self, api, user, another, throttled):
        throttled(refresh_network="3/m")
        login(api, user)
        for _ in range(5):
            refresh(another(), "nonsense")
        assert refresh(api).status_code == 200

    def test_over_and_over_is_bounded_for_a_session_and_signs_nobody_out(self, api, user, throttled, clock):
        throttled(refresh_session="3/m")
        login(api, user)
        assert [refresh(api).status_code for _ in range(4)] == [200] * 4, "A rotation, and three that repeat it."
        wait = is_told_to_wait(refresh(api))
        assert who(api) == 200
        clock.forward(wait)
        assert refresh(api).status_code == 200
        clock.forward(600)
        assert refresh(api).status_code == 200

    def test_of_one_session_does_not_hold_up_another(self, api, user, another, throttled):
        throttled(refresh_session="1/m")
        for browser in (api, another()):
            login(browser, user)
            assert [refresh(browser).status_code for _ in range(3)] == [200, 200, 429]

    def test_asks_the_cache_nothing_for_a_rotation(self, api, user, settings, clock, caplog):
        login(api, user)
        throttles.forget_outage()
        settings.CACHES = NOWHERE
        for _ in range(3):
            assert refresh(api).status_code == 200
            clock.forward(300)
            assert who(api) == 200
        assert "throttles are off" not in caplog.text


class TestACacheThatIsAway:
    @pytest.fixture(autouse=True)
    def _away(self, settings: Any) -> None:
        settings.CACHES = NOWHERE

    def test_throttles_nobody_and_is_told_of_in_one_line(self, user, api, caplog):
        assert guess(user.email, 3 * LIMIT) == [401] * 3 * LIMIT
        assert sign_in(api, user.email).status_code == 200
        errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert errors == ["throttles are off for 5 s, the cache does not answer: ConnectionError"]

    def test_is_asked_again_later(self, user, api, settings):
        guess(user.email)
        settings.CACHES = HERE
        throttles.forget_outage()
        assert guess(user.email, LIMIT + 1)[-2:] == [401, 429]

    def test_is_no_reason_to_refuse_a_mail_or_a_refresh(self, api, user):
        login(api, user)
        for path, data in [
            ("password/reset", {"email": user.email}),
            ("register", {"email": NOBODY, "password": "a brand new and better one"}),
        ]:
            assert ask(api, path, data).status_code == 202
        assert refresh(api).status_code == 200
        assert refresh(api).status_code == 200
        assert refresh(Client(), "nonsense").status_code == 401


def test_the_cache_holds_numbers_and_nothing_of_whom_they_are_about(user):
    guess(user.email)
    keys = list(cache._cache)  # type: ignore[attr-defined]
    assert len(keys) > LIMIT
    assert not any(user.email.partition("@")[0] in key or "198.51" in key for key in keys)
    assert {type(cache.get(key.removeprefix(":1:"))) for key in keys} == {int}


def test_counts_made_at_once_are_all_counted(throttled):
    throttled(reset_network="400/h")
    tally = Tally("reset_network", "somebody's")
    threads = [Thread(target=lambda: [throttles.count(tally) for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(Throttled):
        throttles.check(tally)
    throttled(reset_network="401/h")
    throttles.check(tally)


def test_whoever_switches_them_off_is_asked_for_nothing(user, api, settings):
    settings.TOKENS, settings.CACHES = {"THROTTLES": "off"}, NOWHERE
    assert guess(user.email, 3 * LIMIT) == [401] * 3 * LIMIT
    assert sign_in(api, user.email).status_code == 200
