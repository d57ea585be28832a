"""Device cookies in the hands of a stranger: how many guesses they bring, and what ends that.

At most five devices of an account have a budget of their own for wrong passwords. The others share the account's.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.links import Purpose
from tests.accounts.steps import DAY, NEW_PASSWORD, ask, reset_password
from tests.browsers import ACCESS, DEVICE, REFRESH, browser_at, login
from tests.factories import PASSWORD, UserFactory, link_token
from tokens.models import Device

pytestmark = [pytest.mark.django_db, pytest.mark.long, pytest.mark.at_length_on("sqlite")]

LIMIT, PERIOD = 10, 900
"""The default limit: a number of wrong passwords, and a period in seconds. An account or a device has it."""
ATTEMPTS_OF_A_DEVICE = 20
OWN = 5
"""How many devices have a budget of their own."""


def sign_in(browser: Client, user: Any, password: str = PASSWORD) -> int:
    data = {"email": user.email, "password": password}
    return int(ask(browser, "login", data).status_code)


def guess(user: Any, browser: Client | None = None, times: int = LIMIT) -> list[int]:
    """Send wrong passwords, each from another network unless a browser is given."""
    return [sign_in(browser or browser_at(f"198.51.{n}.7"), user, f"guess {n}") for n in range(times)]


def copy_of(browser: Client, address: str = "203.0.113.1") -> Client:
    """Return the browser of a thief, somewhere else, who has copied only the device cookie."""
    return browser_at(address, {DEVICE: browser.cookies[DEVICE].value})


def reset(browser: Client, user: Any, password: str = PASSWORD) -> None:
    user.refresh_from_db()
    assert reset_password(browser, link_token(Purpose.PASSWORD_RESET, user), password).status_code == 204


@pytest.fixture(autouse=True)
def _on(throttled: Any, clock: Any) -> None:
    """Switches throttles on, by a clock that stands still. Otherwise a period that ends meanwhile fails a test."""


@pytest.fixture
def devices(user: Any, clock: Any) -> list[Client]:
    """Six signed-out browsers of the user, in the order of their sign-ins. With five none would share a budget."""
    found = [browser_at(f"192.0.{number}.1") for number in range(OWN + 1)]
    for browser in found:
        assert sign_in(browser, user) == 200
    for browser in found:
        ask(browser, "logout")
    return found


def with_own_budget(browsers: list[Client], user: Any) -> list[int]:
    """Return which of these browsers get in while strangers try passwords."""
    guess(user)
    return [number for number, browser in enumerate(browsers) if sign_in(copy_of(browser), user, "wrong") == 401]


class TestWhichDevicesHaveABudgetOfTheirOwn:
    def test_they_are_the_five_that_signed_in_last(self, devices, user):
        assert with_own_budget(devices, user) == [1, 2, 3, 4, 5]

    def test_a_sign_in_on_another_device_takes_the_place_of_the_one_unused_for_longest(self, devices, user):
        assert sign_in(devices[0], user) == 200
        assert with_own_budget(devices, user) == [0, 2, 3, 4, 5]

    def test_a_session_brings_no_budget_to_a_device_that_has_none(self, devices, user):
        for browser in devices:
            login(browser, user)
        guess(user)
        found = [ask(browser, "reauthenticate", {"password": "wrong"}).status_code for browser in devices]
        assert found == [429] + [401] * OWN

    def test_all_others_share_the_budget_of_the_account(self, devices, user):
        first = copy_of(devices[0])
        assert guess(user, first) == [401] * LIMIT
        assert sign_in(browser_at("198.51.99.7"), user) == 429
        assert sign_in(devices[1], user) == 200

    def test_guesses_with_six_cookies_are_ten_for_each_of_five_and_ten_for_all_others(self, devices, user):
        accepted = [guess(user, copy_of(browser), LIMIT + 2).count(401) for browser in devices]
        assert (accepted, guess(user, times=1)) == ([LIMIT] * (OWN + 1), [429])

    def test_devices_of_another_user_take_no_place(self, devices, user):
        other = UserFactory()
        for browser in devices:
            assert sign_in(browser, other) == 200
        assert with_own_budget(devices, user) == [1, 2, 3, 4, 5]

    def test_for_a_day_a_new_device_does_not_take_the_place_of_an_older_one(self, devices, user, clock):
        clock.forward(2 * DAY)
        for browser in devices[1:]:
            assert sign_in(browser, user) == 200
        new = [browser_at(f"192.1.{number}.1") for number in range(OWN)]
        for browser in new:
            assert [sign_in(browser, user) for _ in range(2)] == [200, 200]
        assert with_own_budget([*devices, *new], user) == [1, 2, 3, 4, 5]
        clock.forward(DAY)
        assert [sign_in(browser, user) for browser in new] == [200] * OWN
        assert with_own_budget([*devices, *new], user) == [6, 7, 8, 9, 10]


def test_the_network_counts_wrong_passwords_of_known_devices_too_and_does_not_close_them(devices, user, throttled):
    throttled(sign_in_network="5/h")
    assert guess(user, copy_of(devices[5]), 5) == [401] * 5
    assert sign_in(browser_at("203.0.113.2"), UserFactory()) == 429
    assert sign_in(copy_of(devices[5]), user) == 200


class TestAThiefWhoKnowsThePassword:
    """It is not possible to keep the owner's device out, whatever the thief does with an old device's cookie."""

    def test_cannot_keep_the_owners_own_device_out(self, user, clock):
        owner, old = browser_at("192.0.2.1"), browser_at("192.0.2.2")
        for browser in (owner, old):
            assert sign_in(browser, user) == 200
        ask(owner, "logout")
        clock.forward(2 * DAY)
        assert sign_in(owner, user) == 200
        ask(owner, "logout")
        for _ in range(2):
            for number in range(ATTEMPTS_OF_A_DEVICE + 1):
                sign_in(copy_of(old), user)
                sign_in(browser_at(f"203.0.{number}.1"), user)  # As a new device, in another network each time.
            tried = sign_in(copy_of(old), user), *guess(user, copy_of(old), 1), guess(user, times=LIMIT + 1)[-1]
            assert tried == (429, 429, 429)
            assert sign_in(owner, user) == 200
            clock.forward(PERIOD)

    def test_who_has_the_owners_cookie_cannot_keep_out_an_owner_who_resets_the_password(self, devices, user):
        owner = devices[5]
        guess(user, copy_of(owner))
        assert sign_in(owner, user) == 429
        reset(owner, user, NEW_PASSWORD)
        assert sign_in(owner, user, NEW_PASSWORD) == 200

    def test_in_the_owners_network_cannot_use_up_what_the_next_reset_allows(self, user):
        owner, thief = browser_at("192.0.2.1"), browser_at("192.0.2.2")
        for _ in range(2):
            guess(user)
            reset(owner, user)
            assert guess(user, thief) == [401] * LIMIT
        assert sign_in(owner, user) == 429
        reset(owner, user)
        assert sign_in(owner, user) == 200


ASKS = {
    "reauthenticate": {"password": "wrong"},
    "password/change": {"current_password": "wrong", "new_password": NEW_PASSWORD},
    "email/change": {"current_password": "wrong", "email": "thief@example.org"},
}
"""Endpoints that ask a signed-in user for the password again."""


class TestAThiefWhoHasSeenAnAccessToken:
    """Services and other hosts see it. They have neither the device cookie nor a refresh token."""

    @pytest.mark.parametrize("mode", ["cookie", "scoped", "subdomain", "body"])
    @pytest.mark.parametrize("path", ASKS)
    def test_shares_the_guesses_of_all_strangers_and_does_not_keep_the_owners_device_out(
        self, user, settings, path, mode
    ):
        settings.TOKENS = {"MODES": [mode], "COOKIE_DOMAIN": "testserver"}
        owner = browser_at("192.0.2.1")
        answer = login(owner, user)
        name = "__Secure-access" if mode == "subdomain" else ACCESS
        access = answer["access_token"] if mode == "body" else owner.cookies[name].value
        found = [
            ask(browser_at(f"198.51.{n}.7"), path, ASKS[path], Authorization=f"Bearer {access}").status_code
            for n in range(LIMIT + 1)
        ]
        assert (found, guess(user, times=1)) == ([401] * LIMIT + [429], [429])
        device = {"device_token": answer["device_token"]} if mode == "body" else {}
        assert ask(owner, "login", {"email": user.email, "password": PASSWORD, **device}).status_code == 200

    def test_on_the_page_that_asks_again(self, user):
        owner = browser_at("192.0.2.1")
        login(owner, user)
        for number in range(LIMIT):
            thief = browser_at(f"198.51.{number}.7", {ACCESS: owner.cookies[ACCESS].value})
            assert thief.post("/sign-in/again", {"current_password": "wrong"}).status_code == 200
        assert owner.post("/sign-in/again", {"current_password": PASSWORD}).status_code == 302


def raise_alarm(browser: Client, user: Any) -> None:
    assert browser.post("/alarm", {"token": link_token(Purpose.ALARM, user)}).status_code == 200


def signed_in(do: Callable[[Client], Any]) -> Callable[[Client, Any], None]:
    """Return a function that does this while the user is signed in, and signs out."""

    def run(browser: Client, user: Any) -> None:
        login(browser, user)
        assert do(browser).status_code in {204, 302}
        ask(browser, "logout")

    return run


def change_password(browser: Client) -> Any:
    """Change the password, and change it back."""
    for old, new in ((PASSWORD, NEW_PASSWORD), (NEW_PASSWORD, PASSWORD)):
        answer = ask(browser, "password/change", {"current_password": old, "new_password": new})
    return answer


ENDS: dict[str, Callable[[Client, Any], None]] = {
    "the alarm": raise_alarm,
    "a reset": reset,
    "ending the other sessions": signed_in(lambda browser: browser.delete("/api/auth/sessions")),
    "ending the other sessions on the page": signed_in(lambda browser: browser.post("/sessions/end-others")),
    "a change of the password": signed_in(change_password),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
class TestForgetting:
    def test_leaves_a_stranger_with_the_old_cookies_the_guesses_of_the_account_and_no_more(self, devices, user, end):
        end(devices[2], user)
        strangers = [copy_of(browser) for number, browser in enumerate(devices) if number != 2]
        accepted = [guess(user, stranger, LIMIT + 2).count(401) for stranger in strangers]
        assert accepted == [LIMIT, 0, 0, 0, 0]

    def test_keeps_the_device_on_which_it_was_done(self, devices, user, end):
        end(devices[2], user)
        guess(user)
        assert sign_in(devices[2], user) == 200
        assert Device.objects.filter(user=user, forgotten=False).count() == 1

    def test_makes_the_next_sign_in_one_on_a_new_device_which_is_reported(
        self, devices, user, end, mailoutbox, django_capture_on_commit_callbacks
    ):
        old = devices[4].cookies[DEVICE].value
        end(devices[2], user)
        mailoutbox.clear()
        with django_capture_on_commit_callbacks(execute=True):
            assert sign_in(devices[4], user) == 200
        assert devices[4].cookies[DEVICE].value != old
        assert [message.subject for message in mailoutbox] == ["A new device signed in"]
        # A copy of the old cookie stays useless, also now that the browser has signed in again.
        guess(user)
        assert sign_in(browser_at("203.0.113.1", {DEVICE: old}), user) == 429
        assert sign_in(devices[4], user) == 200

    def test_leaves_the_devices_of_other_users_alone(self, devices, user, end):
        other = UserFactory()
        assert sign_in(devices[0], other) == 200
        end(devices[2], user)
        guess(other)
        assert sign_in(devices[0], other) == 200

    def test_does_not_let_a_late_response_sign_out_who_has_signed_in_again(self, user, end):
        """The browser sends its old cookies. While it waits for the response, the user signs in again in it."""
        here, there = browser_at("192.0.2.1"), browser_at("192.0.2.2")
        for browser in (here, there):
            login(browser, user)
        del here.cookies[ACCESS]  # It has expired.
        late = browser_at("192.0.2.1", {name: morsel.value for name, morsel in here.cookies.items()})
        end(there, user)
        login(here, user)
        assert not {ACCESS, REFRESH} & set(late.get("/api/auth/me").cookies)

    def test_lets_a_sign_in_of_another_user_of_the_browser_end_the_former_ones_session(self, user, end):
        here, there, other = browser_at("192.0.2.1"), browser_at("192.0.2.2"), UserFactory()
        for browser in (here, there):
            login(browser, user)
        end(there, user)
        login(here, other)
        before = browser_at("192.0.2.1", {name: morsel.value for name, morsel in here.cookies.items()})
        assert before.get("/api/auth/me").status_code == 200
        login(here, user)
        assert ask(before, "refresh").status_code == 401
