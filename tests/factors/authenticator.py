"""An authenticator and a browser in software: they create passkeys and sign, as the specification says.

It uses `cryptography` for the keys, and the types of `fido2` for the bytes. Each argument makes one of its answers
wrong in one way.
"""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_bytes
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from fido2.cose import ES256, RS256, CoseKey, EdDSA
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

ORIGIN = "https://testserver"
FLAG = AuthenticatorData.FLAG
APPLE = bytes.fromhex("fbfc3007154e4ecc8c0b6e020557d7bd")


@dataclass
class Credential:
    """A passkey in the authenticator."""

    rp_id: str
    id: bytes
    key: Any
    user_handle: bytes
    sign_count: int = 0


@dataclass
class Authenticator:
    """A device or a password manager. ``counts``: whether it has a signature counter."""

    kind: type[CoseKey] = ES256
    origin: str = ORIGIN
    counts: bool = False
    verifies: bool = True
    can_sync: bool = True
    is_synced: bool = True
    aaguid: bytes = APPLE
    is_discoverable: bool | None = True
    credentials: list[Credential] = field(default_factory=list)

    def create(self, options: dict[str, Any], *, present: bool = True, **changed: Any) -> dict[str, Any]:
        """Return the answer to options for a new passkey, as ``toJSON`` does."""
        made = Credential(
            options["rp"]["id"],
            changed.pop("credential_id", None) or token_bytes(32),
            _new_key(self.kind),
            websafe_decode(options["user"]["id"]),
            int(self.counts),
        )
        excluded = {websafe_decode(one["id"]) for one in options["excludeCredentials"]}
        assert not excluded & {one.id for one in self.credentials}
        self.credentials.append(made)
        public = self.kind.from_cryptography_key(made.key.public_key())
        attested = AttestedCredentialData.create(self.aaguid, made.id, changed.pop("public_key", public))
        flags = changed.pop("flags", self._flags(present=present) | FLAG.AT)
        data = AuthenticatorData.create(
            sha256(changed.pop("rp_id", made.rp_id).encode()).digest(),
            flags,
            made.sign_count,
            attested if flags & FLAG.AT else b"",
        )
        attestation = AttestationObject.create("none", data, {})
        found = self._answer(made, "webauthn.create", options["challenge"], changed)
        found["response"] |= {"attestationObject": websafe_encode(attestation), "transports": ["internal", "hybrid"]}
        if self.is_discoverable is not None:
            found["clientExtensionResults"] = {"credProps": {"rk": self.is_discoverable}}
        return found

    def sign(self, options: dict[str, Any], credential: Credential | None = None, **changed: Any) -> dict[str, Any]:
        """Return the answer to options for a signature."""
        allowed = {websafe_decode(one["id"]) for one in options["allowCredentials"]}
        used = credential or next(
            one for one in self.credentials if one.rp_id == options["rpId"] and (not allowed or one.id in allowed)
        )
        used.sign_count += int(self.counts)
        data = AuthenticatorData.create(
            sha256(changed.pop("rp_id", used.rp_id).encode()).digest(),
            changed.pop("flags", self._flags()),
            changed.pop("sign_count", used.sign_count),
        )
        user_handle = changed.pop("user_handle", used.user_handle)
        key = changed.pop("key", used.key)
        found = self._answer(used, "webauthn.get", options["challenge"], changed)
        signed = data + sha256(websafe_decode(found["response"]["clientDataJSON"])).digest()
        found["response"] |= {
            "authenticatorData": websafe_encode(data),
            "signature": websafe_encode(_signature(key, signed)),
        }
        if user_handle is not None:
            found["response"]["userHandle"] = websafe_encode(user_handle)
        return found

    def _flags(self, *, present: bool = True) -> int:
        flags = {FLAG.UP: present, FLAG.UV: self.verifies, FLAG.BE: self.can_sync, FLAG.BS: self.is_synced}
        return sum(flag for flag, is_set in flags.items() if is_set)

    def _answer(self, used: Credential, kind: str, challenge: str, changed: dict[str, Any]) -> dict[str, Any]:
        client_data = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False, **changed}
        raw_id = websafe_encode(used.id)
        return {
            "id": raw_id,
            "rawId": raw_id,
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {"clientDataJSON": websafe_encode(json.dumps(client_data, separators=(",", ":")).encode())},
        }


def _new_key(kind: type[CoseKey]) -> Any:
    if kind is EdDSA:
        return ed25519.Ed25519PrivateKey.generate()
    if kind is RS256:
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


def _signature(key: Any, signed: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(signed)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return bytes(key.sign(signed, ec.ECDSA(hashes.SHA256())))
