"""A passkey in software: it registers and signs as an authenticator does (WebAuthn section 6)."""

import json
import secrets
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fido2.cose import EdDSA
from fido2.utils import sha256, websafe_encode
from fido2.webauthn import (
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

RP_ID, ORIGIN = "testserver", "https://testserver"
Flag = AuthenticatorData.FLAG


class Passkey:
    """A key with its credential. ``synced``: whether it is eligible for backup."""

    def __init__(self, *, synced: bool) -> None:
        self._key, self.id = Ed25519PrivateKey.generate(), secrets.token_bytes(16)
        self._flags = Flag.UP | Flag.UV | (Flag.BE if synced else Flag(0))

    def registration(self) -> dict[str, Any]:
        """Return the credential as a browser gives it after a registration, which allauth keeps."""
        public = EdDSA.from_cryptography_key(self._key.public_key())
        credential = AttestedCredentialData.create(b"\0" * 16, self.id, public)
        data = AuthenticatorData.create(sha256(RP_ID.encode()), self._flags | Flag.AT, 0, credential)
        attestation = AttestationObject.create("none", data, {})
        client = CollectedClientData.create(CollectedClientData.TYPE.CREATE, secrets.token_bytes(32), ORIGIN)
        answer = {"clientDataJSON": websafe_encode(client), "attestationObject": websafe_encode(attestation)}
        return {**self._described(), "response": answer, "clientExtensionResults": {"credProps": {"rk": True}}}

    def answer(self, challenge: str, user_handle: str) -> str:
        """Return the JSON of the credential as a browser gives it when the user signs in."""
        data = AuthenticatorData.create(sha256(RP_ID.encode()), self._flags, 0)
        client = CollectedClientData.create(CollectedClientData.TYPE.GET, challenge, ORIGIN)
        answer = {
            "clientDataJSON": websafe_encode(client),
            "authenticatorData": websafe_encode(data),
            "signature": websafe_encode(self._key.sign(data + sha256(client))),
            "userHandle": websafe_encode(user_handle.encode()),
        }
        return json.dumps({**self._described(), "response": answer, "clientExtensionResults": {}})

    def _described(self) -> dict[str, Any]:
        return {"type": "public-key", "id": websafe_encode(self.id), "rawId": websafe_encode(self.id)}
