"""The server's keys: those derived from Django's ``SECRET_KEY``, and those that SIGNING_KEYS names.

A derived key is HKDF-SHA256 (RFC 5869) of the secret, with a label of its own, so that no use can weaken another: an
Ed25519 key pair that signs access tokens, the MAC key of refresh tokens with the four bytes that name it, the one of a
bound session's challenges (`tokens.protocol.dbsc`), and the key from which a handed-over session's identity is made
(`tokens.web.django_session`). The first secret makes tokens;
``SECRET_KEY_FALLBACKS`` check them too. So a rotation of keys is Django's own: the new secret as a fall-back
everywhere first, then swapped.

SIGNING_KEYS is rotated likewise: the first key of the list signs, all check. ``derived`` in it stands for the Ed25519
keys, and nothing else makes them count: whoever has moved to keys in files can let a leaked ``SECRET_KEY`` forge no
access token. It is the whole list where there is none. Ed25519 alone is derived: a derivation may never change once
it has signed, and a change of algorithm takes the same steps as a change of key, for which keys need entries of
their own. MAC keys are always derived.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tokens.protocol import signing_keys
from tokens.protocol.refresh_tokens import KEY_ID_BYTES
from tokens.protocol.signing_keys import SigningKey, VerifyingKey


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """All keys of one process. ``signing_key`` and ``key_id``'s make tokens; all of them check, each by its name.

    ``binding_keys``: of challenges, which name no key; the first makes them, all check.
    """

    signing_key: SigningKey
    verifying_keys: Mapping[str, VerifyingKey]
    key_id: bytes
    mac_keys: Mapping[bytes, bytes]
    binding_keys: Sequence[bytes]
    django_session_key: bytes

    @property
    def kid(self) -> str:
        """The name of the key that signs access tokens."""
        return self.signing_key.kid

    @property
    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys as a JWK Set (RFC 7517 section 5)."""
        return {"keys": [key.jwk for key in self.verifying_keys.values()]}


def derive(secrets: Sequence[str], named: Sequence[SigningKey | None] = (None,)) -> KeyRing:
    """Return the keys of these secrets, the one that makes tokens first.

    ``named``: what signs access tokens, likewise; None stands for the keys derived from all the secrets.
    """
    derived = []
    mac_keys = {}
    for secret in secrets:
        private = Ed25519PrivateKey.from_private_bytes(_hkdf(secret, "access token, Ed25519", 32))
        derived.append(signing_keys.of(private))
        mac_keys[_hkdf(secret, "refresh token, key id", KEY_ID_BYTES)] = _hkdf(secret, "refresh token, MAC", 32)
    found = [key for one in named for key in (derived if one is None else [one])]
    return KeyRing(
        signing_key=found[0],
        verifying_keys={key.kid: key.verifying for key in found},
        key_id=next(iter(mac_keys)),
        mac_keys=mac_keys,
        binding_keys=[_hkdf(secret, "device binding, MAC", 32) for secret in secrets],
        django_session_key=_hkdf(secrets[0], "hand-over", 32),
    )


def _hkdf(secret: str, label: str, length: int) -> bytes:
    info = f"latchkey: {label}".encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret.encode())
