"""Password hashers that take turns, so that a burst of sign-ins leaves a process room for everything else.

They are Django's own, first of all Argon2, which takes whole cores and 100 MiB for a tenth of a second. At most
``MAX_HASHINGS`` passwords are hashed or verified at a time in a process, and as many more wait for their turn, no
longer than `PATIENCE`. Whoever comes then, by whichever door, is refused with `Busy`, which is answered 503.

Who is refused depends on how many came before, on nothing about the account: Django hashes for strangers too, once,
after the same statements. The other algorithms take turns with Argon2, or their accounts would be told from others.

    PASSWORD_HASHERS = ["tokens.hashers.Argon2", "tokens.hashers.PBKDF2", "tokens.hashers.Scrypt"]
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import BoundedSemaphore
from typing import Any

from django.contrib.auth.hashers import Argon2PasswordHasher, PBKDF2PasswordHasher, ScryptPasswordHasher

from tokens import metrics
from tokens.conf import token_settings

PATIENCE = 1.0
"""Seconds that a hashing waits for its turn, in a thread that the server could use for others."""


class Busy(Exception):
    """Too many passwords are being hashed: ask again in a moment."""


class Turns:
    """``size`` may have their turn at a time, and as many more wait for it."""

    def __init__(self, size: int) -> None:
        self._running = BoundedSemaphore(size)
        self._places = BoundedSemaphore(2 * size)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and have it. Raises `Busy`."""
        if not self._places.acquire(blocking=False):
            raise _busy()
        try:
            if not self._running.acquire(timeout=PATIENCE):
                raise _busy()
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._places.release()


def _busy() -> Busy:
    metrics.HASHINGS_REFUSED.inc()
    return Busy()


def turns() -> Turns:
    """Those of this process."""
    return _turns(token_settings().max_hashings or max(1, (os.cpu_count() or 1) // 2))


_turns = lru_cache(maxsize=1)(Turns)


class Argon2(Argon2PasswordHasher):
    def encode(self, *args: Any, **options: Any) -> str:
        with turns().turn():
            return super().encode(*args, **options)

    def verify(self, *args: Any, **options: Any) -> bool:
        with turns().turn():
            return super().verify(*args, **options)


class PBKDF2(PBKDF2PasswordHasher):
    def encode(self, *args: Any, **options: Any) -> str:  # `verify` encodes.
        with turns().turn():
            return super().encode(*args, **options)


class Scrypt(ScryptPasswordHasher):
    def encode(self, *args: Any, **options: Any) -> str:  # `verify` encodes.
        with turns().turn():
            return super().encode(*args, **options)
