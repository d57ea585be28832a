"""Somebody who holds a session: keeps what the service gives, and presents what they have."""

from datetime import timedelta
from typing import Any

from tokens.conf import COOKIE
from tokens.models import RefreshToken, Revocation, SecurityEvent
from tokens.service.client import Client
from tokens.service.ending import end
from tokens.service.feed import RevocationFeed
from tokens.service.grants import Grant
from tokens.service.opening import open_session
from tokens.service.refreshing import Refusal, refresh

HOME = Client("192.0.2.7", "Firefox")
STILL_TIME = 91
"""Seconds after which a generation may be rotated, and the use of its access tokens acknowledges it."""
GRACE = 31
"""Seconds after which the generation before is no longer answered without question."""


class Holder:
    """One session from its sign-in. ``token``: the refresh token last given. ``first``: the one of the sign-in."""

    def __init__(self, user: Any, client: Client = HOME, **options: Any) -> None:
        self.grant = open_session(user, client, **{"mode": COOKIE, **options})
        self.client = client
        self.id = self.grant.session.id
        self.user = user
        assert self.grant.refresh_token
        self.token = self.first = self.grant.refresh_token

    def present(self, token: str | None = None, client: Client | None = None) -> Grant | Refusal:
        """Present a token, by default the current one, and keep nothing: the answer is lost, or a thief's."""
        return refresh(self.token if token is None else token, (self.grant.session.mode,), client or self.client)

    def refresh(self, token: str | None = None, client: Client | None = None) -> Grant:
        """Present a token, by default the current one, and keep what is given."""
        answer = self.present(token, client)
        assert isinstance(answer, Grant)
        self.grant, self.token = answer, answer.refresh_token or self.token
        return answer

    def is_refused(self, token: str | None = None) -> bool:
        return isinstance(self.present(token), Refusal)

    def end(self, reason: RefreshToken.Reason = RefreshToken.Reason.SIGNED_OUT) -> None:
        end(RefreshToken.objects.filter(id=self.id), reason)

    @property
    def row(self) -> RefreshToken:
        """The session's row as it is now."""
        return RefreshToken.objects.get(id=self.id)

    def put_back(self, **values: Any) -> None:
        """Let the row be as it was: a database that has forgotten its last commits."""
        RefreshToken.objects.filter(id=self.id).update(**values)

    def events(self, kind: SecurityEvent.Kind) -> int:
        return SecurityEvent.objects.filter(session_id=self.id, kind=kind).count()

    def revocations(self) -> int:
        return Revocation.objects.filter(session_id=self.id).count()


class AnotherProcess(RevocationFeed):
    """What another process knows of revocations: it hears of none but by asking. ``now``: its monotonic clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(monotonic=lambda: self.now)

    def forward(self, by: float | timedelta) -> None:
        self.now += by.total_seconds() if isinstance(by, timedelta) else by
