"""Threads beside a test's own, each with its own database connections."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from django.db import connections

from tests.tokens.service.holders import PATIENCE
from tests.tokens.service.statements import query


@contextmanager
def in_thread(work: Callable[[], None]) -> Iterator[None]:
    """Run ``work`` in a thread beside the block. An exception in the thread fails the test."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(PATIENCE)
    assert not thread.is_alive()
    assert not errors, errors


@contextmanager
def paused(work: Callable[[Callable[[], None]], None]) -> Iterator[None]:
    """Run ``work`` in a thread, and the block while the thread is paused.

    ``work`` is passed a function. The first call of it pauses the thread until the block ends.
    """
    reached, go_on = Event(), Event()

    def pause() -> None:
        reached.set()
        assert go_on.wait(PATIENCE)

    with in_thread(lambda: work(pause)):
        assert reached.wait(PATIENCE)
        try:
            yield
        finally:
            go_on.set()


def is_blocking() -> bool:
    """Return whether another connection waits for a lock that this transaction holds, on PostgreSQL."""
    return bool(query("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"))


def eventually(is_so: Callable[[], bool]) -> None:
    """Wait until ``is_so`` returns true. Fail if that takes too long."""
    until = time.monotonic() + 2 * PATIENCE
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def wait_until_blocked() -> None:
    """Wait until another connection waits for a lock that this transaction holds, on PostgreSQL."""
    eventually(is_blocking)


def until_one_waits() -> None:
    """Return when a connection waits for a lock."""
    eventually(lambda: query("SELECT count(*) FROM pg_locks WHERE NOT granted") != (0,))
