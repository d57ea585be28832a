"""Access tokens: JWTs (RFC 9068), signed with the server's private key.

An example of header and claims::

    {"alg": "EdDSA", "kid": "<RFC 7638 thumbprint>", "typ": "at+jwt"}
    {"iss": "https://example.org", "sub": "<user's primary key>", "aud": "https://example.org",
     "exp": 1700000600, "iat": 1700000000, "jti": "<UUIDv7>", "client_id": "latchkey",
     "sid": "<session id>", "gen": 7, "auth_time": 1699990000, "amr": ["pwd"], "acr": "aal1"}

``gen`` is the generation of the session. A token whose use proves no receipt of a refresh token (after a
reauthentication, or of a bound session) has no ``gen``. A token of a user who authenticated at an unknown time has no
``auth_time``. It has no ``amr`` and no ``acr`` if it is not known how (`tokens.protocol.methods`). Times are whole
seconds of the database's clock, rounded down. A token is valid while ``now < exp``, without leeway. An ``iat`` ahead of
this server's clock is accepted (RFC 7519 section 4.1.6).

``act`` names the actor, if another person than ``sub`` uses the token (RFC 8693 section 4.1)::

    "act": {"sub": "<actor's primary key>"}

``open`` is true if the session ends when the browser is closed (`AccessToken.while_open`), and is missing otherwise.
Only the server of the session can check this, by a cookie that no other host gets. Services ignore the claim.

``aud`` is one text (RFC 7519 section 4.1.3). A token for services has another one than all other tokens, if the server
has an audience for services (`AccessToken.for_services`).

``latchkey_tenant`` is the name of the tenant, if the server has tenants. A token with another name than the server
expects, or without one, is not valid. The name has a prefix so that it is not one of the project's own claims (RFC 7519
section 4.3).

`Codec.loads` accepts only what `Codec.dumps` makes: this ``typ`` and issuer, one of these audiences, the ``kid`` of one
of our keys, the one ``alg`` of that key (EdDSA, ES256 or RS256), and no other header field. It raises
`InvalidAccessToken` without a message, or `ExpiredAccessToken` for a token that was valid.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from math import floor
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from tokens.protocol.bounded_cache import BoundedCache
from tokens.protocol.keys import KeyRing
from tokens.protocol.segments import base64url, is_canonical, segment, unverified

TYPE = "at+jwt"
MAX_LENGTH = 8192
MAX_EXTRA = 5000
"""Bytes of the project's own claims. With more of them a token could be longer than `MAX_LENGTH`."""
REMEMBERED = 24 * 2**20
"""Bytes of verified tokens that a process remembers: about four thousand tokens without claims of the project.

Verifying a signature is most of the cost of a request.
"""
PARSED = 6
"""How many times the bytes of its text a token takes, with its text."""
JITTER = 20
"""Each lifetime is shortened at random by up to one twentieth, so that sessions do not refresh together."""

_numbers = count()
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_SHAPE_UNSIGNED = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*")
_TIMES = ("exp", "iat")
_TEXTS = ("sub", "jti", "client_id", "sid")
TENANT = "latchkey_tenant"
"""The name of the claim with the tenant."""
REGISTERED = frozenset({TENANT, "iss", "aud", "gen", "auth_time", "amr", "acr", "nbf", "open", "act", *_TIMES, *_TEXTS})
"""The names of claims that the project must not set."""


class InvalidAccessToken(Exception):
    """This server did not make the token, or not for this audience."""


class ExpiredAccessToken(InvalidAccessToken):
    """The token was valid until its ``exp``."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The content of an access token. ``claims`` contains all claims, also the project's own.

    ``authenticated_at`` is None if it is not known when the user authenticated.

    ``actor`` is the primary key, as text, of the person who uses the token in the place of its subject, or None.

    ``while_open``: if it comes in a cookie, it is valid only until the browser is closed.

    ``for_services``: it has the audience for services. Services see it, so it must not open the user's account.
    """

    subject: str
    session_id: UUID
    generation: int | None
    issued_at: int
    expires_at: int
    authenticated_at: int | None
    while_open: bool
    actor: str | None
    for_services: bool
    claims: Mapping[str, Any] = field(repr=False)


