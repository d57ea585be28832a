"""A client with one session. It keeps the tokens that the service returns, and presents them again."""

from dataclasses import replace
from datetime import timedelta
from threading import Lock, Semaphore
from typing import Any, Self

from tests.tokens.service.statements import query
from tokens.conf import COOKIE
from tokens.models import RefreshToken, Revocation, SecurityEvent
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens
from tokens.service.opening import open_session
from tokens.service.refreshing import Refusal, refresh
from tokens.service.revocation import revoke
from tokens.service.revocation_feed import RevocationFeed

HOME = Client("192.0.2.7", "Firefox")
ELSEWHERE = Client("198.51.100.7", "Chrome")
"""A client with another network and another User-Agent."""
STILL_TIME = 91
"""Seconds: just over ``ACKNOWLEDGE_AFTER``. A generation of this age may be rotated, and using one of its access tokens
acknowledges it."""
GRACE = 31
"""Seconds: just over ``REUSE_GRACE``. The previous token is no longer accepted as a parallel request."""
PATIENCE = 30.0
"""Seconds. A test fails if something that should happen in another thread has not happened by then."""


class Holder:
    """One session from its sign-in on.

    ``token``: the current refresh token. ``first``: the one of the sign-in. ``browser``: the client and its
    device token.
    """

    def __init__(self, user: Any, client: Client = HOME, **options: Any) -> None:
        self.issued = open_session(user, client, **{"mode": COOKIE, **options})
        self.client = client
        self.browser = replace(client, device_token=self.issued.device_token or client.device_token)
        self.id = self.issued.session.id
        self.user = user
        assert self.issued.refresh_token
        self.token = self.first = self.issued.refresh_token

    def sign_in_again(self) -> Self:
        """Open another session of the same user in the same browser."""
        return type(self)(self.user, client=self.browser)

    def present(self, token: str | None = None, client: Client | None = None) -> IssuedTokens | Refusal:
        """Present a token, by default the current one, and ignore the answer, as if it was lost."""
        return refresh(self.token if token is None else token, (self.issued.session.mode,), client or self.client)

    def granted(self, token: str | None = None, client: Client | None = None) -> IssuedTokens:
        """Present a token, by default the current one, which must be accepted. Ignore the answer, as if it was lost."""
        answer = self.present(token, client)
        assert isinstance(answer, IssuedTokens)
        return answer

    def refresh(self, token: str | None = None, client: Client | None = None) -> IssuedTokens:
        """Present a token, by default the current one, which must be accepted. Keep the new refresh token, if any."""
        self.issued = self.granted(token, client)
        self.token = self.issued.refresh_token or self.token
        return self.issued

    def is_refused(self, token: str | None = None) -> bool:
        return isinstance(self.present(token), Refusal)

    def end(self, reason: RefreshToken.Reason = RefreshToken.Reason.SIGNED_OUT) -> None:
        revoke(RefreshToken.objects.filter(id=self.id), reason)

    @property
    def row(self) -> RefreshToken:
        """The session's row as it is now."""
        return RefreshToken.objects.get(id=self.id)

    @property
    def ending(self) -> tuple[str, int]:
        """Why the session was revoked, and how many revocations of it the feed contains. ("", 0) if it was not."""
        return self.row.revoked_reason, self.revocations()

    def put_back(self, **values: Any) -> None:
        """Change the row directly, for example to an earlier state, as if the database had lost its last commits."""
        RefreshToken.objects.filter(id=self.id).update(**values)

    def events(self, kind: SecurityEvent.Kind) -> int:
        return SecurityEvent.objects.filter(session_id=self.id, kind=kind).count()

    def revocations(self) -> int:
        return Revocation.objects.filter(session_id=self.id).count()


def change_password(user: Any) -> None:
    user.set_password("quite another passphrase")
    user.save()


def deactivate_in_sql(user: Any) -> None:
    """Deactivate every user. No signal and no manager of Django notices it, so no session ends before it is used."""
    query("UPDATE accounts_user SET is_active = %s", False)


def columns() -> dict[str, Any]:
    """Return all columns of the only session's row."""
    return RefreshToken.objects.values().get()


class AnotherProcess(RevocationFeed):
    """The revocation feed of another process: it learns of a revocation only when it queries the database.

    ``now``: its monotonic clock, in seconds.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(monotonic=lambda: self.now)
        self._lock: Any = _CountingLock()

    def forward(self, by: float | timedelta) -> None:
        self.now += by.total_seconds() if isinstance(by, timedelta) else by

    def forget_arrivals(self) -> None:
        """From now on, count the threads that try to take the lock of this feed."""
        self._lock.arrivals = Semaphore(0)

    def wait_for_arrivals(self, count: int) -> None:
        """Wait until so many further threads have tried to take the lock."""
        for _ in range(count):
            assert self._lock.arrivals.acquire(timeout=PATIENCE)


class _CountingLock:
    """A lock that counts the calls of `acquire`. A pause of fixed length would not be enough on a busy machine."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.release = self._lock.release
        self.arrivals = Semaphore(0)

    def acquire(self, timeout: float = -1) -> bool:
        self.arrivals.release()
        return self._lock.acquire(timeout=timeout)


def rotated_once(user: Any, clock: Any) -> Holder:
    """Return a session after its first rotation, which differs from all others: it ends superseded sessions."""
    holder = Holder(user)
    holder.refresh()
    clock.forward(STILL_TIME)
    return holder
