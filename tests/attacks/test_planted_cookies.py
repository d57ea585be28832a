"""Planted cookies: a script, or a sibling host, puts the attacker's session or device into a visitor's browser.

Since Chromium 140 and Firefox 143 no script can set a cookie whose name begins with ``__Host-Http-`` or ``__Http-``. It
can set the names that the refresh and device cookies had before. A sibling host can set the refresh cookie of mode
``scoped``. `tests.browser.test_cookie_prefixes` does the same in real browsers.
"""

from datetime import timedelta

import pytest
from django.test import Client

from tests.attacks.test_cookie_tossing import SCOPED_REFRESH, cookie_of, in_both_orders, send, user_of
from tests.browsers import ACCESS, DEVICE, REFRESH, login, new_browser, post
from tests.factories import UserFactory
from tests.tokens.devices import OFFERED
from tests.tokens.devices import Device as BoundBrowser
from tests.tokens.web.old_names import OLD_DEVICE, OLD_REFRESH, OLD_SCOPED_REFRESH, old_browser, writes
from tests.tokens.web_steps import EXPIRED, cleared, set_by, signed_in_as
from tokens.models import Device, RefreshToken
from tokens.service import devices

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls("tests.urls")]

__all__ = ["old_browser", "writes"]

ME, REFRESH_PATH, LOGOUT = "/api/auth/me", "/api/auth/refresh", "/api/auth/logout"
LONGEST = timedelta(days=30).total_seconds()
"""The default of ABSOLUTE_LIFETIME, in seconds."""
DAY = 86400.0


@pytest.fixture
def old_attacker(writes) -> Client:
    """An attacker who signed in before the new names were written, and has not used the session since."""
    writes(False)
    browser = signed_in_as(UserFactory(email="attacker@example.org"), remember=True)
    writes(True)
    return browser


@pytest.fixture
def attacker() -> Client:
    """An attacker who signed in after that. With `old_attacker` only, a rule that accepts every old name would pass."""
    return signed_in_as(UserFactory(email="attacker@example.org"), remember=True)


class TestTheOldRefreshName:
    """Of cookies with the old name, only those count that were set before the new name was written."""

    def test_counts_for_a_session_opened_before_until_the_longest_lifetime_has_passed(
        self, clock, old_attacker, writes
    ):
        writes(True, IDLE_LIFETIME=int(2 * LONGEST))
        RefreshToken.objects.update(idle_expires_at=RefreshToken.objects.get().expires_at)
        planted = cookie_of(old_attacker, OLD_REFRESH)
        clock.forward(LONGEST - 1)
        assert user_of(planted) is not None
        clock.forward(1)
        assert user_of(planted) is None

    def test_does_not_count_for_a_session_opened_after(self, attacker):
        planted = (OLD_REFRESH, attacker.cookies[REFRESH].value)
        assert user_of(planted) is None
        answer = send("POST", REFRESH_PATH, planted)
        assert (answer.status_code, cleared(answer) >= {OLD_REFRESH}) == (401, True)
        assert user_of(cookie_of(attacker, REFRESH)) is not None

    def test_does_not_count_after_the_session_has_got_the_new_name(self, clock, old_attacker):
        clock.forward(EXPIRED)
        post(old_attacker, REFRESH_PATH)
        assert user_of((OLD_REFRESH, old_attacker.cookies[REFRESH].value)) is None

    @pytest.mark.parametrize("mode", ["cookie", "body"])
    def test_does_not_count_for_what_any_sign_in_gives_out_now(self, api, user, writes, mode):
        writes(True, MODES=["cookie", "body"])
        answer = login(api, user, mode=mode)
        token = answer["refresh_token"] if mode == "body" else api.cookies[REFRESH].value
        assert user_of((OLD_REFRESH, token)) is None

    def test_does_not_count_beside_the_new_name(self, clock, signed_in, user, old_attacker):
        clock.forward(EXPIRED)
        planted, own = cookie_of(old_attacker, OLD_REFRESH), cookie_of(signed_in, REFRESH)
        for cookies in in_both_orders(planted, own):
            assert user_of(*cookies) == str(user.pk)
        assert user_of(planted, (REFRESH, "garbage")) is None

    def test_counts_beside_an_empty_cookie_of_the_new_name(self, old_browser, user):
        """A proxy that has applied a deletion to the request's cookies leaves an empty one."""
        assert user_of((REFRESH, ""), cookie_of(old_browser, OLD_REFRESH)) == str(user.pk)

    def test_is_deleted_by_the_next_sign_in(self, old_attacker, user):
        victim = new_browser({OLD_REFRESH: old_attacker.cookies[OLD_REFRESH].value})
        login(victim, user)
        assert victim.cookies[OLD_REFRESH].value == ""


