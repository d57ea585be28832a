"""The server's keys, derived from Django's ``SECRET_KEY``.

Each is HKDF-SHA256 (RFC 5869) of the secret, with a label of its own, so that no use can weaken another: an Ed25519
key pair that signs access tokens, the MAC key of refresh tokens with the four bytes that name it, and the key from
which a handed-over session's identity is made (`tokens.handover`). The first
secret makes tokens; ``SECRET_KEY_FALLBACKS`` check them too. So a rotation of keys is Django's own: the new secret as
a fall-back everywhere first, then swapped.

Public keys are named by their JWK thumbprint (RFC 7638).
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver

from tokens.refresh_tokens import KEY_ID_BYTES

ALGORITHM = "EdDSA"


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """All keys of one process. ``kid`` and ``key_id`` name the ones that make tokens; all of them check."""

    kid: str
    signing_key: Ed25519PrivateKey
    verifying_keys: Mapping[str, Ed25519PublicKey]
    key_id: bytes
    mac_keys: Mapping[bytes, bytes]
    handover_key: bytes

    @property
    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys as a JWK Set (RFC 7517 section 5; RFC 8037 for Ed25519)."""
        return {
            "keys": [
                {**_public_jwk(key), "kid": kid, "use": "sig", "alg": ALGORITHM}
                for kid, key in self.verifying_keys.items()
            ]
        }


def derive(secrets: Sequence[str]) -> KeyRing:
    """Return the keys of these secrets, the one that makes tokens first."""
    signing_keys = {}
    mac_keys = {}
    for secret in secrets:
        private = Ed25519PrivateKey.from_private_bytes(_hkdf(secret, "access token, Ed25519", 32))
        signing_keys[_thumbprint(private.public_key())] = private
        mac_keys[_hkdf(secret, "refresh token, key id", KEY_ID_BYTES)] = _hkdf(secret, "refresh token, MAC", 32)
    kid, signing_key = next(iter(signing_keys.items()))
    return KeyRing(
        kid=kid,
        signing_key=signing_key,
        verifying_keys={kid: key.public_key() for kid, key in signing_keys.items()},
        key_id=next(iter(mac_keys)),
        mac_keys=mac_keys,
        handover_key=_hkdf(secrets[0], "hand-over", 32),
    )


@lru_cache(maxsize=1)
def keyring() -> KeyRing:
    """Return the keys of this process's settings."""
    return derive([settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS])


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting in {"SECRET_KEY", "SECRET_KEY_FALLBACKS"}:
        keyring.cache_clear()


def _hkdf(secret: str, label: str, length: int) -> bytes:
    info = f"latchkey: {label}".encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret.encode())


def _public_jwk(key: Ed25519PublicKey) -> dict[str, str]:
    x = urlsafe_b64encode(key.public_bytes_raw()).rstrip(b"=").decode()
    return {"crv": "Ed25519", "kty": "OKP", "x": x}


def _thumbprint(key: Ed25519PublicKey) -> str:
    # RFC 7638 section 3: the required members alone, in lexicographic order, without white space.
    text = json.dumps(_public_jwk(key), separators=(",", ":"), sort_keys=True)
    return urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()
