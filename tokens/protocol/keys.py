"""All keys of the server: those derived from Django's ``SECRET_KEY``, and those of the setting SIGNING_KEYS.

Each derived key is HKDF-SHA256 (RFC 5869) of the secret with a label of its own, so that the use of one key cannot
weaken another. The label ends in the name of the tenant, if there is one. Derived are:

- an Ed25519 key pair that signs access tokens,
- the MAC key of refresh tokens, and the four bytes that name it,
- the MAC key of challenges to devices (`tokens.protocol.dbsc`),
- the key from which a session for a sign-in in Django's own session gets its secret,
- the key from which the session that follows an impersonation gets its secret,
- the MAC key of pending sign-ins,
- the MAC key of challenges to passkeys,
- the key that encrypts secrets in rows, and the four bytes that name it.

New tokens are made with the first secret. Those of ``SECRET_KEY_FALLBACKS`` verify. So keys are rotated as in Django:
add the new secret as a fallback on every server first, then swap the two.

SIGNING_KEYS is rotated in the same way: the first key of the list signs, and all verify. The entry ``derived`` stands
for the Ed25519 keys, and is the default. Without it the derived keys do not count, so that a leaked ``SECRET_KEY``
cannot forge access tokens. Only Ed25519 is derived. MAC keys are always derived.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tokens.protocol import signing_keys
from tokens.protocol.refresh_tokens import KEY_ID_BYTES
from tokens.protocol.signing_keys import SigningKey, VerifyingKey


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """All keys of one process.

    ``signing_key`` signs access tokens, and the MAC key named ``key_id`` makes refresh tokens. All of
    ``verifying_keys`` and ``mac_keys`` verify. Challenges name no key: the first of ``binding_keys`` makes them, and
    all verify. The same holds for ``django_session_keys``, ``release_keys`` and the secrets of sessions, and for
    ``pending_keys`` and ``passkey_keys``.
    """

    signing_key: SigningKey
    verifying_keys: Mapping[str, VerifyingKey]
    key_id: bytes
    mac_keys: Mapping[bytes, bytes]
    binding_keys: Sequence[bytes]
    django_session_keys: Sequence[bytes]
    release_keys: Sequence[bytes]
    pending_keys: Sequence[bytes]
    passkey_keys: Sequence[bytes]
    encryption_keys: Mapping[bytes, bytes]
    """The keys for secrets in rows by their names. The first encrypts, and all decrypt."""

    @property
    def kid(self) -> str:
        """The name of the key that signs access tokens."""
        return self.signing_key.kid

    @property
    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys as a JWK Set (RFC 7517 section 5)."""
        return {"keys": [key.jwk for key in self.verifying_keys.values()]}


def derive(secrets: Sequence[str], named: Sequence[SigningKey | None] = (None,), tenant: str = "") -> KeyRing:
    """Return the keys of these secrets. The first secret makes tokens.

    ``named`` is the setting SIGNING_KEYS. None stands for the keys derived from all secrets. Each ``tenant`` has
    derived keys of its own.
    """
    of_secret = partial(_hkdf, tenant=tenant)
    derived = []
    mac_keys = {}
    for secret in secrets:
        private = Ed25519PrivateKey.from_private_bytes(of_secret(secret, "access token, Ed25519", 32))
        derived.append(signing_keys.of(private))
        mac_keys[of_secret(secret, "refresh token, key id", KEY_ID_BYTES)] = of_secret(secret, "refresh token, MAC", 32)
    found = [key for one in named for key in (derived if one is None else [one])]
    return KeyRing(
        signing_key=found[0],
        verifying_keys={key.kid: key.verifying for key in found},
        key_id=next(iter(mac_keys)),
        mac_keys=mac_keys,
        binding_keys=[of_secret(secret, "device binding, MAC", 32) for secret in secrets],
        django_session_keys=[of_secret(secret, "hand-over", 32) for secret in secrets],
        release_keys=[of_secret(secret, "release", 32) for secret in secrets],
        pending_keys=[of_secret(secret, "pending sign-in, MAC", 32) for secret in secrets],
        passkey_keys=[of_secret(secret, "passkey, MAC", 32) for secret in secrets],
        encryption_keys={
            of_secret(secret, "encryption, key id", KEY_ID_BYTES): of_secret(secret, "encryption, AES-256-GCM", 32)
            for secret in secrets
        },
    )


def _hkdf(secret: str, label: str, length: int, tenant: str) -> bytes:
    info = f"latchkey: {label}{f', tenant {tenant}' if tenant else ''}".encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret.encode())
