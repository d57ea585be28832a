"""Keys that sign access tokens: read from PEM, and published as JWK.

=========  ========================  ========================
``EdDSA``  Ed25519                   RFC 8037 section 3.1
``ES256``  ECDSA on the curve P-256  RFC 7518 section 3.4
``RS256``  RSA of 2048 bits or more  RFC 7518 section 3.3
=========  ========================  ========================

The type of a key determines its algorithm. The header of a token can select one of our keys, but not the algorithm. A
key is named by its JWK thumbprint (RFC 7638), the SHA-256 of its required members:
``{"crv":"Ed25519","kty":"OKP","x":"…"}``.
"""

import json
import re
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

EDDSA, ES256, RS256 = ALGORITHMS = "EdDSA", "ES256", "RS256"
LEAST_RSA_BITS = 2048
"""RFC 7518 section 3.3."""
P256_BYTES = 32
RSA_PSS = bytes.fromhex("06092a864886f70d01010a")
"""The object identifier id-RSASSA-PSS in DER (RFC 8017 appendix A.2.3)."""

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey

_PRIVATE = re.compile(rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)
_PUBLIC = re.compile(rb"-----BEGIN ([A-Z0-9 ]*PUBLIC KEY|CERTIFICATE)-----")


class Flaw(Enum):
    """Why a key cannot sign access tokens."""

    UNREADABLE = "not a PEM text, and not a file that can be read"
    GARBLED = "not one private key in PEM"
    ENCRYPTED = "encrypted"
    PUBLIC = "a public key"
    UNSUITABLE = "neither Ed25519 nor P-256 nor RSA"
    SHORT = "a short RSA key"
    PSS = "an RSA-PSS key"


class UnusableKey(ValueError):
    """A key cannot sign access tokens. The error contains the ``flaw``, and nothing of the key."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.value)
        self.flaw = flaw


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key with its name and its algorithm."""

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


def parse(pem: bytes) -> SigningKey:
    """Return the one private key of a PEM: PKCS#8, or an older format of OpenSSL. Raise `UnusableKey`."""
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
    if _is_pss(blocks[0][2]):
        raise UnusableKey(Flaw.PSS)
    return of(private)


def of(private: Any) -> SigningKey:
    """Return the signing key of a private key. Raise `UnusableKey`."""
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


def _is_pss(base64: bytes) -> bool:
    """Return whether a key in PKCS#8 is for RSASSA-PSS only (RFC 4055 section 1.2).

    RS256 is RSASSA-PKCS1-v1_5. `cryptography` loads such a key as any other RSA key, and forgets what it is for.
    """
    text = b"".join(line.strip() for line in base64.splitlines() if b":" not in line)  # PEM may have header fields.
    # The object identifier follows the lengths and the version. It is within the first 33 bytes.
    return RSA_PSS in b64decode(text[:44] + b"==")


def thumbprint(key: PublicKey) -> str:
    """Return the name of a public key (RFC 7638)."""
    # RFC 7638 section 3: only the required members, in lexicographic order, without white space.
    text = json.dumps(required_members(key), separators=(",", ":"), sort_keys=True)
    return _base64url(sha256(text.encode()).digest())


def required_members(key: PublicKey) -> dict[str, str]:
    """Return what a JWK of this key must have (RFC 7518 section 6, RFC 8037 section 2)."""
    if isinstance(key, Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(key.public_bytes_raw())}
    if isinstance(key, EllipticCurvePublicKey):
        point = key.public_numbers()
        # Coordinates keep leading zeros (RFC 7518 section 6.2.1.2). RSA numbers have none (section 2).
        x, y = (_base64url(number.to_bytes(P256_BYTES, "big")) for number in (point.x, point.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    numbers = key.public_numbers()
    n, e = (_base64url(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.n, numbers.e))
    return {"kty": "RSA", "n": n, "e": e}


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
