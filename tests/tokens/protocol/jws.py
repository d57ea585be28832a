"""Access tokens for tests: made by a codec, taken apart, changed, and signed again with any key."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from tokens.protocol.access_tokens import AccessToken, Codec

VECTORS = json.loads((Path(__file__).parent / "vectors" / "access_tokens.json").read_text())
"""``invalid``: changes to a valid token. The result must be rejected even if it is signed with the server's own key."""
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
SESSION = UUID("01939d2a-7c00-7abc-8def-0123456789ab")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
"""The characters of base64url, in the order of their values."""

Sign = Callable[[bytes], bytes]


def encoded(data: Any) -> str:
    """Return base64url of bytes, or of the JSON of anything else."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw(segment: str) -> bytes:
    return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def opened(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the claims of a token."""
    header, claims, _ = text.split(".")
    return json.loads(raw(header)), json.loads(raw(claims))


def claims_of(text: str) -> dict[str, Any]:
    return opened(text)[1]


def signed(header: Any, claims: Any, sign: Sign) -> str:
    """Return a JWS of any header and any claims (bytes or JSON)."""
    text = f"{encoded(header)}.{encoded(claims)}"
    return f"{text}.{encoded(sign(text.encode()))}"


def dumped(codec: Codec, *, now: datetime = NOW, **changes: Any) -> tuple[str, AccessToken]:
    """Return what `Codec.dumps` returns for a refresh at ``now``, an hour after the sign-in."""
    arguments = {
        "subject": "42",
        "session_id": SESSION,
        "generation": 7,
        "lifetime": timedelta(seconds=600),
        "session_ends_at": now + timedelta(days=1),
        "authenticated_at": now - timedelta(hours=1),
        "methods": ["pwd"],
        "acr": "aal1",
    }
    return codec.dumps(now=now, **{**arguments, **changes})


def minted(codec: Codec, **changes: Any) -> str:
    """Return the text of a new token."""
    return dumped(codec, **changes)[0]


def changed(vector: dict[str, Any], text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the claims of a token after the changes that a vector describes."""
    header, claims = opened(text)
    for fields, name in ((header, "header"), (claims, "claims")):
        fields |= vector.get(name, {})
        for removed in vector.get(f"without_{name}", ()):
            del fields[removed]
    return header, claims


def each_character_replaced(text: str) -> list[str]:
    """Return the text with one character replaced by another of base64url, for every position."""
    others = [ALPHABET[(ALPHABET.find(character) + 16) % 64] for character in text]
    return [text[:position] + other + text[position + 1 :] for position, other in enumerate(others)]
