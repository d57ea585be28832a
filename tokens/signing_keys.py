"""Signing keys: what access tokens are signed with, read from PEM, and what the world is shown of them.

=========  ========================  ========================
``EdDSA``  Ed25519                   RFC 8037 section 3.1
``ES256``  ECDSA on the curve P-256  RFC 7518 section 3.4
``RS256``  RSA of 2048 bits or more  RFC 7518 section 3.3
=========  ========================  ========================

A key is of one algorithm, the one that its type says. A token's header can choose among our keys, but never what is
done with one. A key is named by its JWK thumbprint (RFC 7638): the SHA-256 of its required members alone, as in
``{"crv":"Ed25519","kty":"OKP","x":"…"}``.

`read` takes what the setting SIGNING_KEYS holds: PEM texts, paths of PEM files, and the word ``derived``, for the keys
that `tokens.keys` makes from Django's secrets. What is wrong with a key is told by its place in the list, and never
by its text: a key whose armour was lost would be taken for a path, and end up in a log.
"""

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tokens.mistakes import Mistake

EDDSA, ES256, RS256 = ALGORITHMS = "EdDSA", "ES256", "RS256"
DERIVED = "derived"
LEAST_RSA_BITS = 2048
"""RFC 7518 section 3.3."""
P256_BYTES = 32
MAX_PEM = 64 * 1024
"""Bytes of a file: the key of an RSA of 16384 bits has thirteen thousand."""

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey

_PRIVATE = re.compile(rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_PUBLIC = re.compile(rb"-----BEGIN ([A-Z0-9 ]*PUBLIC KEY|CERTIFICATE)-----")
_MAKE = "`manage.py make_signing_key` makes one."


class Flaw(Enum):
    """Why something is no signing key: the id of the system check, what is said, and what to do."""

    UNREADABLE = "E019", "is no PEM, and no file that can be read", "The path of a PEM file that this process may read."
    GARBLED = "E020", "is not one private key in PEM", f"One key in each file, with its line breaks. {_MAKE}"
    ENCRYPTED = "E021", "is encrypted", "Nobody is there to type a password: `openssl pkey -in its.pem -out key.pem`."
    PUBLIC = "E022", "is a public key", f"The private key is needed, which has the public one in it. {_MAKE}"
    UNSUITABLE = "E023", "is neither Ed25519 nor P-256 nor RSA", _MAKE
    SHORT = "E024", f"is an RSA key of less than {LEAST_RSA_BITS} bits", _MAKE


class UnusableKey(ValueError):
    """Something is no signing key. Holds nothing of it but the ``flaw``."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.value[1])
        self.flaw = flaw


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key with its name, and the one algorithm that it is good for."""

    kid: str
    algorithm: str
    public: PublicKey = field(repr=False)

    @property
    def jwk(self) -> dict[str, Any]:
        """The key as a JWK (RFC 7517 section 4)."""
        return {**required_members(self.public), "kid": self.kid, "use": "sig", "alg": self.algorithm}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, and its public half."""

    private: PrivateKey = field(repr=False)
    verifying: VerifyingKey

    @property
    def kid(self) -> str:
        return self.verifying.kid

    @property
    def algorithm(self) -> str:
        return self.verifying.algorithm


def read(algorithm: str, sources: Sequence[str]) -> tuple[tuple[SigningKey | None, ...], list[Mistake]]:
    """Return the keys of SIGNING_KEYS, None where it says ``derived``, and what is wrong with them."""
    if algorithm not in ALGORITHMS:
        return (None,), [Mistake("E018", f"ALGORITHM is {algorithm!r}.", f"There are: {', '.join(ALGORITHMS)}.")]
    found: list[SigningKey | None] = []
    mistakes = []
    for place, source in enumerate(sources, start=1):
        try:
            found.append(None if source == DERIVED else load(source))
        except UnusableKey as error:
            id, message, hint = error.flaw.value
            mistakes.append(Mistake(id, f"SIGNING_KEYS: key {place} {message}.", hint))
    if len({key and key.kid for key in found}) < len(found):
        mistakes.append(
            Mistake("E025", "SIGNING_KEYS has a key twice.", "The first signs, the others check: once each.")
        )
    first = found[0].algorithm if found and found[0] else EDDSA
    if not mistakes and first != algorithm:
        make = f"`manage.py make_signing_key --algorithm {algorithm}`"
        hint = f"ALGORITHM = {first}, or a key for {algorithm} in front of the others: {make}"
        what = f"the first of SIGNING_KEYS is for {first}" if found[0] else f"a derived key is for {EDDSA}"
        mistakes.append(Mistake(Flaw.UNSUITABLE.value[0], f"ALGORITHM is {algorithm}, but {what}.", hint))
    return (None,) if mistakes else tuple(found), mistakes


def load(source: str) -> SigningKey:
    """Return the key of a PEM text, or of the file at a path. Raises `UnusableKey`."""
    if "-----BEGIN " in source:
        return parse(source.encode("utf-8", "replace"))
    try:
        with open(source, "rb") as file:
            pem = file.read(MAX_PEM)
    except (OSError, ValueError):
        # Not from the error, which has the path in it, or what was taken for one.
        raise UnusableKey(Flaw.UNREADABLE) from None
    return parse(pem)


def parse(pem: bytes) -> SigningKey:
    """Return the one private key of a PEM: PKCS#8, or what OpenSSL wrote before it. Raises `UnusableKey`."""
    blocks = list(_PRIVATE.finditer(pem))
    if not blocks and _PUBLIC.search(pem):
        raise UnusableKey(Flaw.PUBLIC)
    if len(blocks) != 1:
        raise UnusableKey(Flaw.GARBLED)
    try:
        private = load_pem_private_key(blocks[0][0], password=None)
    except TypeError:
        raise UnusableKey(Flaw.ENCRYPTED) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey(Flaw.GARBLED) from None
    return of(private)


def of(private: Any) -> SigningKey:
    """Return the signing key that this private key is. Raises `UnusableKey`."""
    match private:
        case Ed25519PrivateKey():
            algorithm = EDDSA
        case EllipticCurvePrivateKey() if isinstance(private.curve, SECP256R1):
            algorithm = ES256
        case RSAPrivateKey():
            if private.key_size < LEAST_RSA_BITS:
                raise UnusableKey(Flaw.SHORT)
            algorithm = RS256
        case _:
            raise UnusableKey(Flaw.UNSUITABLE)
    public = private.public_key()
    return SigningKey(private, VerifyingKey(thumbprint(public), algorithm, public))


def thumbprint(key: PublicKey) -> str:
    """Return the name of a public key (RFC 7638)."""
    # Section 3: the required members alone, in lexicographic order, without white space.
    text = json.dumps(required_members(key), separators=(",", ":"), sort_keys=True)
    return _base64url(sha256(text.encode()).digest())


def required_members(key: PublicKey) -> dict[str, str]:
    """Return what a JWK of this key must have (RFC 7518 section 6, RFC 8037 section 2)."""
    if isinstance(key, Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(key.public_bytes_raw())}
    if isinstance(key, EllipticCurvePublicKey):
        point = key.public_numbers()
        # A coordinate has all its octets, zeros in front too; an RSA number has none (RFC 7518 section 2).
        x, y = (_base64url(number.to_bytes(P256_BYTES, "big")) for number in (point.x, point.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    numbers = key.public_numbers()
    n, e = (_base64url(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.n, numbers.e))
    return {"kty": "RSA", "n": n, "e": e}


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
