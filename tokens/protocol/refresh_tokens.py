"""The bytes of a refresh token, made and verified without a query.

A token is the prefix ``latchkey_rt_``, by which secret scanners find it, and 75 characters of base64url::

    key id 4 | session id 16 | secret 16 | generation 4 | tag 16        (bytes)

- ``key id`` names the server's key that made the tag.
- ``session id`` is the UUIDv7 of the session's row.
- ``secret`` is random. It is made at the sign-in and stays the same in every generation. The row holds only its SHA-256
  digest.
- ``generation`` is unsigned and big-endian.
- ``tag`` is HMAC-SHA256 (RFC 2104) over all bytes before it, truncated to 128 bits. RFC 2104 section 5 requires at
  least half of the output. If the token was issued for a cookie that scripts cannot set, ``Http`` follows these bytes
  under the HMAC. Such a token is rejected in a cookie of an older name, where a script can have planted it.

So the successor of a token is derived from session, secret and generation, and never stored. To make one takes the
server's key and the secret, which the server does not keep.

`loads` rejects every text that is not the canonical base64url of its bytes. It raises `InvalidRefreshToken` without a
message, whatever the reason. It raises `UnknownKey` if this process does not have the key, which happens while a new
key is being deployed.
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
HTTP = b"Http"
"""Follows the bytes under the tag of a token that was issued for a cookie with ``Http`` in the prefix of its name."""
MAX_GENERATION = 2**32 - 1

_BODY = struct.Struct(f">{KEY_ID_BYTES}s16s{SECRET_BYTES}sI")
_LENGTH = len(PREFIX) + (_BODY.size + TAG_BYTES) * 8 // 6 + 1  # 56 bytes are 74 2/3 base64 characters


class InvalidRefreshToken(Exception):
    """This server did not make the token."""


class UnknownKey(InvalidRefreshToken):
    """The token names a key that this process does not have."""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """The content of a refresh token: the session, the secret of its sign-in (16 bytes), and the generation."""

    session_id: UUID
    secret: bytes = field(repr=False)
    generation: int

    @property
    def digest(self) -> bytes:
        """The SHA-256 digest of the secret, 32 bytes, as the row holds it."""
        return sha256(self.secret).digest()

    def of(self, generation: int) -> "RefreshToken":
        """Return the token of the same session for another generation."""
        return RefreshToken(self.session_id, self.secret, generation)


def dumps(token: RefreshToken, key_id: bytes, key: bytes, *, http: bool = False) -> str:
    """Return the token's text. ``key_id`` has 4 bytes, ``key`` 32.

    ``http``: whether the token is for a cookie that scripts cannot set.
    """
    body = _BODY.pack(key_id, token.session_id.bytes, token.secret, token.generation)
    return PREFIX + urlsafe_b64encode(body + _tag(key, body, http=http)).rstrip(b"=").decode("ascii")


def loads(text: str, keys: Mapping[bytes, bytes], *, old_name: bool = False) -> RefreshToken:
    """Return the content of a token, after verifying its tag. Raise `InvalidRefreshToken` or `UnknownKey`.

    ``keys`` maps key ids to keys. ``old_name``: whether the token came in a cookie of the older name.
    """
    raw = _get_unverified_bytes(text)
    body, tag = raw[:-TAG_BYTES], raw[-TAG_BYTES:]
    key_id, session_id, secret, generation = _BODY.unpack(body)
    if key_id not in keys:
        raise UnknownKey
    key = keys[key_id]
    is_http = not old_name and hmac.compare_digest(tag, _tag(key, body, http=True))
    if not is_http and not hmac.compare_digest(tag, _tag(key, body, http=False)):
        raise InvalidRefreshToken
    return RefreshToken(UUID(bytes=session_id), secret, generation)


def _tag(key: bytes, body: bytes, *, http: bool) -> bytes:
    return hmac.digest(key, body + HTTP if http else body, "sha256")[:TAG_BYTES]


def _get_unverified_bytes(text: str) -> bytes:
    if len(text) != _LENGTH or not text.startswith(PREFIX):
        raise InvalidRefreshToken
    encoded = text.removeprefix(PREFIX)
    try:
        raw = urlsafe_b64decode(encoded + "=")
    except (binascii.Error, ValueError):
        raise InvalidRefreshToken from None
    # Python's decoder skips foreign characters and ignores spare bits. Accept only the text that `dumps` would make.
    if urlsafe_b64encode(raw).rstrip(b"=") != encoded.encode():
        raise InvalidRefreshToken
    return raw
