"""Device Bound Session Credentials (DBSC): headers, proofs, configuration and challenges, as they are sent.

The browser keeps a private key that cannot be exported, and signs a challenge with it at each refresh. This follows the
W3C draft as Chromium implements it. ``<JWS>`` is a proof, signed with that key::

    sign-in    ←  Secure-Session-Registration: (ES256 RS256);path="…/register";challenge="…";authorization="…"
    register   →  Secure-Session-Response: <JWS>    {"alg": "ES256", "typ": "dbsc+jwt", "jwk": {…}}
                                                    {"jti": "<challenge>", "authorization": "<authorization>"}
                  and the cookie with the refresh token, which our server requires
               ←  200, `configuration` as JSON, and Secure-Session-Challenge: "…";id="<session>" for the first refresh
                  401 without the cookie, as after a sign-in that was reached from another site: a later response
                  offers the registration again
    refresh    →  Sec-Secure-Session-Id: <session>
                  Secure-Session-Response: <JWS>    {"alg": "ES256", "typ": "dbsc+jwt"}, {"jti": "<challenge>"}
               ←  200 and the cookie, and the challenge of the next refresh
                  403 and a challenge to sign; 401 if the session has ended; 503 to try again later
    a request  →  Secure-Session-Skipped: <reason>;session_identifier="<session>", if the refresh failed

The server stores neither challenges nor the authorization (a ticket that names the session of a registration), nor that
a registration was refused for the missing cookie (a claim to another offer), nor what shows that a request comes from
the browser that got the last access token (a voucher). Each contains, in base64url::

    challenge, claim, voucher    generation 4 | time 8 | tag 16    (bytes)
    ticket                       session id 16 | time 8 | tag 16

``time`` is in whole seconds: when the text was made, or when a voucher expires. Numbers are unsigned and big-endian.
``tag`` is HMAC-SHA256 over a label, the id of the session and the bytes before it, truncated to 128 bits. A challenge
belongs to one generation of its session. A refresh begins the next generation, so each challenge works once.

Data from a client is called unverified until its signature is checked. `InvalidProof` is raised without a message.
"""

import hmac
import json
import re
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from tokens.protocol.signing_keys import ES256, LEAST_RSA_BITS, RS256, required_members

REGISTRATION, CHALLENGE, PROOF, SESSION_ID, SKIPPED = (
    "Secure-Session-Registration",
    "Secure-Session-Challenge",
    "Secure-Session-Response",
    "Sec-Secure-Session-Id",
    "Secure-Session-Skipped",
)
ALGORITHMS = ES256, RS256
"""The algorithms offered to browsers, the preferred one first."""
TYPE = "dbsc+jwt"
MAX_PROOF = 8192
"""Characters of a proof. A registration with a 4096-bit RSA key has two thousand."""
MOST_RSA_BITS = 4096
MOST_RSA_EXPONENT = 2**32
"""Larger values would make verifying a proof more expensive for the server than sending it is for the client."""
SKIP_REASONS = frozenset({"unreachable", "server_error", "quota_exceeded"})
OTHER = "other"
"""Stands for every other reason, because a client can send any text."""

TAG_BYTES = 16
VOUCHER_LENGTH = 38
"""Characters of a voucher."""
_CHALLENGE = struct.Struct(">IQ")
_TICKET = struct.Struct(">16sQ")
_OF_REFRESH, _OF_REGISTRATION, _OF_TICKET = b"dbsc refresh", b"dbsc registration", b"dbsc ticket"
_OF_CLAIM, _OF_VOUCHER = b"dbsc claim", b"dbsc voucher"
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_QUOTED = re.compile(r'"([^"\\]*)"')
_TOKEN = re.compile(r"[A-Za-z_]+")


class InvalidProof(Exception):
    """The proof is malformed, or its signature or challenge is wrong."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof as it was received. Nothing in it is verified until `verify` or `registered_key` has returned."""

    text: str = field(repr=False)
    unverified_header: Mapping[str, Any]
    unverified_claims: Mapping[str, Any]

    @property
    def challenge(self) -> str:
        """The challenge that the proof claims to sign."""
        challenge: str = self.unverified_claims["jti"]
        return challenge

    def verify(self, jwk: Mapping[str, str], algorithm: str) -> None:
        """Verify the proof with the session's key. A key in the header is ignored. Raise `InvalidProof`."""
        import jwt  # Slow to import, and most processes verify no proof.

        if self.unverified_header.get("typ") != TYPE:
            raise InvalidProof
        try:
            key: Any = jwt.get_algorithm_by_name(algorithm).from_jwk(dict(jwk))
            jwt.api_jws.decode_complete(self.text, key, algorithms=[algorithm])
        except (jwt.PyJWTError, ValueError, TypeError):
            raise InvalidProof from None

    def registered_key(self) -> tuple[dict[str, str], str]:
        """Return the public key of a registration as a JWK, and its algorithm. Raise `InvalidProof`.

        Only here does a key from the header count: it is the key to register, and the browser proves that it has it.
        """
        algorithm = self.unverified_header.get("alg")
        if algorithm not in ALGORITHMS:
            raise InvalidProof
        jwk = _public_key(self.unverified_header.get("jwk"), algorithm)
        self.verify(jwk, algorithm)
        return jwk, algorithm


