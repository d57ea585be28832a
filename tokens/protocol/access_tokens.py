"""The access token: a JWT for access (RFC 9068), signed with the server's private key.

Header and claims of one, in full::

    {"alg": "EdDSA", "kid": "<RFC 7638 thumbprint>", "typ": "at+jwt"}
    {"iss": "https://example.org", "sub": "<user's primary key>", "aud": "https://example.org",
     "exp": 1700000600, "iat": 1700000000, "jti": "<UUIDv7>", "client_id": "latchkey",
     "sid": "<session id>", "gen": 7, "auth_time": 1699990000, "amr": ["pwd"]}

``gen`` is the generation of the refresh token that it came with; a token minted without a refresh has none.
Instants are whole seconds, rounded down, of the database's clock. A token is good while ``now < exp``, without
leeway; an ``iat`` ahead of this node's clock is no reason to refuse (RFC 7519 section 4.1.6).

`Codec.loads` accepts only what `Codec.dumps` makes: this ``typ``, issuer and audience, a ``kid`` of ours with the one
``alg`` that this key is for (EdDSA, ES256 or RS256), no other header field. It raises `InvalidAccessToken` bare, and
`ExpiredAccessToken` for one that was good.
"""

import json
import re
import secrets
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import floor
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from tokens.protocol.keys import KeyRing

TYPE = "at+jwt"
MAX_LENGTH = 8192
REMEMBERED = 4096
"""How many verified tokens a process remembers: verifying is most of a request's cost."""
JITTER = 20
"""An access token lives up to a twentieth less than its lifetime, so that sessions do not refresh together."""

_compact = json.JSONEncoder(separators=(",", ":")).encode
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_TIMES = ("exp", "iat", "auth_time")
_TEXTS = ("sub", "jti", "client_id", "sid")
_REGISTERED = {"iss", "aud", "gen", "amr", "nbf", "open", *_TIMES, *_TEXTS}


class InvalidAccessToken(Exception):
    """The token is not one that this server made, or not for this audience."""


class ExpiredAccessToken(InvalidAccessToken):
    """The token was good until its ``exp``."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What an access token says. ``claims`` holds all of it, the project's own claims too.

    ``while_open``: it is good for the browser that has not been closed since the sign-in, where it comes by cookie.
    """

    subject: str
    session_id: UUID
    generation: int | None
    issued_at: int
    expires_at: int
    authenticated_at: int
    while_open: bool
    claims: Mapping[str, Any] = field(repr=False)


