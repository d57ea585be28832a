"""Password hashers that limit how many passwords a process hashes at a time, so that it can also answer other requests.

They are Django's own. Argon2 takes whole cores and 100 MiB for a tenth of a second. At most ``MAX_HASHINGS`` passwords
are hashed or verified at a time. Other requests wait in the order in which they came, for at most `PATIENCE`. Of those
that wait, at most one is for the same account, and at most one from the same network. So nobody can take all places
with many requests for one account or from one network. A request without a place raises `Busy`, which is answered 503.

Whether a request is refused depends only on the requests that wait, and not on the account: Django also hashes for a
name without an account, after the same statements. All algorithms share the limit. Otherwise the algorithm of an
account could be found out.

    PASSWORD_HASHERS = ["tokens.hashers.Argon2", "tokens.hashers.PBKDF2", "tokens.hashers.Scrypt"]
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from threading import Event, Lock
from typing import Any, NamedTuple

from django.contrib.auth.hashers import Argon2PasswordHasher, PBKDF2PasswordHasher, ScryptPasswordHasher

from tokens import metrics
from tokens.conf import token_settings

PATIENCE = 3.0
"""Seconds that a hashing waits for its turn. Its thread cannot serve other requests meanwhile."""
PLACES = 4
"""How many can wait at least. It is fewer than the threads of a server, so that it can answer other requests."""


class Busy(Exception):
    """Too many passwords are being hashed. The client can try again in a moment."""


class Asker(NamedTuple):
    """For which account, and from which network, a password is hashed. Both are empty if that is not known."""

    account: str = ""
    network: str = ""

    def is_like(self, other: "Asker") -> bool:
        return any(mine and mine == theirs for mine, theirs in zip(self, other, strict=True))


UNKNOWN = Asker()
_asker: ContextVar[Asker] = ContextVar("asker", default=UNKNOWN)


@contextmanager
def hashing_for(asker: Asker) -> Iterator[None]:
    """Hash passwords in this block for ``asker``."""
    token = _asker.set(asker)
    try:
        yield
    finally:
        _asker.reset(token)


class Turns:
    """At most ``size`` run at a time.

    Of unknown askers as many more wait. In all as many more wait, and at least `PLACES`.
    """

    def __init__(self, size: int) -> None:
        self._size, self._free = size, size
        self._waiting: dict[Event, Asker] = {}
        self._lock = Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Run the block when it is its turn. Raise `Busy`."""
        self._wait()
        try:
            yield
        finally:
            self._pass_on()

    def _wait(self) -> None:
        asker, mine = _asker.get(), Event()
        with self._lock:
            if self._free:
                self._free -= 1
                return
            if not self._has_place(asker):
                raise _busy()
            self._waiting[mine] = asker
        if mine.wait(PATIENCE):
            return
        with self._lock:
            # It may have become our turn just now.
            if self._waiting.pop(mine, None) is not None:
                raise _busy()

    def _has_place(self, asker: Asker) -> bool:
        if asker == UNKNOWN:
            return list(self._waiting.values()).count(UNKNOWN) < self._size
        known = [other for other in self._waiting.values() if other != UNKNOWN]
        return len(known) < max(self._size, PLACES) and not any(map(asker.is_like, known))

    def _pass_on(self) -> None:
        """Let the first that waits run. Nobody who comes now can be faster."""
        with self._lock:
            if self._waiting:
                first = next(iter(self._waiting))
                del self._waiting[first]
                first.set()
            else:
                self._free += 1


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
