"""Password hashers that limit how many passwords a process hashes at a time, so that it can also answer other requests.

They are Django's own. Argon2 takes whole cores and 100 MiB for a tenth of a second. At most ``MAX_HASHINGS`` passwords
are hashed or verified at a time. Other requests wait in the order in which they came, for at most `PATIENCE`. Of those
that wait, at most one is for the same account, and at most one from the same network. So nobody can take all places
with many requests for one account or from one network. A request without a place raises `Busy`, which is answered 503.

Whether a request is refused depends only on the requests that wait, and not on the account: Django also hashes for a
name without an account, after the same statements. All algorithms share the limit. Otherwise the algorithm of an
account could be found out.

Passwords are normalised by NFKC before they are hashed (NIST SP 800-63B-4 section 3.1.1.2), because keyboards and
browsers encode the same characters differently. A hash may be older than this rule, or be made by another class. So a
password that NFKC changes is verified twice: normalised, and as it was typed. Both are always hashed, so that the time
does not show which of them the hash was made from. A hash is not replaced because the password was not normalised.

    PASSWORD_HASHERS = ["tokens.hashers.Argon2", "tokens.hashers.PBKDF2", "tokens.hashers.Scrypt"]
"""

import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from threading import Event, Lock
from typing import Any, ClassVar, NamedTuple

from django.contrib.auth.hashers import Argon2PasswordHasher, PBKDF2PasswordHasher, ScryptPasswordHasher

from tokens import metrics
from tokens.conf import token_settings

MAX_PASSWORD = 4096
"""Characters of a password. Longer ones are not hashed, because hashing a megabyte would take too long."""
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

    At most ``size`` requests of which nothing is known wait. Of the others as many wait too, or `PLACES` if that is
    more, and never two for one account or from one network.
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
        """Let the first request that waits run. A new request cannot take its place."""
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
    with _making:
        return _turns(token_settings().max_hashings or max(1, (os.cpu_count() or 1) // 2))


_turns = lru_cache(maxsize=1)(Turns)
_making = Lock()
"""Without it, threads that hash the first passwords at the same time would each get turns of their own."""


def password_spellings(password: Any) -> tuple[Any, ...]:
    """Return what a typed password may have been hashed as: normalised by NFKC, and as it is, if that differs."""
    normalised = unicodedata.normalize("NFKC", password) if isinstance(password, str) else password
    return (normalised,) if normalised == password else (normalised, password)


class _Bounded:
    """Takes turns, hashes new passwords normalised by NFKC, and verifies both spellings of a password."""

    _as_typed: ClassVar[Any]
    """Django's hasher of the same algorithm, which hashes a password as it is."""

    def encode(self, password: Any, *args: Any, **options: Any) -> str:
        with turns().turn():
            encoded: str = super().encode(password_spellings(password)[0], *args, **options)  # type: ignore[misc]
            return encoded

    def verify(self, password: Any, encoded: str) -> bool:
        verified = [self._verify(spelling, encoded) for spelling in password_spellings(password)]
        return any(verified)

    def _verify(self, password: Any, encoded: str) -> bool:
        with turns().turn():
            return bool(self._as_typed.verify(password, encoded))


class Argon2(_Bounded, Argon2PasswordHasher):
    _as_typed = Argon2PasswordHasher()


class PBKDF2(_Bounded, PBKDF2PasswordHasher):
    _as_typed = PBKDF2PasswordHasher()


class Scrypt(_Bounded, ScryptPasswordHasher):
    _as_typed = ScryptPasswordHasher()
