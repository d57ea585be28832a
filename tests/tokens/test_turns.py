"""Who may wait for the hasher: at most one request for each account, and at most one from each network."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.test import Client, RequestFactory

from tests.accounts.steps import ask
from tests.browsers import DEVICE, browser_at, login
from tests.factories import PASSWORD, UserFactory
from tokens import hashers
from tokens.hashers import PLACES, Asker, Busy, Turns, hashing_for, turns

DEADLINE, LONG = 30.0, 600.0
"""Seconds: after which a test that would wait forever fails, and longer than a test lasts."""


class Requests:
    """Requests that hash a password, each in a thread of its own, and what has become of them, in order."""

    def __init__(self, ours: Turns) -> None:
        self.ours, self.outcomes = ours, SimpleQueue[tuple[str, Asker]]()
        self._threads: list[Thread] = []

    def arrives(self, account: str = "", network: str = "") -> bool:
        """Let a request arrive. Return whether it waits. The thread has then taken its place."""
        asker, refused, before = Asker(account, network), Event(), len(self.ours._waiting)

        def hash_a_password() -> None:
            try:
                with hashing_for(asker), self.ours.turn():
                    self.outcomes.put(("had a turn", asker))
            except Busy:
                refused.set()

        thread = Thread(target=hash_a_password)
        thread.start()
        self._threads.append(thread)
        while len(self.ours._waiting) == before and thread.is_alive():
            refused.wait(0.001)
        return not refused.is_set()

    def leaves(self) -> list[Asker]:
        """Wait until all have left. Return who had a turn, in order."""
        for thread in self._threads:
            thread.join(DEADLINE)
        return [self.outcomes.get_nowait()[1] for _ in range(self.outcomes.qsize())]


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Requests:
    """Requests in front of one turn. With a short patience, requests would leave before the test has seen them wait."""
    monkeypatch.setattr(hashers, "PATIENCE", LONG)
    return Requests(Turns(1))


class TestOfTheRequestsThatWait:
    def test_one_is_for_the_same_account_and_one_from_the_same_network(self, requests):
        with requests.ours.turn():
            assert requests.arrives("ada", "192.0.2.0/24")
            assert not requests.arrives("ada", "198.51.100.0/24")
            assert not requests.arrives("bob", "192.0.2.0/24")
            assert requests.arrives("bob", "198.51.100.0/24")
        assert [asker.account for asker in requests.leaves()] == ["ada", "bob"]

    def test_who_runs_may_also_wait_once(self, requests):
        with hashing_for(Asker("ada", "192.0.2.0/24")), requests.ours.turn():
            assert requests.arrives("ada", "192.0.2.0/24")
            assert not requests.arrives("ada", "192.0.2.0/24")
        assert len(requests.leaves()) == 1

    def test_several_others_have_a_place_beside_an_attacker(self, requests):
        with requests.ours.turn():
            found = [requests.arrives(f"user {number}", f"192.0.{number}.0/24") for number in range(PLACES + 1)]
        assert found == [True] * PLACES + [False]
        assert len(requests.leaves()) == PLACES

    def test_those_of_whom_nothing_is_known_wait_beside_them(self, requests):
        with requests.ours.turn():
            for number in range(PLACES):
                assert requests.arrives(f"user {number}", f"192.0.{number}.0/24")
            assert [requests.arrives(), requests.arrives()] == [True, False]
        assert len(requests.leaves()) == PLACES + 1

    def test_as_many_of_those_wait_as_there_are_turns_and_further_ones_are_refused(self, requests):
        requests.ours = Turns(2)
        with requests.ours.turn(), requests.ours.turn():
            assert [requests.arrives() for _ in range(5)] == [True, True, False, False, False]
        assert len(requests.leaves()) == 2

    def test_the_first_to_come_is_the_first_to_run(self, requests):
        names = [f"user {number}" for number in range(PLACES)]
        with requests.ours.turn():
            for name in names:
                assert requests.arrives(name)
        assert [asker.account for asker in requests.leaves()] == names

    def test_a_place_is_free_again_after_the_turn(self, requests):
        for _ in range(3):
            with requests.ours.turn():
                assert requests.arrives("ada", "192.0.2.0/24")
            assert len(requests.leaves()) == 1
            requests._threads.clear()

    def test_who_has_lost_patience_leaves_no_place_taken(self, monkeypatch):
        monkeypatch.setattr(hashers, "PATIENCE", 0)
        ours = Turns(1)
        with ours.turn():
            for _ in range(3):
                with pytest.raises(Busy), hashing_for(Asker("ada", "192.0.2.0/24")), ours.turn():
                    pass
            assert not ours._waiting
        with ours.turn():
            pass


@contextmanager
def occupied(asker: Asker) -> Iterator[None]:
    """Within, the only turn is taken, and a request of ``asker`` waits behind it."""
    requests = Requests(turns())
    with ExitStack() as stack:
        stack.callback(requests.leaves)
        stack.enter_context(turns().turn())
        assert requests.arrives(*asker)
        yield


def sign_in(browser: Client, email: str, password: str = PASSWORD) -> int:
    return int(ask(browser, "login", {"email": email, "password": password}).status_code)


HERE, THERE = "192.0.2.0/24", "198.51.100.0/24"
AT_HERE, AT_THERE = "192.0.2.1", "198.51.100.1"
NOBODY = "nobody@example.org"


@pytest.mark.django_db
@pytest.mark.at_length_on("sqlite")
class TestASignIn:
    @pytest.fixture(autouse=True)
    def _one_turn(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Leaves one turn. A request that would wait is refused after a moment, and not after the test's end."""
        settings.TOKENS = {"MAX_HASHINGS": 1}
        monkeypatch.setattr(hashers, "PATIENCE", LONG)

    @pytest.mark.parametrize("spelling", [str, str.upper], ids=["same spelling", "another spelling"])
    @pytest.mark.parametrize("is_known", [True, False], ids=["an account", "no account"])
    def test_is_refused_while_another_for_the_same_account_waits(self, user, spelling, is_known):
        email = user.email if is_known else NOBODY
        with occupied(Asker(email, HERE)):
            assert sign_in(browser_at(AT_THERE), spelling(email)) == 503

    @pytest.mark.parametrize("is_known", [True, False], ids=["an account", "no account"])
    def test_is_refused_while_another_from_the_same_network_waits(self, user, is_known):
        with occupied(Asker("somebody@example.org", HERE)):
            assert sign_in(browser_at(AT_HERE), user.email if is_known else NOBODY) == 503

    def test_waits_beside_one_for_another_account_from_another_network(self, user):
        done: SimpleQueue[Any] = SimpleQueue()
        request = RequestFactory(REMOTE_ADDR=AT_THERE).post("/")

        def try_it() -> None:
            with hashing_for(Asker(user.email, THERE)):
                done.put(user.check_password(PASSWORD))

        with occupied(Asker("somebody@example.org", HERE)):
            thread = Thread(target=try_it)
            thread.start()
            while len(turns()._waiting) < 2:
                thread.join(0.001)
        thread.join(DEADLINE)
        assert done.get_nowait()
        assert authenticate(request, username=user.email, password=PASSWORD) == user


