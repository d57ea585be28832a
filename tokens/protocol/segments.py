"""The segments of a JWT: JSON in base64url without padding (RFC 7515 section 7.1)."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

_compact = json.JSONEncoder(separators=(",", ":")).encode


def segment(data: Mapping[str, Any]) -> bytes:
    """Return the segment of a JSON object."""
    return base64url(_compact(data).encode())


def base64url(raw: bytes) -> bytes:
    """Return bytes in base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=")


def unverified(segment: str) -> dict[str, Any]:
    """Return the JSON object in a segment of a JWT. Empty: there is none."""
    try:
        found = json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def is_canonical(segment: str) -> bool:
    """Return whether this is the only accepted spelling of its bytes.

    base64 leaves spare bits in the last character. A token must not have two texts.
    """
    try:
        raw = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        return False
    return base64url(raw) == segment.encode()
