"""The refresh token: its bytes, made and checked without a query.

``latchkey_rt_`` (so that secret scanners find it), then in base64url, 75 characters::

    key id 4 | session id 16 | secret 16 | generation 4 | tag 16        (bytes)

``key id`` says which of the server's keys made the tag, ``session id`` is the row's UUIDv7, ``secret`` is random,
made at login and the same in every generation (the row holds its SHA-256 digest alone), ``generation`` is
unsigned, big-endian, and ``tag`` is HMAC-SHA256 (RFC 2104) over all bytes before it, truncated to 128 bits: a
guess is right once in 2**128, and RFC 2104 section 5 asks for no less than half of the output.

So a token is a function of session, secret and generation: the successor of a token is derived, never stored, and
making one takes the server's key *and* the login's secret, which the server does not keep.

`loads` refuses everything but the one canonical spelling. It raises `InvalidRefreshToken` bare, whatever the
reason, and `UnknownKey` for a well-formed token whose key this process does not have (a rolling deployment).
"""

import binascii
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

PREFIX = "latchkey_rt_"
SECRET_BYTES = 16
KEY_ID_BYTES = 4
TAG_BYTES = 16
MAX_GENERATION = 2**32 - 1

_BODY = struct.Struct(f">{KEY_ID_BYTES}s16s{SECRET_BYTES}sI")
_LENGTH = len(PREFIX) + (_BODY.size + TAG_BYTES) * 8 // 6 + 1  # 56 bytes are 74 2/3 base64 characters


class InvalidRefreshToken(Exception):
    """The token is not one that this server made."""


class UnknownKey(InvalidRefreshToken):
    """The token names a key that this process does not have."""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """What a refresh token says: which session, its login's secret (16 bytes), which generation."""

    session_id: UUID
    secret: bytes = field(repr=False)
    generation: int

    @property
    def digest(self) -> bytes:
        """The SHA-256 digest of the secret, 32 bytes: what the row holds."""
        return sha256(self.secret).digest()

    def of(self, generation: int) -> "RefreshToken":
        """Return the same session's token of another generation."""
        return RefreshToken(self.session_id, self.secret, generation)


def dumps(token: RefreshToken, key_id: bytes, key: bytes) -> str:
    """Return the token's text. ``key_id`` has 4 bytes, ``key`` 32."""
    body = _BODY.pack(key_id, token.session_id.bytes, token.secret, token.generation)
    return PREFIX + urlsafe_b64encode(body + _tag(key, body)).rstrip(b"=").decode("ascii")


def loads(text: str, keys: Mapping[bytes, bytes]) -> RefreshToken:
    """Return what the token says, once its tag has been checked with the key that it names.

    ``keys``: key id to key. Raises `InvalidRefreshToken`, or `UnknownKey`.
    """
    raw = _get_unverified_bytes(text)
    body, tag = raw[:-TAG_BYTES], raw[-TAG_BYTES:]
    key_id, session_id, secret, generation = _BODY.unpack(body)
    if key_id not in keys:
        raise UnknownKey
    if not hmac.compare_digest(tag, _tag(keys[key_id], body)):
        raise InvalidRefreshToken
    return RefreshToken(UUID(bytes=session_id), secret, generation)


def _tag(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:TAG_BYTES]


def _get_unverified_bytes(text: str) -> bytes:
    if len(text) != _LENGTH or not text.startswith(PREFIX):
        raise InvalidRefreshToken
    encoded = text.removeprefix(PREFIX)
    try:
        raw = urlsafe_b64decode(encoded + "=")
    except (binascii.Error, ValueError):
        raise InvalidRefreshToken from None
    # Python's decoder skips foreign characters and ignores idle bits: only one spelling of the bytes is ours.
    if urlsafe_b64encode(raw).rstrip(b"=") != encoded.encode():
        raise InvalidRefreshToken
    return raw