class Codec:
    """Makes and checks access tokens, and remembers a bounded number of those that it found good."""

    def __init__(self, ring: KeyRing, issuer: str, audience: str, client_id: str) -> None:
        import jwt  # With all of X.509: a process that sees no token does without.

        self._ring = ring
        self._issuer = issuer
        self._audience = audience
        self._client_id = client_id
        # Not `jwt.encode`: it would make the header and look at the key anew for each token.
        key = ring.signing_key
        self._header = _segment({"alg": key.algorithm, "kid": key.kid, "typ": TYPE})
        self._algorithm = jwt.get_algorithm_by_name(key.algorithm)
        self._good: dict[str, AccessToken] = {}
        self._lock = threading.Lock()

    def dumps(
        self,
        *,
        subject: str,
        session_id: UUID,
        generation: int | None,
        now: datetime,
        lifetime: timedelta,
        session_ends_at: datetime,
        authenticated_at: datetime,
        methods: list[str],
        while_open: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> tuple[str, AccessToken]:
        """Return a new token's text, and what it says. It never outlives its session.

        ``extra``: the project's own claims; a registered claim among them raises `ValueError`.
        """
        if extra and not _REGISTERED.isdisjoint(extra):
            raise ValueError(f"the claims hook may not set {', '.join(sorted(_REGISTERED.intersection(extra)))}")
        issued_at = floor(now.timestamp())
        seconds = int(lifetime.total_seconds())
        seconds -= secrets.randbelow(seconds // JITTER + 1)
        claims: dict[str, Any] = {
            **(extra or {}),
            "iss": self._issuer,
            "sub": subject,
            "aud": self._audience,
            "exp": min(issued_at + seconds, floor(session_ends_at.timestamp())),
            "iat": issued_at,
            "jti": str(uuid7()),
            "client_id": self._client_id,
            "sid": str(session_id),
            "auth_time": floor(authenticated_at.timestamp()),
            "amr": methods,
        }
        if generation is not None:
            claims["gen"] = generation
        if while_open:
            claims["open"] = True
        unsigned = b".".join((self._header, _segment(claims)))
        signature = self._algorithm.sign(unsigned, self._ring.signing_key.private)
        return b".".join((unsigned, _base64url(signature))).decode(), _said(claims, session_id)

    def loads(self, text: str, now: datetime) -> AccessToken:
        """Return what the token says. Raises `InvalidAccessToken`, or `ExpiredAccessToken`."""
        token = self.loads_expired(text)
        if now.timestamp() >= token.expires_at:
            raise ExpiredAccessToken
        return token

    def remembered(self, text: str, now: float) -> AccessToken | None:
        """Return what `loads` would, where this token was found good before; else None. ``now``: POSIX seconds."""
        token = self._good.get(text)
        return token if token is not None and now < token.expires_at else None

    def loads_expired(self, text: str) -> AccessToken:
        """Return what the token says, whether or not it has expired: for signing out. Raises `InvalidAccessToken`."""
        token = self._good.get(text)
        if token is None:
            token = self._verified(text)
            with self._lock:
                while len(self._good) >= REMEMBERED:
                    del self._good[next(iter(self._good))]
                self._good[text] = token
        return token

    def _verified(self, text: str) -> AccessToken:
        if len(text) > MAX_LENGTH or not _SHAPE.fullmatch(text) or not _is_canonical(text.rpartition(".")[2]):
            raise InvalidAccessToken
        import jwt

        try:
            header = jwt.get_unverified_header(text)
            key = self._ring.verifying_keys.get(header.get("kid", ""))
            if key is None or header != {"alg": key.algorithm, "kid": key.kid, "typ": TYPE}:
                raise InvalidAccessToken
            claims = jwt.decode(
                text,
                key.public,
                algorithms=[key.algorithm],
                audience=self._audience,
                issuer=self._issuer,
                # The clock is the caller's, and types are checked below more strictly than PyJWT does.
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise InvalidAccessToken from None
        return _from_claims(claims)


def _segment(data: Mapping[str, Any]) -> bytes:
    return _base64url(_compact(data).encode())


def _base64url(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")


def _is_canonical(segment: str) -> bool:
    # Of the three segments the signature alone is not signed: its idle bits could be flipped.
    try:
        raw = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        return False
    return _base64url(raw) == segment.encode()


def _from_claims(claims: Mapping[str, Any]) -> AccessToken:
    generation = claims.get("gen")
    if (
        any(type(claims.get(name)) is not int for name in _TIMES)
        or any(type(claims.get(name)) is not str for name in _TEXTS)
        or (generation is not None and type(generation) is not int)
        or type(claims.get("aud")) is not str
    ):
        raise InvalidAccessToken
    try:
        session_id = UUID(claims["sid"])
    except ValueError:
        raise InvalidAccessToken from None
    if str(session_id) != claims["sid"]:
        raise InvalidAccessToken
    return _said(claims, session_id)


def _said(claims: Mapping[str, Any], session_id: UUID) -> AccessToken:
    return AccessToken(
        subject=claims["sub"],
        session_id=session_id,
        generation=claims.get("gen"),
        issued_at=claims["iat"],
        expires_at=claims["exp"],
        authenticated_at=claims["auth_time"],
        while_open=claims.get("open") is True,
        claims=claims,
    )


def instant(seconds: int) -> datetime:
    """Return a token's NumericDate as an aware `datetime`."""
    return datetime.fromtimestamp(seconds, UTC)