class TestTheOldDeviceName:
    def test_of_a_device_created_after_is_ignored(self, signed_in, user):
        copy = new_browser({OLD_DEVICE: signed_in.cookies[DEVICE].value})
        login(copy, user)
        assert Device.objects.filter(user=user).count() == 2

    def test_never_gives_a_user_the_device_of_another(self, old_attacker, user):
        """Otherwise the attacker would know the token of the user's device from then on."""
        victim = new_browser({OLD_DEVICE: old_attacker.cookies[OLD_DEVICE].value})
        login(victim, user)
        assert victim.cookies[DEVICE].value != old_attacker.cookies[OLD_DEVICE].value
        known_to_attacker = devices.digest_of(old_attacker.cookies[OLD_DEVICE].value)
        assert bytes(Device.objects.get(user=user).token_digest) != known_to_attacker

    @pytest.mark.parametrize(("days", "throttled"), [(399, False), (400, True)], ids=["399 days", "400 days"])
    def test_has_a_budget_of_its_own_for_400_days(self, clock, monkeypatch, writes, old_browser, user, days, throttled):
        monkeypatch.delenv("TOKENS_THROTTLES")
        writes(True, THROTTLES={"sign_in_account": "1/h"})
        del old_browser.cookies[OLD_REFRESH], old_browser.cookies[ACCESS]
        clock.forward(days * DAY)
        wrong = {"email": user.email, "password": "a wrong password"}
        assert post(Client(), "/api/auth/login", wrong).status_code == 401
        assert post(Client(), "/api/auth/login", wrong).status_code == 429
        assert post(old_browser, "/api/auth/login", wrong).status_code == (429 if throttled else 401)


@pytest.fixture
def owner(writes, api, user) -> Client:
    """A browser in mode ``scoped``. In mode ``cookie`` no sibling host can set a cookie of the same name."""
    writes(True, MODES=["scoped"])
    login(api, user)
    return api


def sent_by(browser: Client) -> list[tuple[str, str]]:
    """Return the cookies that this browser sends to the auth API when its access cookie is missing."""
    return [
        cookie_of(browser, name) for name in (SCOPED_REFRESH, OLD_SCOPED_REFRESH, DEVICE) if name in browser.cookies
    ]