@pytest.mark.django_db
@pytest.mark.at_length_on("sqlite")
class TestARequestWithoutAPlace:
    @pytest.fixture(autouse=True)
    def _on(self, throttled: Callable[..., None], clock: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Switches throttles on, and leaves one turn. Nobody waits for it, so that each request is refused at once."""
        monkeypatch.setattr(hashers, "PATIENCE", 0)
        throttled(sign_in_network="3/h")
        settings.TOKENS = {**settings.TOKENS, "MAX_HASHINGS": 1}

    def test_counts_in_the_networks_throttle(self, user):
        with turns().turn():
            found = [sign_in(browser_at(AT_HERE), f"{number}@example.org") for number in range(4)]
        assert found == [503] * 3 + [429]
        assert sign_in(browser_at(AT_HERE), user.email) == 429
        assert sign_in(browser_at(AT_THERE), user.email) == 200

    def test_of_a_known_device_counts_too_and_is_not_closed_by_it(self, user):
        owner = browser_at(AT_HERE)
        login(owner, user)
        with turns().turn():
            assert [sign_in(owner, user.email) for _ in range(4)] == [503] * 4
        assert (sign_in(browser_at(AT_HERE), UserFactory().email), sign_in(owner, user.email)) == (429, 200)
        assert owner.cookies[DEVICE].value

    def test_counts_as_no_wrong_password_of_the_account(self, user, throttled, settings):
        throttled(sign_in_account="1/h")
        settings.TOKENS = {**settings.TOKENS, "MAX_HASHINGS": 1}
        with turns().turn():
            assert [sign_in(browser_at(AT_HERE), user.email) for _ in range(3)] == [503] * 3
        assert sign_in(browser_at(AT_HERE), user.email) == 200


@pytest.mark.django_db
@pytest.mark.at_length_on("sqlite")
class TestGoodSignIns:
    @pytest.fixture(autouse=True)
    def _on(self, throttled: Callable[..., None], clock: Any) -> None:
        """Switches throttles on, by a clock that stands still."""
        throttled(attempts_account="3/h", attempts_device="2/h", attempts_network="5/h")

    def test_are_limited_for_an_account(self, user):
        given = {"email": user.email, "password": PASSWORD}
        found = [ask(browser_at(f"198.51.{n}.7"), "login", given) for n in range(4)]
        assert [answer.status_code for answer in found] == [200] * 3 + [429]
        assert found[3].json()["detail"] == "Too many requests. Wait a while, and try again."

    def test_are_limited_for_a_device(self, user):
        owner = browser_at(AT_HERE)
        assert [sign_in(owner, user.email) for _ in range(4)] == [200] * 3 + [429], "The first is on an unknown device."
        assert sign_in(browser_at(AT_THERE), user.email) == 200

    def test_are_limited_for_a_network(self, db):
        assert [sign_in(browser_at(AT_HERE), UserFactory().email) for _ in range(6)] == [200] * 5 + [429]
        assert sign_in(browser_at(AT_THERE), UserFactory().email) == 200

    def test_of_a_known_device_are_not_limited_for_the_network(self, user):
        owner = browser_at(AT_HERE)
        login(owner, user)
        for _ in range(4):
            sign_in(browser_at(AT_HERE), UserFactory().email)
        assert (sign_in(browser_at(AT_HERE), UserFactory().email), sign_in(owner, user.email)) == (429, 200)

    def test_end_nothing_else_and_are_allowed_again_later(self, user, clock):
        for _ in range(4):
            sign_in(browser_at(AT_HERE), user.email)
        clock.forward(7200)
        assert sign_in(browser_at(AT_HERE), user.email) == 200


@pytest.mark.long
@pytest.mark.django_db
@pytest.mark.only_on("postgresql")
def test_two_hundred_users_of_one_network_sign_in_within_ten_minutes(throttled, clock):
    """One in ten mistypes the password once."""
    for number in range(200):
        user, browser = UserFactory(), browser_at(f"192.0.2.{number + 1}")
        if number % 10 == 0:
            assert sign_in(browser, user.email, "mistyped") == 401
        assert sign_in(browser, user.email) == 200
        clock.forward(3)
