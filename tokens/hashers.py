"""Password hashers that limit how many passwords a process hashes at a time, so that it can also answer other requests.

They are Django's own. Argon2 takes whole cores and 100 MiB for a tenth of a second. At most ``MAX_HASHINGS`` passwords
are hashed or verified at a time, and as many more wait, for at most `PATIENCE`. Any further request raises `Busy`,
which is answered 503.

Whether a request is refused depends only on how many are waiting, and not on the account: Django also hashes for a name
without an account, after the same statements. All algorithms share the limit. Otherwise the algorithm of an account
could be found out.

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
"""Seconds that a hashing waits for its turn. Its thread cannot serve other requests meanwhile."""


class Busy(Exception):
    """Too many passwords are being hashed. The client can try again in a moment."""


class Turns:
    """At most ``size`` run at a time, and as many more wait."""

    def __init__(self, size: int) -> None:
        self._running = BoundedSemaphore(size)
        self._places = BoundedSemaphore(2 * size)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Run the block when it is its turn. Raise `Busy`."""
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
    """Return the turns of this process."""
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
