"""The test vectors of Wycheproof for JSON Web Signatures and for Ed25519, against the checks of our access tokens.

The vectors are tokens of other servers, so our server rejects all of them, each for several reasons. What a vector is
about, a signature or its encoding, is therefore transferred to a token that is valid except for that. It is made with
the vector's own private key, by a server that has this key.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.attacks.entry_points import INTROSPECTION, assert_rejected, minted
from tests.tokens.protocol.jws import encoded, raw
from tokens.conf import codec, keyring
from tokens.protocol.access_tokens import InvalidAccessToken

FOLDER = Path(__file__).parent / "wycheproof"
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493

Vector = dict[str, Any]


def groups(name: str) -> list[Vector]:
    found: list[Vector] = json.loads((FOLDER / f"{name}_test.json").read_text())["testGroups"]
    return found


SIGNATURES = groups("json_web_signature")
EVERYTHING = [*SIGNATURES, *groups("json_web_crypto"), *groups("json_web_key")]
OURS = {"ES256": ECAlgorithm, "RS256": RSAAlgorithm}

each_algorithm = pytest.mark.parametrize("algorithm", OURS)


def of(algorithm: str) -> Iterator[tuple[Vector, Vector]]:
    """Yield the vectors whose key is for this algorithm, each with its key (a JWK)."""
    for group in SIGNATURES:
        if group.get("private", {}).get("alg") == algorithm:
            yield from ((vector, group["private"]) for vector in group["tests"])


def sign_with(jwk: Vector, settings: Any) -> None:
    """Let the server sign its tokens with this key."""
    key: Any = OURS[jwk["alg"]].from_jwk(jwk)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    settings.TOKENS = {"ALGORITHM": jwk["alg"], "SIGNING_KEYS": [pem], **INTROSPECTION}


def accepted(text: str) -> bool:
    try:
        codec().loads(text, datetime.now(UTC))
    except InvalidAccessToken:
        return False
    return True


def test_a_token_of_another_server_is_rejected(settings):
    settings.TOKENS = INTROSPECTION
    tokens = [str(vector.get("jws") or vector.get("jwe") or "") for group in EVERYTHING for vector in group["tests"]]
    assert len(tokens) == 510
    assert_rejected(dict.fromkeys(token for token in tokens if ";" not in token))


@each_algorithm
def test_a_token_of_another_server_with_the_same_key_is_rejected(algorithm, settings):
    vectors = list(of(algorithm))
    for jwk in {json.dumps(jwk): jwk for _, jwk in vectors}.values():
        sign_with(jwk, settings)
        assert accepted(minted())
        for vector in (vector for vector, key in vectors if key == jwk):
            assert not accepted(vector["jws"]), vector["comment"]


def test_a_signature_of_two_numbers_has_to_be_in_their_range(settings):
    vectors = [(vector, jwk) for vector, jwk in of("ES256") if vector["jws"].count(".") == 2]
    sign_with(vectors[0][1], settings)
    head, _, _ = minted().rpartition(".")
    assert accepted(minted())
    assert len(vectors) > 30
    assert_rejected(f"{head}.{vector['jws'].rpartition('.')[2]}" for vector, _ in vectors)


def test_an_rsa_signature_has_to_have_exactly_the_right_padding(settings):
    """The padding of each vector is put around the digest of our own token and signed with the server's own key."""
    vectors = [(vector, jwk) for vector, jwk in of("RS256") if jwk.get("kid") == "kid-rsa-sign"]
    sign_with(vectors[0][1], settings)
    key: Any = keyring().signing_key.private
    numbers = key.private_numbers()
    modulus, size = numbers.public_numbers.n, key.key_size // 8
    head, _, _ = minted().rpartition(".")
    ours = sha256(head.encode()).digest()

    def transferred(jws: str) -> str | None:
        signed, _, signature = jws.rpartition(".")
        padded = pow(int.from_bytes(raw(signature)), numbers.public_numbers.e, modulus).to_bytes(size)
        theirs = sha256(signed.encode()).digest()
        if theirs not in padded:
            return None
        return f"{head}.{encoded(to_the_power_of_d(padded.replace(theirs, ours), numbers).to_bytes(size))}"

    invalid = [transferred(vector["jws"]) for vector, _ in vectors if vector["result"] == "invalid"]
    found = [text for text in invalid if text]
    assert accepted(transferred(vectors[0][0]["jws"]) or ""), "The first vector is valid, and stays so."
    assert len(found) > 100  # The other cases have no digest, or no padding.
    assert not any(map(accepted, found))


def to_the_power_of_d(padded: bytes, key: Any) -> int:
    """Return RSASP1 with the private key's factors (RFC 8017 section 5.2.1). No library signs a wrong padding."""
    number = int.from_bytes(padded)
    one, other = pow(number, key.dmp1, key.p), pow(number, key.dmq1, key.q)
    return int(other + key.q * ((one - other) * key.iqmp % key.p))


def test_the_library_that_checks_ed25519_agrees_with_the_vectors():
    algorithm = OKPAlgorithm()
    for group in groups("ed25519"):
        key = algorithm.from_jwk(group["publicKeyJwk"])
        for vector in group["tests"]:
            good = algorithm.verify(bytes.fromhex(vector["msg"]), key, bytes.fromhex(vector["sig"]))
            assert good is (vector["result"] == "valid"), vector["comment"]


def test_a_signature_of_ed25519_has_one_spelling(settings):
    """Every client can change a valid signature: add the group's order to the scalar, flip the point's sign, etc."""
    settings.TOKENS = INTROSPECTION
    head, _, last = minted().rpartition(".")
    signature = raw(last)
    point, scalar = signature[:32], int.from_bytes(signature[32:], "little")
    scalars = [scalar + ED25519_ORDER * times for times in range(1, 15)] + [0, ED25519_ORDER, 2**256 - 1]
    points = [point[:31] + bytes([point[31] ^ 0x80]), bytes(32), b"\1" + bytes(31), b"\xff" * 32]
    changed = [point + number.to_bytes(32, "little") for number in scalars if number < 2**256]
    changed += [other + signature[32:] for other in points]
    changed += [signature[:63], signature + b"\0", b"\0" + signature, signature[::-1], bytes(64), b""]
    assert accepted(f"{head}.{encoded(signature)}")
    assert_rejected(f"{head}.{encoded(one)}" for one in changed)
