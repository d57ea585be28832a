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
"""Held while acknowledgements are written."""
_noting = threading.Lock()
"""Held while a generation is compared and replaced. It is not held during a statement."""
_pending: dict[str, dict[UUID, int]] = {}
"""By tenant."""
_written: dict[int | tuple[str, int], int] = {}
"""By the 128 bits of the session's id, because a UUID is hashed by Python code. With tenants, by tenant and these."""


def note(token: AccessToken, now: float) -> None:
    """Note that this valid access token was used, if that acknowledges its generation. ``now``: POSIX seconds."""
    if token.generation is None or now - token.issued_at <= token_settings().acknowledged_after:
        return
    # Access tokens of several generations are used at the same time. Only the newest generation counts.
    tenant, session_id = tenants.current(), token.session_id
    pending = _pending.get(tenant) or _pending.setdefault(tenant, {})
    written = _written.get(_key(tenant, session_id) if tenant else session_id.int, -1)
    if token.generation > max(written, pending.get(session_id, -1)):
        _keep_newest(pending, session_id, token.generation)


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
                _keep_newest(pending, session_id, generation)
            raise
        _written.update((_key(tenant, session_id), generation) for session_id, generation in collected)
        while len(_written) > REMEMBERED:
            del _written[next(iter(_written))]
        return True


def _keep_newest(pending: dict[UUID, int], session_id: UUID, generation: int) -> None:
    """Keep this generation, unless another thread has noted a newer one meanwhile."""
    with _noting:
        pending[session_id] = max(generation, pending.get(session_id, -1))


def _key(tenant: str, session_id: UUID) -> int | tuple[str, int]:
    return (tenant, session_id.int) if tenant else session_id.int


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