def unverified(header: str) -> Proof:
    """Parse a proof, which may be quoted as in the draft. Raise `InvalidProof`."""
    if len(header) > MAX_PROOF:
        raise InvalidProof
    text = _bare(header)
    if not _SHAPE.fullmatch(text):
        raise InvalidProof
    head, payload, signature = text.split(".")
    found, claims = _object(head), _object(payload)
    # Accept only one spelling of the signature, whose spare bits are not signed. Reject extensions (RFC 7515 section
    # 4.1.11).
    if _base64url(_decoded(signature)) != signature or not {"crit", "b64"}.isdisjoint(found):
        raise InvalidProof
    if type(claims.get("jti")) is not str:
        raise InvalidProof
    return Proof(text, found, claims)


def unverified_session_id(header: str) -> UUID | None:
    """Return the id of the session that a refresh claims to be for, or None if the header is not an id."""
    text = _bare(header)
    try:
        session_id = UUID(text)
    except ValueError:
        return None
    return session_id if str(session_id) == text else None


def skip_reason(header: str) -> str:
    """Return why the browser could not refresh before a request: one of `SKIP_REASONS`, or `OTHER`."""
    reason = _TOKEN.match(header.strip())
    return reason[0] if reason and reason[0] in SKIP_REASONS else OTHER


def challenge(key: bytes, session_id: UUID, generation: int, now: datetime) -> str:
    """Return the challenge that the refresh of this generation has to sign."""
    return _sealed(key, _OF_REFRESH, session_id, _CHALLENGE.pack(generation, int(now.timestamp())))


def is_good_challenge(
    text: str, keys: Sequence[bytes], session_id: UUID, generation: int, now: datetime, lifetime: timedelta
) -> bool:
    """Return whether this is a challenge for this generation, and not older than ``lifetime``."""
    return _is_good(text, keys, _OF_REFRESH, session_id, generation, now, lifetime)


class Offer(NamedTuple):
    """What a registration has to sign. It belongs to one session, and expires."""

    challenge: str
    ticket: str


def offer(key: bytes, session_id: UUID, now: datetime) -> Offer:
    """Return what the registration of a new session has to sign."""
    seconds = int(now.timestamp())
    return Offer(
        _sealed(key, _OF_REGISTRATION, session_id, _CHALLENGE.pack(0, seconds)),
        _sealed(key, _OF_TICKET, session_id, _TICKET.pack(session_id.bytes, seconds)),
    )


def offered_session(proof: Proof, keys: Sequence[bytes], now: datetime, lifetime: timedelta) -> UUID:
    """Return the id of the session whose `offer` the proof signs. Raise `InvalidProof`."""
    ticket = proof.unverified_claims.get("authorization")
    body, tag = _opened(ticket) if type(ticket) is str else (b"", b"")
    if len(body) != _TICKET.size:
        raise InvalidProof
    id_bytes, seconds = _TICKET.unpack(body)
    session_id = UUID(bytes=id_bytes)
    if not _is_ours(keys, _OF_TICKET, session_id, body, tag) or _is_past(seconds, now, lifetime):
        raise InvalidProof
    if not _is_good(proof.challenge, keys, _OF_REGISTRATION, session_id, 0, now, lifetime):
        raise InvalidProof
    return session_id


def claim(key: bytes, session_id: UUID, now: datetime) -> str:
    """Return what entitles a browser to another offer, because its registration lacked the cookie of this session."""
    return _sealed(key, _OF_CLAIM, session_id, _CHALLENGE.pack(0, int(now.timestamp())))


def is_good_claim(text: str, keys: Sequence[bytes], session_id: UUID, now: datetime, lifetime: timedelta) -> bool:
    """Return whether this is a claim to another offer for this session, and not older than ``lifetime``."""
    return _is_good(text, keys, _OF_CLAIM, session_id, 0, now, lifetime)


def voucher(key: bytes, session_id: UUID, expires_at: float) -> str:
    """Return what shows that a client has got an access token of this session that expires then, in POSIX seconds."""
    return _sealed(key, _OF_VOUCHER, session_id, _CHALLENGE.pack(0, int(expires_at)))


