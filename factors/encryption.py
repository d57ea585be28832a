"""Encrypts secrets in rows with AES-256-GCM, under the keys of `tokens.sessions.encryption_keys`.

The name of the key stands beside the ciphertext. So a secret can be read as long as the ``SECRET_KEY`` with which it
was encrypted is among ``SECRET_KEY_FALLBACKS``. Additional data bind the ciphertext to its row and its user: copied
into another row it cannot be read.
"""

import secrets
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tokens import sessions

_NONCE_BYTES = 12
"""NIST SP 800-38D section 8.2.2 allows 2^32 random nonces of 96 bits under one key."""


class Encrypted(NamedTuple):
    """A secret as a row has it. ``text`` begins with the nonce."""

    key_id: bytes
    text: bytes


class Unreadable(Exception):
    """The key is missing, or the ciphertext is of another row."""


def current_key_id() -> bytes:
    """Return the name of the key that encrypts."""
    return next(iter(sessions.encryption_keys()))


def encrypt(secret: str, about: str) -> Encrypted:
    """Return a secret encrypted under the current key. ``about`` names the row, and has to be given to `decrypt`."""
    [(key_id, key), *_] = sessions.encryption_keys().items()
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return Encrypted(key_id, nonce + AESGCM(key).encrypt(nonce, secret.encode(), about.encode()))


def decrypt(encrypted: Encrypted, about: str) -> str:
    """Return the secret. Raise `Unreadable`."""
    key = sessions.encryption_keys().get(bytes(encrypted.key_id))
    nonce, text = encrypted.text[:_NONCE_BYTES], encrypted.text[_NONCE_BYTES:]
    if key is None:
        raise Unreadable("its key is not among those of SECRET_KEY and SECRET_KEY_FALLBACKS")
    try:
        return AESGCM(key).decrypt(nonce, text, about.encode()).decode()
    except (InvalidTag, ValueError):
        raise Unreadable("it was not encrypted for this row") from None
