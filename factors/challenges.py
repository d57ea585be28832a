"""Challenges: what a passkey signs, once, within five minutes.

A challenge is not stored before it was answered, so strangers make nothing grow. It says itself that it is ours::

    nonce (16 random bytes) | time (8 bytes, POSIX seconds) | MAC (32 bytes, HMAC-SHA256)

The MAC covers the nonce, the time, the purpose, and what the challenge is bound to. So an answer counts only for what
it was asked for, and only in the session or the browser that has asked. `factors.service.assertions` stores the nonces
of right answers, so that each challenge is answered once.
"""

import hmac
import json
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

LIFETIME = 5 * 60
"""Seconds."""
SIGN_IN = "sign-in"
"""Purpose: a sign-in without anything before. The challenge is bound to the browser."""
PROVE = "prove"
"""Purpose: a second step, or another proof of a user who is known. The challenge is bound to the session."""
CREATE = "create"
"""Purpose: a new passkey. The challenge is bound to the session and the user."""
CREATE_QUIETLY = "create quietly"
"""Purpose: a new passkey that the browser creates without asking (conditional mediation). Bound as for `CREATE`."""
_NONCE, _TIME = 16, 8


class Challenge(NamedTuple):
    """A challenge of ours. ``nonce`` names it."""

    nonce: UUID
    made_at: int

    @property
    def forgotten_at(self) -> datetime:
        """Until when its nonce is stored after an answer. Another server's clock may be behind by its lifetime."""
        return datetime.fromtimestamp(self.made_at, UTC) + timedelta(seconds=2 * LIFETIME)


def make(keys: Sequence[bytes], purpose: str, *bound_to: str) -> bytes:
    """Return a new challenge for this purpose, bound to these texts. The first key makes it."""
    body = secrets.token_bytes(_NONCE) + int(time.time()).to_bytes(_TIME)
    return body + _mac(keys[0], body, purpose, bound_to)


def read(keys: Sequence[bytes], text: bytes, purpose: str, *bound_to: str) -> Challenge | None:
    """Return the challenge if one of the keys has made it for this purpose, bound to these texts, and not long ago."""
    body, mac = text[: _NONCE + _TIME], text[_NONCE + _TIME :]
    if not any(hmac.compare_digest(mac, _mac(key, body, purpose, bound_to)) for key in keys):
        return None
    made_at = int.from_bytes(body[_NONCE:])
    if abs(time.time() - made_at) > LIFETIME:  # Another server's clock may be ahead.
        return None
    return Challenge(UUID(bytes=body[:_NONCE]), made_at)


def _mac(key: bytes, body: bytes, purpose: str, bound_to: tuple[str, ...]) -> bytes:
    return hmac.digest(key, json.dumps([purpose, *bound_to, body.hex()]).encode(), "sha256")