def is_good_voucher(text: str, keys: Sequence[bytes], session_id: UUID, now: datetime) -> bool:
    """Return whether this is a voucher of this session that has not expired."""
    return _is_good(text, keys, _OF_VOUCHER, session_id, 0, now, timedelta())


def registration_header(path: str, offered: Offer) -> str:
    """Return the value of the header that offers a browser to bind its session."""
    algorithms = " ".join(ALGORITHMS)
    return f'({algorithms});path="{path}";challenge="{offered.challenge}";authorization="{offered.ticket}"'


def challenge_header(challenge: str, session_id: UUID) -> str:
    """Return the value of the header with the challenge that the session's next proof has to sign."""
    return f'"{challenge}";id="{session_id}"'


def configuration(
    session_id: UUID, refresh_path: str, cookie: str, attributes: str, origin: str, static_url: str
) -> dict[str, Any]:
    """Return the configuration of a session: its cookie, the requests that need it, and the URL of its refresh.

    ``cookie`` and ``attributes`` must be those of the cookie that is set. Otherwise the browser does not find the
    cookie, and refreshes before every request.
    """
    static = urlsplit(static_url)
    is_ours = not static.netloc and static.path.strip("/")
    excluded = [{"type": "exclude", "domain": urlsplit(origin).hostname, "path": static.path.rstrip("/")}]
    return {
        "session_identifier": str(session_id),
        "refresh_url": refresh_path,
        "scope": {"include_site": False, "scope_specification": excluded if is_ours else []},
        "credentials": [{"type": "cookie", "name": cookie, "attributes": attributes}],
        # A request from a link in a mail or on another site must also wait for the cookie.
        "allowed_refresh_initiators": ["*"],
    }


def _bare(header: str) -> str:
    text = header.strip(" \t")
    quoted = _QUOTED.fullmatch(text)
    return quoted[1] if quoted else text


def _public_key(jwk: Any, algorithm: str) -> dict[str, str]:
    """Return the required members of a JWK, if it is a public key for this algorithm. Raise `InvalidProof`."""
    import jwt  # As in `Proof.verify`.

    wanted = {"kty": "EC", "crv": "P-256"} if algorithm == ES256 else {"kty": "RSA"}
    names = ("kty", "crv", "x", "y") if algorithm == ES256 else ("kty", "n", "e")
    if not isinstance(jwk, dict) or any(type(jwk.get(name)) is not str for name in names):
        raise InvalidProof
    public = {name: jwk[name] for name in names}
    if not wanted.items() <= public.items():
        raise InvalidProof
    try:
        key: Any = jwt.get_algorithm_by_name(algorithm).from_jwk(public)
    except (jwt.PyJWTError, ValueError, TypeError):
        raise InvalidProof from None
    if algorithm == RS256 and not (
        LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS and key.public_numbers().e < MOST_RSA_EXPONENT
    ):
        raise InvalidProof
    return required_members(key)


def _object(segment: str) -> dict[str, Any]:
    """Return the JSON object in a segment. Raise `InvalidProof`, also if it has the same name twice."""
    try:
        found = json.loads(_decoded(segment).decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise InvalidProof from None
    if not isinstance(found, dict):
        raise InvalidProof
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidProof
    return found


def _is_good(
    text: str,
    keys: Sequence[bytes],
    label: bytes,
    session_id: UUID,
    generation: int,
    now: datetime,
    lifetime: timedelta,
) -> bool:
    try:
        body, tag = _opened(text)
    except InvalidProof:
        return False
    if len(body) != _CHALLENGE.size or not _is_ours(keys, label, session_id, body, tag):
        return False
    its_generation, seconds = _CHALLENGE.unpack(body)
    return its_generation == generation and not _is_past(seconds, now, lifetime)


def _is_past(seconds: int, now: datetime, lifetime: timedelta) -> bool:
    return now.timestamp() - seconds > lifetime.total_seconds()


def _sealed(key: bytes, label: bytes, session_id: UUID, body: bytes) -> str:
    return _base64url(body + _tag(key, label, session_id, body))


def _opened(text: str) -> tuple[bytes, bytes]:
    raw = _decoded(text)
    if _base64url(raw) != text:
        raise InvalidProof
    return raw[:-TAG_BYTES], raw[-TAG_BYTES:]


def _is_ours(keys: Sequence[bytes], label: bytes, session_id: UUID, body: bytes, tag: bytes) -> bool:
    return any(hmac.compare_digest(tag, _tag(key, label, session_id, body)) for key in keys)


def _tag(key: bytes, label: bytes, session_id: UUID, body: bytes) -> bytes:
    return hmac.digest(key, label + session_id.bytes + body, "sha256")[:TAG_BYTES]


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise InvalidProof from None
