"""The two ceremonies of WebAuthn Level 3, as the server sees them: a passkey is created, and a passkey signs.

`fido2` decodes what browsers send, and verifies signatures. This module compares the rest in the order of the
specification (sections 7.1 and 7.2). `factors.service.passkeys` keeps the rows, and `factors.service.assertions` the
counters and the challenges that were used.

Everything in an answer has to be a text of a limited length before `fido2` gets it. It would otherwise take a number
for a length, and allocate as much memory.

No attestation is asked for, and none is verified. So an authenticator can claim anything about itself.
"""

import json
import struct
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from fido2 import cbor
from fido2.cose import CoseKey
from fido2.utils import websafe_decode
from fido2.webauthn import AttestationObject, AuthenticatorData, CollectedClientData

from factors.challenges import LIFETIME

ALGORITHMS = (-8, -7, -257, -35, -36, -37, -53)
"""Those that keys may have, by preference (IANA, "COSE Algorithms"): EdDSA, ES256, RS256, ES384, ES512, PS256, Ed448.

The first three are those that WebAuthn Level 3 section 5.4 recommends."""
TRANSPORTS = ("usb", "nfc", "ble", "smart-card", "hybrid", "internal")
MAX_ANSWER = 64 * 1024
"""Characters of an answer."""
MAX_CREDENTIAL_ID = 1023
"""Bytes of a credential's id (section 4)."""
MAX_PUBLIC_KEY = 2048
"""Bytes of a public key. One of RSA with 4096 bits has about 530."""
_MAX_CLIENT_DATA, _MAX_ATTESTATION, _MAX_AUTHENTICATOR_DATA, _MAX_SIGNATURE, _MAX_USER_HANDLE = (
    4096,
    16384,
    2048,
    2048,
    64,
)
_UNREADABLE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
    RecursionError,
    struct.error,
    UnsupportedAlgorithm,
)
"""What `fido2` and `cryptography` raise for bytes that mean nothing."""


class Refused(Exception):
    """The answer is not right. The text says what is wrong, for tests and for nobody else."""


