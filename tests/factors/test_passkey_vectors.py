"""The test vectors of WebAuthn Level 3 (section 16): each passkey is created, and then signs.

``webauthn_vectors.json`` has the values of the specification. Vectors of attestation are among them: no attestation is
verified, and the passkey is the same.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from factors import ceremonies
from factors.ceremonies import Refused

VECTORS = json.loads((Path(__file__).parent / "webauthn_vectors.json").read_text())
PARTY = SimpleNamespace(id="example.org", origins=["https://example.org"])
IN_A_FRAME = {"none-es256-crossOrigin", "none-es256-topOrigin"}
"""Those of a page in a frame of another site, which are refused."""

each = pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])


def as_json(vector: dict[str, Any], ceremony: str) -> dict[str, Any]:
    """Return a vector as a browser's ``toJSON`` returns it."""
    raw_id = ceremonies.encoded(bytes.fromhex(vector["credential_id"]))
    values = {name: ceremonies.encoded(bytes.fromhex(text)) for name, text in vector[ceremony].items()}
    values.pop("challenge")
    return {"id": raw_id, "rawId": raw_id, "type": "public-key", "clientExtensionResults": {}, "response": values}


def test_all_of_the_section_are_there():
    assert len(VECTORS) == 15
    assert {vector["section"] for vector in VECTORS} > IN_A_FRAME


@each
def test_a_vector_creates_and_signs(vector):
    if vector["section"] in IN_A_FRAME:
        for read, name in ((ceremonies.read_creation, "registration"), (ceremonies.read_assertion, "authentication")):
            with pytest.raises(Refused, match="cross-origin"):
                read(PARTY, as_json(vector, name))
        return
    new = ceremonies.read_creation(PARTY, as_json(vector, "registration"))
    assert new.challenge.hex() == vector["registration"]["challenge"]
    assert (new.credential_id.hex(), new.aaguid.hex) == (vector["credential_id"], vector["aaguid"])
    signed = ceremonies.read_assertion(PARTY, as_json(vector, "authentication"))
    assert signed.challenge.hex() == vector["authentication"]["challenge"]
    assert signed.credential_id == new.credential_id
    assert signed.can_sync is new.can_sync
    signed.verify(new.public_key)


@each
def test_a_vector_with_another_byte_is_refused(vector):
    if vector["section"] in IN_A_FRAME:
        return
    key = ceremonies.read_creation(PARTY, as_json(vector, "registration")).public_key
    for name in ("signature", "authenticatorData", "clientDataJSON"):
        for place in (0, -1):
            changed = bytearray.fromhex(vector["authentication"][name])
            changed[place] ^= 1
            other = {**vector, "authentication": {**vector["authentication"], name: changed.hex()}}
            with pytest.raises(Refused):
                ceremonies.read_assertion(PARTY, as_json(other, "authentication")).verify(key)
