"""Several cookies with the same name, and two sites with Latchkey on one host."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from tests.attacks.test_cookie_tossing import Cookie, cookie_of, in_both_orders, send, user_of
from tests.browsers import ACCESS, DEVICE, REFRESH, login, post
from tests.factories import UserFactory
from tests.tokens.web_steps import EXPIRED, NAVIGATION, raising, signed_in_as, unsigned, values_of, who
from tokens.models import Device, RefreshToken
from tokens.service import devices
from tokens.web.http.duplicates import MOST

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

OTHER_SECRET = "the secret of another site on this host, which is long enough too"
BOTH = [ACCESS, REFRESH]


@pytest.fixture
def other(db: None) -> Client:
    """The browser of somebody else, whose cookies are genuine. Invalid ones would be ignored for that reason."""
    return signed_in_as(UserFactory())


@pytest.fixture
def elsewhere(another: Callable[[], Client], settings: Any) -> Client:
    """A browser at another site with Latchkey. Its tokens look like ours, but are signed with other keys."""
    own, browser = settings.SECRET_KEY, another()
    settings.SECRET_KEY = OTHER_SECRET
    login(browser, UserFactory())
    settings.SECRET_KEY = own
    return browser


def pairs(name: str, one: Client, other: Client) -> Any:
    return in_both_orders(cookie_of(one, name), cookie_of(other, name))


@pytest.mark.parametrize("name", BOTH)
class TestOfTwoTokens:
    def test_the_only_genuine_one_counts(self, signed_in, user, elsewhere, name):
        for cookies in pairs(name, signed_in, elsewhere):
            assert user_of(*cookies) == str(user.pk)

    def test_it_counts_beside_garbage_and_beside_itself_too(self, signed_in, user, name):
        own = cookie_of(signed_in, name)
        for text in ("x", unsigned(), own[1] + "x", own[1][:-1], own[1]):
            for cookies in in_both_orders(own, (name, text)):
                assert user_of(*cookies) == str(user.pk)

    def test_none_counts_if_they_are_of_two_sessions_and_none_is_deleted(self, signed_in, user, other, name):
        for cookies in pairs(name, signed_in, other):
            for method, path in (("GET", "/probe/public"), ("GET", "/probe/who"), ("GET", "/api/auth/me")):
                header = "; ".join("=".join(cookie) for cookie in cookies)
                assert not Client().generic(method, path, headers={"Cookie": header, **NAVIGATION}).cookies
            assert user_of(*cookies) is None
            refused = send("POST", "/api/auth/refresh", *cookies)
            assert (refused.status_code, len(refused.cookies)) == (401, 0)
        assert RefreshToken.objects.live().count() == 2
        assert set(RefreshToken.objects.values_list("generation", flat=True)) == {0}

    def test_none_counts_either_if_the_session_of_one_has_ended(self, clock, signed_in, other, name):
        """Otherwise a planted session would count as soon as the user's own has ended."""
        assert post(other, "/api/auth/me").status_code == 405
        kept = cookie_of(other, name)
        post(other, "/api/auth/logout")
        for cookies in in_both_orders(cookie_of(signed_in, name), kept):
            assert user_of(*cookies) is None

    def test_no_more_than_a_few_are_verified(self, signed_in, user, name):
        own = cookie_of(signed_in, name)
        assert user_of(*[(name, f"x{n}") for n in range(MOST - 1)], own) == str(user.pk)
        assert user_of(*[(name, f"x{n}") for n in range(MOST)], own) is None


def test_an_expired_access_token_of_another_session_counts_as_genuine(clock, signed_in):
    old = cookie_of(signed_in, ACCESS)
    clock.forward(EXPIRED)
    attacker = signed_in_as(UserFactory())
    for cookies in in_both_orders(old, cookie_of(attacker, ACCESS)):
        assert user_of(*cookies) is None


def test_with_two_access_tokens_of_two_sessions_the_refresh_token_decides(signed_in, user, other):
    for cookies in pairs(ACCESS, signed_in, other):
        assert user_of(*cookies, cookie_of(signed_in, REFRESH)) == str(user.pk)


