"""Wycheproof's vectors of JSON Web Signatures and of Ed25519, against what checks our access tokens.

The vectors are tokens of other people's servers, so all of them are refused, for more reasons than one. What each is
about, a signature or its encoding, is therefore moved to a token that is ours but for that: made with the vector's
own private key, by a server that has this key.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.attacks.doors import INTROSPECTION, assert_shut
from tokens.access_tokens import InvalidAccessToken, codec
from tokens.keys import keyring

FOLDER = Path(__file__).parent / "wycheproof"
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493

Vector = dict[str, Any]


def groups(name: str) -> list[Vector]:
    found: list[Vector] = json.loads((FOLDER / f"{name}_test.json").read_text())["testGroups"]
    return found


SIGNATURES = groups("json_web_signature")
EVERYTHING = [*SIGNATURES, *groups("json_web_crypto"), *groups("json_web_key")]
OURS = {"ES256": ECAlgorithm, "RS256": RSAAlgorithm}


def of(algorithm: str) -> Iterator[tuple[Vector, Vector]]:
    """The vectors whose key is one of this algorithm, each with its key (a JWK)."""
    for group in SIGNATURES:
        if group.get("private", {}).get("alg") == algorithm:
            yield from ((vector, group["private"]) for vector in group["tests"])


def raw(segment: str) -> bytes:
    return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def minted() -> str:
    """A token of this server, as it makes it for somebody who signs in now."""
    now = datetime.now(UTC)
    text, _ = codec().dumps(
        subject="01a20a65-4511-7180-b9d3-f54cc5d14402",
        session_id=UUID("01939d2a-7c00-7abc-8def-0123456789ab"),
        generation=0,
        now=now,
        lifetime=timedelta(seconds=600),
        session_ends_at=now + timedelta(days=1),
        authenticated_at=now,
        methods=["pwd"],
    )
    return text


def sign_with(jwk: Vector, settings: Any) -> None:
    """Let the server sign with this key."""
    key: Any = OURS[jwk["alg"]].from_jwk(jwk)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    settings.TOKENS = {"ALGORITHM": jwk["alg"], "SIGNING_KEYS": [pem], **INTROSPECTION}


@cache
def public_key(jwk: str) -> Any:
    key: Any = OURS[json.loads(jwk)["alg"]].from_jwk(jwk)
    return key.public_key()


def accepted(text: str) -> bool:
    try:
        codec().loads(text, datetime.now(UTC))
    except InvalidAccessToken:
        return False
    return True


def test_no_token_of_anybody_elses_opens_a_door(settings):
    settings.TOKENS = INTROSPECTION
    tokens = [str(vector.get("jws") or vector.get("jwe") or "") for group in EVERYTHING for vector in group["tests"]]
    assert len(tokens) == 510
    assert_shut(dict.fromkeys(token for token in tokens if ";" not in token))


@pytest.mark.parametrize("algorithm", OURS)
def test_nor_where_its_key_is_ours(algorithm, settings):
    vectors = list(of(algorithm))
    for jwk in {json.dumps(jwk): jwk for _, jwk in vectors}.values():
        sign_with(jwk, settings)
        assert accepted(minted())
        for vector in (vector for vector, key in vectors if key == jwk):
            assert not accepted(vector["jws"]), vector["comment"]


@pytest.mark.parametrize("algorithm", OURS)
def test_what_checks_our_signatures_finds_theirs_good_or_bad_as_they_are(algorithm):
    seen = set()
    for vector, jwk in of(algorithm):
        try:
            jwt.api_jws.decode(vector["jws"], public_key(json.dumps(jwk)), algorithms=[algorithm])
        except jwt.PyJWTError:
            found = "invalid"
        else:
            found = "valid"
        assert found == vector["result"], vector["comment"]
        seen.add(found)
    assert seen == {"valid", "invalid"}


def test_a_signature_of_two_numbers_has_to_be_in_their_range(settings):
    vectors = [(vector, jwk) for vector, jwk in of("ES256") if vector["jws"].count(".") == 2]
    sign_with(vectors[0][1], settings)
    head, _, _ = minted().rpartition(".")
    assert accepted(minted())
    assert len(vectors) > 30
    assert_shut(f"{head}.{vector['jws'].rpartition('.')[2]}" for vector, _ in vectors)


def test_a_signature_that_is_a_power_has_to_be_padded_to_the_letter(settings):
    """Each vector's padding, around the digest of our own token, and signed with the server's own key."""
    vectors = [(vector, jwk) for vector, jwk in of("RS256") if jwk.get("kid") == "kid-rsa-sign"]
    sign_with(vectors[0][1], settings)
    key: Any = keyring().signing_key.private
    numbers = key.private_numbers()
    modulus, size = numbers.public_numbers.n, key.key_size // 8
    head, _, _ = minted().rpartition(".")
    ours = sha256(head.encode()).digest()

    def moved(jws: str) -> str | None:
        signed, _, signature = jws.rpartition(".")
        padded = pow(int.from_bytes(raw(signature)), numbers.public_numbers.e, modulus).to_bytes(size)
        theirs = sha256(signed.encode()).digest()
        if theirs not in padded:
            return None
        return f"{head}.{encoded(to_the_power_of_d(padded.replace(theirs, ours), numbers).to_bytes(size))}"

    found = [text for vector, _ in vectors if vector["result"] == "invalid" and (text := moved(vector["jws"]))]
    assert accepted(moved(vectors[0][0]["jws"]) or "")  # The good one, so that moving it is known to work.
    assert len(found) > 100  # The others have no digest in them, or no padding.
    assert_shut(found)


def to_the_power_of_d(padded: bytes, key: Any) -> int:
    """RSASP1 with the private key's factors (RFC 8017 section 5.2.1): no library signs a wrong padding."""
    number = int.from_bytes(padded)
    one, other = pow(number, key.dmp1, key.p), pow(number, key.dmq1, key.q)
    return int(other + key.q * ((one - other) * key.iqmp % key.p))


def test_what_checks_ed25519_finds_their_signatures_good_or_bad_as_they_are():
    algorithm = OKPAlgorithm()
    for group in groups("ed25519"):
        key = algorithm.from_jwk(group["publicKeyJwk"])
        for vector in group["tests"]:
            good = algorithm.verify(bytes.fromhex(vector["msg"]), key, bytes.fromhex(vector["sig"]))
            assert good is (vector["result"] == "valid"), vector["comment"]


def test_a_signature_of_ed25519_has_one_spelling(settings):
    """What anybody can do to a good one: add the group's order to the scalar, flip the sign of the point, and so on."""
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
    assert_shut(f"{head}.{encoded(one)}" for one in changed)
