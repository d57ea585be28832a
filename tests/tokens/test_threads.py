"""What a process keeps in memory is used by many threads: nothing is lost, counted twice or made twice.

The interpreter changes threads as often as it can here. In Python without a global lock they run at the same time.
"""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier, Thread
from time import sleep
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.dispatch import Signal

from tests.tokens.protocol.jws import NOW, minted
from tests.tokens.protocol.test_access_tokens import a_codec
from tokens import hashers
from tokens.hashers import Turns
from tokens.protocol.bounded_cache import OVERHEAD, SHARE, BoundedCache
from tokens.service import acknowledgements, revocation_feed, throttles
from tokens.service.revocation_feed import RevocationFeed
from tokens.service.throttles import Tally

THREADS = 8
BLOCKED = 0.2
"""Seconds after which a thread that has not gone on counts as one that waits for a lock."""


@pytest.fixture(autouse=True)
def _changing_often() -> Iterator[None]:
    """Lets threads take turns each microsecond. With the usual five milliseconds, most races would go unnoticed."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def at_once(work: Callable[[int], Any], threads: int = THREADS) -> list[Any]:
    """Call ``work`` with a number in so many threads that begin at the same time. Return the results."""
    start = Barrier(threads)

    def run(number: int) -> Any:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


class Interrupted(int):
    """A number. When it is compared, hashed or tested, another thread runs, unless a lock makes that thread wait."""

    thread: Thread | None = None
    spared = 0
    """How many times nothing happens first."""

    def _interrupt(self) -> None:
        if self.thread is None or self.thread.ident:
            return
        if self.spared:
            self.spared -= 1
            return
        self.thread.start()
        self.thread.join(BLOCKED)

    def __gt__(self, other: int) -> bool:
        result = super().__gt__(other)
        self._interrupt()
        return result

    def __eq__(self, other: object) -> bool:
        result = super().__eq__(other)
        self._interrupt()
        return result

    def __bool__(self) -> bool:
        result = int(self) > 0
        self._interrupt()
        return result

    def __hash__(self) -> int:
        self._interrupt()
        return super().__hash__()


class TestACache:
    def test_counts_an_entry_once_that_two_threads_put(self):
        ours: BoundedCache[int, int] = BoundedCache(SHARE * (OVERHEAD + 100))
        key = Interrupted(1)
        key.thread, key.spared = Thread(target=ours.put, args=(1, 1, 100)), 1  # After it was found missing.
        ours.put(key, 1, 100)
        key.thread.join()
        assert (ours._used, ours._sizes) == (OVERHEAD + 100, {1: OVERHEAD + 100})

    def test_keeps_within_its_budget(self):
        ours: BoundedCache[int, int] = BoundedCache(SHARE * (OVERHEAD + 100))

        def work(number: int) -> None:
            for place in range(1500):
                key = place * (number % 2 + 1)  # Some keys are put by several threads.
                ours.put(key, key, 50 + place % 50)
                assert ours.get(key) in {key, None}

        at_once(work)
        assert ours._used == sum(ours._sizes.values()) <= ours._budget
        assert ours._entries.keys() == ours._sizes.keys()


def test_a_codec_verifies_the_tokens_of_many_threads():
    codec = a_codec()
    texts = [minted(codec, extra={"n": number}) for number in range(20)]

    def work(number: int) -> list[Any]:
        return [codec.loads(text, NOW).claims["n"] for _ in range(5) for text in texts]

    assert at_once(work) == [[*range(20)] * 5] * THREADS


class TestTheFeed:
    @pytest.fixture(autouse=True)
    def _nobody_decides(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lets no session end because its user changed. That would take statements."""
        monkeypatch.setattr(revocation_feed, "users_changed", Signal())

    def test_keeps_a_change_of_a_user_that_is_read_while_an_earlier_one_is_decided(self):
        feed, user, earlier = RevocationFeed(), str(uuid4()), Interrupted(1)
        feed._note_changes([(earlier, user)], 0.0)
        earlier.thread = Thread(target=feed._note_changes, args=([(2, user)], 0.0))
        feed._send_changed([user])
        earlier.thread.join()
        assert feed._changed == {user: 2}

    def test_knows_what_any_thread_has_added_while_users_change(self):
        feed = RevocationFeed()
        feed._fresh_until = float("inf")

        def work(number: int) -> None:
            for place in range(60):
                session_id = uuid4()
                feed.add([session_id])
                assert feed.knows_revoked(session_id)
                feed._note_changes([(number * 1000 + place, str(uuid4()))], 0.0)
                feed._send_changed(feed._some_changed())

        at_once(work)
        assert (len(feed._revoked), feed._changed) == (60 * THREADS, {})


def test_an_acknowledgement_is_not_replaced_by_one_of_an_earlier_generation():
    acknowledgements.forget()
    token = a_codec().loads(minted(a_codec()), NOW)
    earlier, later = Interrupted(5), NOW.timestamp() + 600
    earlier.thread = Thread(target=acknowledgements.note, args=(replace(token, generation=6), later))
    acknowledgements.note(replace(token, generation=earlier), later)
    earlier.thread.join()
    assert acknowledgements._pending == {"": {token.session_id: 6}}
    acknowledgements.forget()


class TestTurns:
    def test_are_the_same_for_all_threads_from_the_first_on(self, monkeypatch):
        make = Turns.__init__

        def make_slowly(ours: Turns, size: int) -> None:
            sleep(BLOCKED)
            make(ours, size)

        monkeypatch.setattr(Turns, "__init__", make_slowly)
        hashers._turns.cache_clear()
        assert len({id(found) for found in at_once(lambda number: hashers.turns())}) == 1

    def test_are_not_taken_by_two_threads(self):
        had: list[str] = []

        def other() -> None:
            with ours.turn():
                had.append("a turn")

        free = Interrupted(1)
        ours, free.thread = Turns(free), Thread(target=other)
        with ours.turn():
            assert had == []
        free.thread.join()
        assert had == ["a turn"]


@pytest.mark.usefixtures("throttled")
def test_a_throttle_counts_each_of_many_threads(monkeypatch):
    monkeypatch.setattr(throttles, "time", lambda: 1000.0)
    tally = Tally("sign_in_account", uuid4().hex)
    at_once(lambda number: [throttles.count(tally) for _ in range(300)])
    assert tally.rate
    assert [cache.get(key) for key in throttles._keys(tally, tally.rate, 1000.0)] == [None, 300 * THREADS]
