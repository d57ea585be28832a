"""Acknowledgements: that somebody uses an access token of the current generation proves that it was received.

It closes recovery (see `tokens.protocol.rotation`). A process collects them and writes them in one statement, in the
same turn as it reads the revocation feed; each session and generation at most once.
"""

import threading
from uuid import UUID

from django.db.models import Q

from tokens.conf import token_settings
from tokens.database.expressions import WithoutFlush
from tokens.database.transactions import bounded, writer
from tokens.models import RefreshToken
from tokens.protocol.access_tokens import AccessToken

REMEMBERED = 50_000
CHUNK = 200

_lock = threading.Lock()
_pending: dict[UUID, int] = {}
_written: dict[UUID, int] = {}


def note(token: AccessToken, now: float) -> None:
    """Collect what the use of this valid access token proves, if anything. ``now``: POSIX seconds."""
    if token.generation is None or now - token.issued_at <= token_settings().acknowledge_after.total_seconds():
        return
    # Tokens of several generations are in use at a time: the newest counts, and is not written again for an older one.
    if token.generation > max(_written.get(token.session_id, -1), _pending.get(token.session_id, -1)):
        _pending[token.session_id] = token.generation


def flush() -> bool:
    """Write what was collected; return whether there was anything. What cannot be written is kept."""
    with _lock:
        if not _pending:
            return False
        collected = [_pending.popitem() for _ in range(len(_pending))]
        try:
            for start in range(0, len(collected), CHUNK):
                _write(collected[start : start + CHUNK])
        except BaseException:
            for session_id, generation in collected:
                _pending.setdefault(session_id, generation)  # A newer one may have been noted meanwhile.
            raise
        _written.update(collected)
        while len(_written) > REMEMBERED:
            del _written[next(iter(_written))]
        return True


def forget() -> None:
    """Forget everything, as a new process does."""
    with _lock:
        _pending.clear()
        _written.clear()


def _write(collected: list[tuple[UUID, int]]) -> None:
    current = Q()
    for session_id, generation in collected:
        current |= Q(id=session_id, generation=generation)
    alias = writer(RefreshToken)
    # A row may be locked for long: by the end of its session, whose commit waits for a standby.
    with bounded(alias):
        RefreshToken.objects.using(alias).filter(current, WithoutFlush(), acknowledged=False).update(acknowledged=True)