class TestASiblingHostInModeScoped:
    """A sibling host can set ``__Http-refresh`` for the whole site. It cannot set or read ``__Host-…``."""

    @pytest.fixture
    def tossed(self, owner, attacker) -> tuple[str, str]:
        """The refresh cookie of the attacker's own session. A token that is not valid would be refused in any case."""
        return cookie_of(attacker, SCOPED_REFRESH)

    @pytest.mark.parametrize("method_and_path", [("POST", REFRESH_PATH), ("GET", ME)], ids=["refresh", "me"])
    @pytest.mark.parametrize("name", [SCOPED_REFRESH, OLD_SCOPED_REFRESH])
    def test_signs_no_visitor_in(self, owner, tossed, method_and_path, name):
        visitor_device = (DEVICE, "a device that is not the attacker's")
        for cookies in [(tossed,), (tossed, visitor_device), (tossed, cookie_of(owner, DEVICE))]:
            planted = [(name, value) if key == SCOPED_REFRESH else (key, value) for key, value in cookies]
            answer = send(*method_and_path, *planted)
            assert (answer.status_code, set_by(answer)) == (401, set())
        assert {row.generation for row in RefreshToken.objects.all()} == {0}

    @pytest.mark.parametrize("copies", [1, 5], ids=["one cookie", "five cookies"])
    def test_does_not_keep_the_owner_out(self, clock, owner, tossed, copies):
        for _ in range(3):
            clock.forward(EXPIRED)
            for cookies in in_both_orders(tossed, cookie_of(owner, SCOPED_REFRESH)):
                answer = send("POST", REFRESH_PATH, *[tossed] * (copies - 1), *cookies, cookie_of(owner, DEVICE))
                assert answer.status_code == 200
                owner.cookies.update(answer.cookies)

    @pytest.mark.parametrize("garbage", ["garbage", "latchkey_rt_" + "A" * 75], ids=["a word", "an unknown key"])
    def test_does_not_keep_the_owner_out_with_garbage(self, owner, garbage):
        for cookies in in_both_orders((SCOPED_REFRESH, garbage), cookie_of(owner, SCOPED_REFRESH)):
            assert send("POST", REFRESH_PATH, *cookies, cookie_of(owner, DEVICE)).status_code == 200

    def test_does_not_keep_an_owner_out_whose_cookie_still_has_the_old_name(self, writes, user, attacker):
        writes(False, MODES=["scoped"])
        owner = signed_in_as(user)
        writes(True, MODES=["scoped"])
        login(attacker, UserFactory())
        own = cookie_of(owner, OLD_SCOPED_REFRESH), cookie_of(owner, OLD_DEVICE)
        answer = send("POST", REFRESH_PATH, cookie_of(attacker, SCOPED_REFRESH), *own)
        assert (answer.status_code, set_by(answer)) == (200, {ACCESS, SCOPED_REFRESH, DEVICE})
        assert cleared(answer) == {OLD_SCOPED_REFRESH, OLD_DEVICE}

    def test_does_not_delete_the_cookies_of_the_owner(self, owner, tossed):
        for path in (REFRESH_PATH, ME):
            answer = send("POST" if path == REFRESH_PATH else "GET", path, tossed, cookie_of(owner, DEVICE))
            assert (answer.status_code, answer.cookies) == (401, {})

    def test_cannot_keep_the_owner_from_signing_out(self, owner, tossed, user):
        send("POST", LOGOUT, tossed, *sent_by(owner))
        assert RefreshToken.objects.get(user=user).revoked_reason == "signed_out"

    def test_is_ignored_outside_of_the_auth_api(self, clock, owner, tossed):
        assert user_of(tossed, *sent_by(owner)) is None
        assert RefreshToken.objects.get(user__email="attacker@example.org").generation == 0

    def test_the_device_cookie_outlives_the_session(self, clock, owner, user):
        """A device is recognised at the next sign-in, and gets no new token. Its cookie is set again."""
        device = owner.cookies[DEVICE].value
        clock.forward(399 * DAY)
        login(owner, user)
        assert (owner.cookies[DEVICE].value, owner.cookies[DEVICE]["max-age"]) == (device, 400 * DAY)

    def test_a_planted_old_device_cookie_does_not_fit_after_400_days(self, clock, writes, owner):
        """A script plants the old device cookie, and a sibling host the refresh cookie of that device."""
        writes(False, MODES=["scoped"])
        attacker = signed_in_as(UserFactory())
        writes(True, MODES=["scoped"])
        for days, status in [(399, 200), (2, 401)]:
            clock.forward(days * DAY)
            device = cookie_of(attacker, OLD_DEVICE)
            user = RefreshToken.objects.filter(device__token_digest=devices.digest_of(device[1])).first().user
            fresh = Client(headers={"Cookie": f"{DEVICE}={device[1]}"})
            login(fresh, user)
            assert send("POST", REFRESH_PATH, cookie_of(fresh, SCOPED_REFRESH), device).status_code == status


class TestASessionThatIsBound:
    """A bound session has no refresh cookie. So every refresh cookie beside it is planted, or was left behind."""

    def test_is_refreshed_by_its_client_although_a_sibling_host_has_set_a_refresh_cookie(self, api, user, settings):
        settings.TOKENS = {**OFFERED, "MODES": ["scoped"]}
        attacker = signed_in_as(UserFactory())
        BoundBrowser(api).bind(user)
        cookies = [cookie_of(attacker, SCOPED_REFRESH), cookie_of(api, ACCESS), cookie_of(api, DEVICE)]
        answer = send("POST", REFRESH_PATH, *cookies)
        assert (answer.status_code, answer.json()["user"]["id"]) == (200, str(user.pk))

    def test_loses_a_refresh_cookie_of_the_old_name_that_was_left_behind(self, api, user, writes):
        writes(False, **OFFERED)
        bound = BoundBrowser(api).sign_in(user)
        left_behind = api.cookies[OLD_REFRESH].value
        bound.register()
        assert OLD_REFRESH in cleared(bound.refresh())
        writes(True, **OFFERED)
        api.cookies[OLD_REFRESH] = left_behind
        bound.lose_access()
        assert {OLD_REFRESH, REFRESH} <= cleared(bound.refresh())
