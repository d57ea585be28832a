"""Private keys for tests, in PEM. Each is made once in a run, because making an RSA key takes long."""

from base64 import b64encode
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


def pss_pem() -> str:
    """Return the PEM of an RSA key that is for RSASSA-PSS only, as `openssl genpkey -algorithm RSA-PSS` makes it."""
    der = private_key("RS256").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    plain, pss = bytes.fromhex("300d06092a864886f70d0101010500"), bytes.fromhex("300b06092a864886f70d01010a")
    inside = der[4:].replace(plain, pss, 1)
    text = b64encode(b"\x30\x82" + len(inside).to_bytes(2, "big") + inside).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"


def public_pem(kind: str) -> str:
    public = private_key(kind).public_key()
    return str(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