class Share:
    """A codec's share of a memory that several use. One does not find what another has verified."""

    def __init__(self, memory: BoundedCache[tuple[int, str], AccessToken]) -> None:
        self._memory, self._number = memory, next(_numbers)

    def get(self, text: str) -> AccessToken | None:
        return self._memory.get((self._number, text))

    def put(self, text: str, token: AccessToken, size: int) -> None:
        self._memory.put((self._number, text), token, size)


class Codec:
    """Makes and verifies access tokens, and remembers those that it has verified last.

    ``service_audience``: the audience of tokens for services. Empty: there are no such tokens.

    ``tenant``: whose tokens they are, or empty. ``good``: where they are remembered, if it is not a memory of its own.
    """

    def __init__(
        self,
        ring: KeyRing,
        issuer: str,
        audience: str,
        client_id: str,
        service_audience: str = "",
        *,
        tenant: str = "",
        good: "Share | None" = None,
    ) -> None:
        import jwt  # Slow to import, and commands that see no token do not need it.

        self._ring = ring
        self._issuer = issuer
        self._audience = audience
        self._service_audience = service_audience
        self._client_id = client_id
        self._tenant = tenant
        # `jwt.encode` would make the header and prepare the key for every token.
        key = ring.signing_key
        self._header = segment({"alg": key.algorithm, "kid": key.kid, "typ": TYPE})
        self._algorithm = jwt.get_algorithm_by_name(key.algorithm)
        self._good: BoundedCache[str, AccessToken] | Share = BoundedCache(REMEMBERED)
        if good is not None:
            self._good = good

    def dumps(
        self,
        *,
        subject: str,
        session_id: UUID,
        generation: int | None,
        now: datetime,
        lifetime: timedelta,
        session_ends_at: datetime,
        authenticated_at: datetime | None,
        methods: list[str],
        acr: str | None = None,
        while_open: bool = False,
        actor: str | None = None,
        for_services: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> tuple[str, AccessToken]:
        """Return the text and the content of a new token. It expires at the latest when its session does.

        ``extra`` is the project's own claims. Raise `ValueError` if one of them is a registered claim.
        """
        if extra and not REGISTERED.isdisjoint(extra):
            raise ValueError(f"the claims hook must not set {', '.join(sorted(REGISTERED.intersection(extra)))}")
        issued_at = floor(now.timestamp())
        seconds = int(lifetime.total_seconds())
        seconds -= secrets.randbelow(seconds // JITTER + 1)
        claims: dict[str, Any] = {
            **(extra or {}),
            "iss": self._issuer,
            "sub": subject,
            "aud": self._service_audience if for_services else self._audience,
            "exp": min(issued_at + seconds, floor(session_ends_at.timestamp())),
            "iat": issued_at,
            "jti": str(uuid7()),
            "client_id": self._client_id,
            "sid": str(session_id),
        }
        if authenticated_at is not None:
            claims["auth_time"] = floor(authenticated_at.timestamp())
        if methods:
            claims["amr"] = methods
        if acr is not None:
            claims["acr"] = acr
        if generation is not None:
            claims["gen"] = generation
        if while_open:
            claims["open"] = True
        if self._tenant:
            claims[TENANT] = self._tenant
        if actor is not None:
            claims["act"] = {"sub": actor}
        unsigned = b".".join((self._header, segment(claims)))
        signature = self._algorithm.sign(unsigned, self._ring.signing_key.private)
        return b".".join((unsigned, base64url(signature))).decode(), self._said(claims, session_id)

    def loads(self, text: str, now: datetime) -> AccessToken:
        """Return the content of a token. Raise `InvalidAccessToken` or `ExpiredAccessToken`."""
        token = self.loads_expired(text)
        if now.timestamp() >= token.expires_at:
            raise ExpiredAccessToken
        return token

    def remembered(self, text: str, now: float) -> AccessToken | None:
        """Return the content of a token that was verified before and has not expired, else None.

        ``now``: POSIX seconds.
        """
        token = self._good.get(text)
        return token if token is not None and now < token.expires_at else None

    def loads_expired(self, text: str) -> AccessToken:
        """Return the content of a token, even if it has expired. Raise `InvalidAccessToken`."""
        token = self._good.get(text)
        if token is None:
            token = self._verified(text)
            self._good.put(text, token, 1000 + PARSED * len(text))
        return token

    def claims_to_be_ours(self, text: str) -> bool:
        """Return whether a text says of itself that it is our access token: a JWT of this type, with our issuer.

        Nothing of it is verified. Every text that `loads` accepts says so. A text that is longer than our tokens are is
        not read.
        """
        if self._good.get(text) is not None:
            return True
        if len(text) > MAX_LENGTH or (parts := _SHAPE_UNSIGNED.fullmatch(text)) is None:
            return False
        header, claims = map(unverified, parts.groups())
        kind = header.get("typ")
        # Upper case and the prefix make no difference (RFC 7515 section 4.1.9).
        is_of_type = isinstance(kind, str) and kind.lower().removeprefix("application/") == TYPE
        return is_of_type and claims.get("iss") == self._issuer

    def _verified(self, text: str) -> AccessToken:
        if len(text) > MAX_LENGTH or not _SHAPE.fullmatch(text) or not is_canonical(text.rpartition(".")[2]):
            raise InvalidAccessToken
        import jwt  # As above.

        try:
            header = jwt.get_unverified_header(text)
            key = self._ring.verifying_keys.get(header.get("kid", ""))
            if key is None or header != {"alg": key.algorithm, "kid": key.kid, "typ": TYPE}:
                raise InvalidAccessToken
            claims = jwt.decode(
                text,
                key.public,
                algorithms=[key.algorithm],
                audience=[self._audience, self._service_audience] if self._service_audience else self._audience,
                issuer=self._issuer,
                # The caller has the clock, and `_checked` checks types more strictly than PyJWT.
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise InvalidAccessToken from None
        if claims.get(TENANT) != (self._tenant or None):
            raise InvalidAccessToken
        return self._said(claims, _checked(claims))

    def _said(self, claims: Mapping[str, Any], session_id: UUID) -> AccessToken:
        return AccessToken(
            subject=claims["sub"],
            session_id=session_id,
            generation=claims.get("gen"),
            issued_at=claims["iat"],
            expires_at=claims["exp"],
            authenticated_at=claims.get("auth_time"),
            while_open=claims.get("open") is True,
            actor=claims["act"]["sub"] if "act" in claims else None,
            for_services=claims["aud"] == self._service_audience,
            claims=claims,
        )


def _checked(claims: Mapping[str, Any]) -> UUID:
    """Return the session's id, after checking the types of all claims."""
    if (
        any(type(claims.get(name)) is not int for name in _TIMES)
        or any(type(claims.get(name)) is not str for name in _TEXTS)
        or any(name in claims and type(claims[name]) is not int for name in ("gen", "auth_time"))
        or type(claims.get("aud")) is not str
        or type(claims.get("acr", "")) is not str
        or not _are_texts(claims.get("amr", []))
        or ("act" in claims and not _is_actor(claims["act"]))
    ):
        raise InvalidAccessToken
    try:
        session_id = UUID(claims["sid"])
    except ValueError:
        raise InvalidAccessToken from None
    if str(session_id) != claims["sid"]:
        raise InvalidAccessToken
    return session_id


def _are_texts(claim: Any) -> bool:
    return type(claim) is list and all(type(value) is str for value in claim)


def _is_actor(claim: Any) -> bool:
    return type(claim) is dict and claim.keys() == {"sub"} and type(claim["sub"]) is str


def instant(seconds: int) -> datetime:
    """Return a token's NumericDate as an aware `datetime`."""
    return datetime.fromtimestamp(seconds, UTC)