class TestAServerInBetween:
    """It has refreshed, and passes on the old cookies and the new ones."""

    @pytest.fixture
    def old_and_new(self, clock: Any, signed_in: Client) -> tuple[list[Cookie], list[Cookie]]:
        """Two generations. With one between them, presenting the older one would be taken for theft."""
        old = [cookie_of(signed_in, name) for name in BOTH]
        for _ in range(2):
            clock.forward(EXPIRED)
            who(signed_in)
        return old, [cookie_of(signed_in, name) for name in BOTH]

    def test_is_answered_by_the_new_ones(self, clock, old_and_new, user):
        old, new = old_and_new
        clock.forward(91)
        for cookies in (old + new, new + old):
            assert user_of(*cookies) == str(user.pk)
        clock.forward(EXPIRED)
        for cookies in (old + new, new + old):
            assert send("GET", "/probe/who", *cookies).json()["pk"] == str(user.pk)
        assert RefreshToken.objects.live().get().generation == 3

    def test_has_no_successor_for_the_old_one_alone(self, clock, old_and_new):
        old, new = old_and_new
        clock.forward(91)
        assert user_of(*new) is not None
        clock.forward(EXPIRED)
        assert user_of(*new) is not None
        assert (user_of(*old), RefreshToken.objects.live().exists()) == (None, False)


class TestOfTwoDeviceTokens:
    @pytest.fixture
    def device(self, signed_in: Client, user: Any) -> Callable[..., int]:
        """Sign in with these device cookies, and return the number of devices. It grows if no cookie counts."""

        def sign_in(*texts: str) -> int:
            login(Client(headers={"Cookie": "; ".join(f"{DEVICE}={text}" for text in texts)}), user)
            return Device.objects.filter(user=user).count()

        return sign_in

    def test_the_only_one_of_a_device_counts(self, device, signed_in):
        _, own = cookie_of(signed_in, DEVICE)
        unknown = devices.new_token()
        assert device(own, unknown) == device(unknown, own) == device(own, own) == 1

    def test_none_counts_if_they_are_of_two_devices(self, device, signed_in, other):
        _, own = cookie_of(signed_in, DEVICE)
        assert device(own, other.cookies[DEVICE].value) == 2
        assert device(other.cookies[DEVICE].value, own) == 3

    def test_none_counts_if_the_database_does_not_answer(self, device, signed_in, monkeypatch):
        monkeypatch.setattr(devices, "known_tokens", raising(OperationalError))
        assert device(cookie_of(signed_in, DEVICE)[1], devices.new_token()) == 2

    def test_none_counts_of_many(self, device, signed_in):
        _, own = cookie_of(signed_in, DEVICE)
        assert device(own, *(f"x{n}" for n in range(MOST - 1))) == 1
        assert device(own, *(f"x{n}" for n in range(MOST))) == 2


@pytest.mark.parametrize(("origin", "prefix"), [("https://testserver", "__Host-"), ("http://localhost:8000", "")])
class TestTwoSitesOnOneHost:
    """At two ports. A browser sends both all cookies of the host."""

    @pytest.fixture(autouse=True)
    def _origin(self, settings: Any, origin: str) -> None:
        """Both kinds of origin: over http the names have no prefix, and two sites in development are the usual case."""
        settings.DEBUG, settings.ORIGIN = origin.startswith("http:"), origin

    @pytest.fixture
    def serve(self, settings: Any) -> Callable[[str], None]:
        """A function that switches to the site with this suffix. Both sites have keys of their own."""
        names = ("SECRET_KEY", "SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME")
        own = {name: getattr(settings, name) for name in names}

        def switch(suffix: str) -> None:
            settings.TOKENS = {"COOKIE_SUFFIX": suffix} if suffix else {}
            for name, value in own.items():
                setattr(settings, name, f"{value}-{suffix}" if suffix else value)

        return switch

    def test_keep_their_sessions_apart(self, clock, api, user, serve, prefix):
        names = {f"{prefix}access-shop", f"{prefix and '__Host-Http-'}refresh-shop"}
        login(api, user)
        before, shopper = values_of(api), UserFactory()
        serve("shop")
        assert who(api) is None
        login(api, shopper)
        assert names <= set(api.cookies)
        assert values_of(api, *before) == before
        clock.forward(EXPIRED)
        assert who(api) == str(shopper.pk)
        serve("")
        assert who(api) == str(user.pk)
        serve("shop")
        response = post(api, "/api/auth/logout")
        assert {name for name, cookie in response.cookies.items() if not cookie.value} >= names
        serve("")
        assert who(api) == str(user.pk)
