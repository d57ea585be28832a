"""Private keys for tests, in PEM. Each is made once in a run, because making an RSA key takes long."""

from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

_MAKERS: dict[str, Any] = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "RSA-1024": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "Ed448": ed448.Ed448PrivateKey.generate,
}


def private_key(kind: str, which: int = 0) -> Any:
    """Return a key of this kind: the same for the same number, a different one for another number."""
    return _made(kind, which)


@cache
def _made(kind: str, which: int) -> Any:
    return _MAKERS[kind]()


def pem(kind: str, which: int = 0, *, password: bytes | None = None, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    """Return the PEM of a private key."""
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return str(private_key(kind, which).private_bytes(Encoding.PEM, form, encryption).decode())


def public_pem(kind: str) -> str:
    public = private_key(kind).public_key()
    return str(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
