"""Acknowledgements: the use of an access token proves that the client received its generation.

After that the previous generation cannot be recovered any more (`tokens.protocol.rotation`). A process collects the
acknowledgements, and writes them in one statement when it reads the revocation feed, each session and generation at
most once. What is collected for a tenant is written by a request of this tenant, in its schema.
"""

import threading
from uuid import UUID

from django.db.models import Q

from tokens.conf import tenants, token_settings
from tokens.database.expressions import WithoutFlush
from tokens.database.transactions import bounded, writer
from tokens.models import RefreshToken
from tokens.protocol.access_tokens import AccessToken

REMEMBERED = 50_000
"""How many written acknowledgements a process remembers."""
CHUNK = 200
"""Acknowledgements in one statement."""

_lock = threading.Lock()
_pending: dict[str, dict[UUID, int]] = {}
"""By tenant."""
_written: dict[tuple[str, UUID], int] = {}


def note(token: AccessToken, now: float) -> None:
    """Note that this valid access token was used, if that acknowledges its generation. ``now``: POSIX seconds."""
    if token.generation is None or now - token.issued_at <= token_settings().acknowledge_after.total_seconds():
        return
    # Access tokens of several generations are used at the same time. Only the newest generation counts.
    tenant = tenants.current()
    pending = _pending.get(tenant) or _pending.setdefault(tenant, {})
    if token.generation > max(_written.get((tenant, token.session_id), -1), pending.get(token.session_id, -1)):
        pending[token.session_id] = token.generation


def flush() -> bool:
    """Write what was collected for this tenant. What cannot be written is kept. Return whether there was anything."""
    with _lock:
        tenant = tenants.current()
        if not (pending := _pending.get(tenant)):
            return False
        collected = [pending.popitem() for _ in range(len(pending))]
        try:
            for start in range(0, len(collected), CHUNK):
                _write(collected[start : start + CHUNK])
        except BaseException:
            for session_id, generation in collected:
                pending.setdefault(session_id, generation)  # Unless a newer one was noted meanwhile.
            raise
        _written.update(((tenant, session_id), generation) for session_id, generation in collected)
        while len(_written) > REMEMBERED:
            del _written[next(iter(_written))]
        return True


def forget() -> None:
    """Forget everything, as if the process had just started."""
    with _lock:
        _pending.clear()
        _written.clear()


def _write(collected: list[tuple[UUID, int]]) -> None:
    current = Q()
    for session_id, generation in collected:
        current |= Q(id=session_id, generation=generation)
    alias = writer(RefreshToken)
    # A row may be locked for long: a revocation, whose commit waits for a standby, holds its lock.
    with bounded(alias):
        RefreshToken.objects.using(alias).filter(current, WithoutFlush(), acknowledged=False).update(acknowledged=True)