class Party(Protocol):
    """What a passkey is bound to (`tokens.web.http.relying_party`)."""

    @property
    def id(self) -> str: ...

    @property
    def origins(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """A passkey as the server knows it. ``transports`` are hints of the browser how to reach it."""

    credential_id: bytes
    transports: Sequence[str] = ()

    @property
    def descriptor(self) -> dict[str, Any]:
        found = {"type": "public-key", "id": encoded(self.credential_id)}
        return {**found, "transports": [*self.transports]} if self.transports else found


@dataclass(frozen=True, slots=True)
class New:
    """A passkey that an authenticator has just created, by the answer to `creation_options`.

    ``can_sync`` and ``is_synced`` are the flags BE and BS (section 6.1.3). ``is_discoverable`` is whether the passkey
    can be found without its user's name, so that it signs in by itself. None: the browser does not say it.
    """

    challenge: bytes
    credential_id: bytes
    public_key: bytes
    sign_count: int
    aaguid: UUID
    transports: list[str]
    can_sync: bool
    is_synced: bool
    is_present: bool
    is_verified: bool
    is_discoverable: bool | None


@dataclass(frozen=True, slots=True)
class Assertion:
    """The answer to `request_options`: a passkey has signed. `verify` says whether its signature is good."""

    challenge: bytes
    credential_id: bytes
    user_handle: bytes | None
    sign_count: int
    can_sync: bool
    is_synced: bool
    is_verified: bool
    signed: bytes
    signature: bytes

    def verify(self, public_key: bytes) -> None:
        """Raise `Refused` unless the signature was made with this key (CBOR of a COSE key)."""
        try:
            _key(cbor.decode(public_key)).verify(self.signed, self.signature)
        except InvalidSignature:
            raise Refused("signature") from None
        except _UNREADABLE:
            raise Refused("key") from None


def creation_options(
    party: Party, challenge: bytes, user_handle: bytes, name: str, exclude: Iterable[Stored]
) -> dict[str, Any]:
    """Return what a browser needs to create a passkey, as JSON (section 5.4, ``parseCreationOptionsFromJSON``).

    A security key without room for a passkey that can be found without a name is still good as a second factor. So
    ``residentKey`` and ``userVerification`` are preferred, and not required.
    """
    return {
        "rp": {"id": party.id, "name": party.id},
        "user": {"id": encoded(user_handle), "name": name, "displayName": name},
        "challenge": encoded(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in ALGORITHMS],
        "timeout": LIFETIME * 1000,
        "excludeCredentials": [passkey.descriptor for passkey in exclude],
        "authenticatorSelection": {
            "residentKey": "preferred",
            "requireResidentKey": False,
            "userVerification": "preferred",
        },
        "attestation": "none",
        "extensions": {"credProps": True},
    }


def request_options(
    party: Party, challenge: bytes, allow: Iterable[Stored] = (), *, is_verified: bool = False
) -> dict[str, Any]:
    """Return what a browser needs to let a passkey sign, as JSON (section 5.5, ``parseRequestOptionsFromJSON``).

    Without ``allow`` the browser finds the passkey. ``is_verified``: the authenticator has to verify its user.
    """
    return {
        "challenge": encoded(challenge),
        "timeout": LIFETIME * 1000,
        "rpId": party.id,
        "allowCredentials": [passkey.descriptor for passkey in allow],
        "userVerification": "required" if is_verified else "preferred",
    }


def read_creation(party: Party, answer: Any) -> New:
    """Return the passkey that the answer is about. Raise `Refused`.

    The caller compares its challenge, and whether the user had to be present (section 7.1).
    """
    given, response = _opened(answer)
    client_data = _client_data(party, response, CollectedClientData.TYPE.CREATE)
    raw = _bytes(response, "attestationObject", _MAX_ATTESTATION)
    try:
        decoded: Any = cbor.decode(raw)
        # `fido2` would take a number for a length.
        if not isinstance(decoded, dict) or not isinstance(decoded["authData"], bytes):
            raise Refused("attestation object")
        data = AttestationObject(raw).auth_data
    except _UNREADABLE:
        raise Refused("attestation object") from None
    _compare(party, data)
    found = data.credential_data
    if found is None or found.credential_id != _bytes(given, "rawId", MAX_CREDENTIAL_ID) or not found.credential_id:
        raise Refused("credential")
    public_key = cbor.encode(dict(found.public_key))
    if found.public_key.ALGORITHM not in ALGORITHMS or len(public_key) > MAX_PUBLIC_KEY:
        raise Refused("algorithm")
    _try(found.public_key)
    return New(
        challenge=client_data.challenge,
        credential_id=found.credential_id,
        public_key=public_key,
        sign_count=data.counter,
        aaguid=UUID(bytes=bytes(found.aaguid)),
        transports=_transports(response),
        can_sync=data.is_backup_eligible(),
        is_synced=data.is_backed_up(),
        is_present=data.is_user_present(),
        is_verified=data.is_user_verified(),
        is_discoverable=_is_discoverable(given),
    )


def read_assertion(party: Party, answer: Any) -> Assertion:
    """Return what a passkey has signed. Raise `Refused`.

    The caller compares its challenge, finds its row, and calls `Assertion.verify` (section 7.2).
    """
    given, response = _opened(answer)
    client_data = _client_data(party, response, CollectedClientData.TYPE.GET)
    raw = _bytes(response, "authenticatorData", _MAX_AUTHENTICATOR_DATA)
    try:
        data = AuthenticatorData(raw)
    except _UNREADABLE:
        raise Refused("authenticator data") from None
    _compare(party, data)
    if not data.is_user_present():
        raise Refused("user present")
    user_handle = response.get("userHandle")
    return Assertion(
        challenge=client_data.challenge,
        credential_id=_bytes(given, "rawId", MAX_CREDENTIAL_ID),
        user_handle=None if user_handle is None else _bytes(response, "userHandle", _MAX_USER_HANDLE),
        sign_count=data.counter,
        can_sync=data.is_backup_eligible(),
        is_synced=data.is_backed_up(),
        is_verified=data.is_user_verified(),
        signed=raw + client_data.hash,
        signature=_bytes(response, "signature", _MAX_SIGNATURE),
    )


def encoded(data: bytes) -> str:
    """Return bytes in base64url without padding, as the JSON of WebAuthn has them."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _opened(answer: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return a ``PublicKeyCredential`` and its ``response``, from JSON that was read already, or from its text."""
    if isinstance(answer, str) and len(answer) <= MAX_ANSWER:
        try:
            answer = json.loads(answer)
        except (ValueError, RecursionError):
            raise Refused("JSON") from None
    response = answer.get("response") if isinstance(answer, dict) else None
    if not isinstance(response, dict) or answer.get("type") != "public-key" or answer.get("id") != answer.get("rawId"):
        raise Refused("credential")
    return answer, response


def _bytes(given: Mapping[str, Any], name: str, most: int) -> bytes:
    text = given.get(name)
    if not isinstance(text, str) or len(text) > (most + 2) // 3 * 4:
        raise Refused(name)
    try:
        return websafe_decode(text)
    except ValueError:
        raise Refused(name) from None


def _client_data(party: Party, response: Mapping[str, Any], kind: str) -> CollectedClientData:
    """Return what the browser has seen. Raise `Refused` if it is of another kind, or a page of another site."""
    raw = _bytes(response, "clientDataJSON", _MAX_CLIENT_DATA)
    try:
        decoded = json.loads(raw.decode())
        # `fido2` would take a number for a length.
        if not all(isinstance(decoded[name], str) for name in ("type", "challenge", "origin")):
            raise Refused("client data")
        found = CollectedClientData(raw)
    except _UNREADABLE:
        raise Refused("client data") from None
    if found.type != kind:
        raise Refused("type")
    if found.origin not in party.origins:
        raise Refused("origin")
    # A page of ours in a frame of another site: nobody knows what that site shows around it.
    if decoded.get("crossOrigin", False) is not False or "topOrigin" in decoded:
        raise Refused("cross-origin")
    return found


def _compare(party: Party, data: AuthenticatorData) -> None:
    if data.rp_id_hash != sha256(party.id.encode()).digest():
        raise Refused("rpId")
    if data.is_backed_up() and not data.is_backup_eligible():
        raise Refused("backup flags")


def _key(decoded: Any) -> CoseKey:
    if not isinstance(decoded, dict):
        raise Refused("key")
    return CoseKey.parse(decoded)


def _try(key: CoseKey) -> None:
    """Raise `Refused` if the key cannot verify anything, such as a point that is not on its curve."""
    try:
        key.verify(b"", b"")
    except InvalidSignature:
        return
    except _UNREADABLE:
        pass
    raise Refused("key")


def _transports(response: Mapping[str, Any]) -> list[str]:
    given = response.get("transports")
    return [name for name in TRANSPORTS if isinstance(given, list) and name in given]


def _is_discoverable(given: Mapping[str, Any]) -> bool | None:
    results = given.get("clientExtensionResults")
    properties = results.get("credProps") if isinstance(results, dict) else None
    found = properties.get("rk") if isinstance(properties, dict) else None
    return found if isinstance(found, bool) else None
