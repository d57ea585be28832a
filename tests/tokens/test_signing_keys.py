"""Signing keys: what is taken for one, what it is called, what it is good for, and what nobody gets to see of it."""

import hmac
import json
import traceback
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat
from django.core.exceptions import ImproperlyConfigured

from tests.browsers import ACCESS, login
from tests.tokens.pems import pem, private_key, public_pem
from tokens import conf, keys, signing_keys
from tokens.access_tokens import Codec, InvalidAccessToken
from tokens.conf import token_settings
from tokens.middleware import TokenMiddleware
from tokens.signing_keys import ALGORITHMS, DERIVED, Flaw, UnusableKey

SECRET = "a secret of a test, which is long enough to be taken for a real one"
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
SESSION = UUID("01939d2a-7c00-7abc-8def-0123456789ab")
ORIGIN = "https://testserver"


def ring(*named: str | None) -> keys.KeyRing:
    """Keys as SIGNING_KEYS names them: by algorithm, and None for the derived one."""
    return keys.derive([SECRET], [signing_keys.load(pem(name)) if name else None for name in named])


def codec(*named: str | None) -> Codec:
    return Codec(ring(*named), ORIGIN, ORIGIN, "latchkey")


def minted(by: Codec) -> str:
    return by.dumps(
        subject="42",
        session_id=SESSION,
        generation=0,
        now=NOW,
        lifetime=timedelta(seconds=600),
        session_ends_at=NOW + timedelta(days=1),
        authenticated_at=NOW,
        methods=["pwd"],
    )[0]


def encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(segment: str) -> Any:
    return json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


def flaw_of(source: str) -> Flaw:
    with pytest.raises(UnusableKey) as caught:
        signing_keys.load(source)
    return caught.value.flaw


# What is taken


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_is_read_from_a_text_and_from_a_file(algorithm, tmp_path):
    path = tmp_path / "key.pem"
    path.write_text(pem(algorithm))
    for source in (pem(algorithm), str(path)):
        key = signing_keys.load(source)
        assert key.algorithm == algorithm
        assert key.private.public_key() == private_key(algorithm).public_key()


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_key_as_openssl_wrote_it_before_pkcs8_is_read(algorithm):
    old = pem(algorithm, form=PrivateFormat.TraditionalOpenSSL)
    assert "BEGIN PRIVATE KEY" not in old
    assert signing_keys.load(old).kid == signing_keys.load(pem(algorithm)).kid


def test_a_key_is_found_among_what_openssl_writes_beside_it():
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    old = pem("ES256", form=PrivateFormat.TraditionalOpenSSL)
    assert signing_keys.load(parameters + old).algorithm == "ES256"
    assert signing_keys.load(public_pem("EdDSA") + pem("EdDSA")).algorithm == "EdDSA"


# What is not


REFUSED = [
    # source, flaw, why
    ("", Flaw.UNREADABLE, "nothing"),
    ("/nowhere/key.pem", Flaw.UNREADABLE, "no such file"),
    (".", Flaw.UNREADABLE, "a directory"),
    ("a\0b", Flaw.UNREADABLE, "a name that no file has"),
    ("x" * 5000, Flaw.UNREADABLE, "a name that is too long"),
    ("\udcff", Flaw.UNREADABLE, "a name that cannot be written"),
    ("-----BEGIN PRIVATE KEY-----", Flaw.GARBLED, "a beginning"),
    (pem("EdDSA")[:80], Flaw.GARBLED, "a key that was cut"),
    (pem("EdDSA").replace("\n", "\\n"), Flaw.GARBLED, "line breaks that are none"),
    (pem("EdDSA").replace("MC4CAQ", "MC4CAX"), Flaw.GARBLED, "bytes that mean nothing"),
    (pem("EdDSA") + pem("EdDSA", 1), Flaw.GARBLED, "two keys: which one?"),
    ("\udcff" + pem("EdDSA")[:60], Flaw.GARBLED, "what cannot be written"),
    (pem("EdDSA", password=b"secret"), Flaw.ENCRYPTED, "encrypted"),
    (
        pem("RS256", password=b"secret", form=PrivateFormat.TraditionalOpenSSL),
        Flaw.ENCRYPTED,
        "encrypted as OpenSSL did before PKCS#8",
    ),
    (public_pem("EdDSA"), Flaw.PUBLIC, "public"),
    (public_pem("RS256"), Flaw.PUBLIC, "public, RSA"),
    ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", Flaw.PUBLIC, "a certificate"),
    (pem("P-384"), Flaw.UNSUITABLE, "another curve"),
    (pem("secp256k1"), Flaw.UNSUITABLE, "another curve of 256 bits"),
    (pem("Ed448"), Flaw.UNSUITABLE, "EdDSA, but not Ed25519"),
    (pem("RSA-1024"), Flaw.SHORT, "an RSA that was enough once"),
]


@pytest.mark.parametrize(("source", "flaw", "why"), REFUSED, ids=[row[2] for row in REFUSED])
def test_what_is_no_signing_key_is_refused(source, flaw, why, settings):
    assert flaw_of(source) is flaw
    settings.TOKENS = {"SIGNING_KEYS": [DERIVED, source]}
    [mistake] = conf.read()[1]
    assert (mistake.id, mistake.serious) == (flaw.value[0], True)
    assert mistake.message.startswith("SIGNING_KEYS: key 2 is ")


def test_a_file_that_is_not_ours_to_read_is_refused(tmp_path, monkeypatch):
    def refuse(*args: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    assert flaw_of(str(tmp_path / "key.pem")) is Flaw.UNREADABLE


@pytest.mark.parametrize(("source", "flaw", "why"), REFUSED[6:], ids=[row[2] for row in REFUSED[6:]])
def test_a_server_with_a_wrong_key_does_not_start_and_says_nothing_of_the_key(source, flaw, why, settings):
    settings.TOKENS = {"SIGNING_KEYS": [source]}
    with pytest.raises(ImproperlyConfigured, match="SIGNING_KEYS: key 1 is ") as caught:
        TokenMiddleware(lambda request: None)
    told = "".join(traceback.format_exception(caught.value)) + "".join(mistake.hint for mistake in conf.read()[1])
    for line in filter(None, source.splitlines()):
        assert line not in told


def test_a_key_that_lost_its_armour_is_not_repeated_as_a_path(settings):
    naked = pem("EdDSA").splitlines()[1]
    settings.TOKENS = {"SIGNING_KEYS": [naked]}
    with pytest.raises(ImproperlyConfigured) as caught:
        token_settings()
    assert naked not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("algorithm", "sources", "id"),
    [
        ("EdDSA", [DERIVED], None),
        ("EdDSA", [], None),
        ("EdDSA", [pem("EdDSA")], None),
        ("EdDSA", [DERIVED, pem("RS256"), pem("ES256")], None),
        ("ES256", [pem("ES256"), DERIVED], None),
        ("RS256", [pem("RS256"), pem("ES256")], None),
        ("ES256", [DERIVED], "E023"),
        ("RS256", [], "E023"),
        ("ES256", [DERIVED, pem("ES256")], "E023"),
        ("EdDSA", [pem("ES256"), pem("EdDSA")], "E023"),
        ("RS256", [pem("ES256")], "E023"),
        ("EdDSA", [pem("EdDSA"), pem("EdDSA")], "E025"),
        ("EdDSA", [pem("EdDSA"), pem("EdDSA") + "\n"], "E025"),
        ("EdDSA", [DERIVED, pem("EdDSA"), DERIVED], "E025"),
        ("HS256", [DERIVED], "E018"),
        ("none", [DERIVED], "E018"),
        ("eddsa", [DERIVED], "E018"),
        ("PS256", [pem("RS256")], "E018"),
    ],
)
def test_the_first_key_is_for_the_algorithm_and_no_key_is_there_twice(algorithm, sources, id, settings):
    settings.TOKENS = {"ALGORITHM": algorithm, "SIGNING_KEYS": sources}
    assert [mistake.id for mistake in conf.read()[1]] == ([id] if id else [])


def test_every_wrong_key_is_told_at_once(settings):
    settings.TOKENS = {"SIGNING_KEYS": [public_pem("EdDSA"), DERIVED, "/nowhere", pem("RSA-1024")]}
    with pytest.raises(ImproperlyConfigured, match=r"key 1 is a public key.*key 3 is no PEM.*key 4 is an RSA"):
        token_settings()


def test_a_key_is_read_once_and_its_file_may_go(tmp_path, settings):
    path = tmp_path / "key.pem"
    path.write_text(pem("EdDSA"))
    settings.TOKENS = {"SIGNING_KEYS": [str(path)]}
    token_settings()
    path.unlink()
    assert keys.keyring().kid == signing_keys.load(pem("EdDSA")).kid


# Its name, and what is published


def test_keys_are_named_as_the_rfcs_compute_it():
    # RFC 7638 section 3.1.
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3okn"
        "jhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qM"
        "QvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJz"
        "KnqDKgw"
    )
    number = int.from_bytes(urlsafe_b64decode(n + "=="), "big")
    public = rsa.RSAPublicNumbers(65537, number).public_key()
    assert signing_keys.required_members(public) == {"kty": "RSA", "n": n, "e": "AQAB"}
    assert signing_keys.thumbprint(public) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_a_coordinate_has_its_leading_zeros():
    # The first multiple of the curve's base point whose x begins with a zero byte.
    for scalar in range(1, 2000):
        key = signing_keys.of(derive_private_key(scalar, SECP256R1()))
        x = urlsafe_b64decode(key.verifying.jwk["x"] + "=")
        if x[0] == 0:
            break
    assert x[0] == 0
    assert len(x) == 32
    assert jwt.PyJWK(key.verifying.jwk).key.public_numbers() == key.private.public_key().public_numbers()


@pytest.mark.parametrize(
    ("algorithm", "members"),
    [("EdDSA", {"kty", "crv", "x"}), ("ES256", {"kty", "crv", "x", "y"}), ("RS256", {"kty", "n", "e"})],
)
def test_the_public_key_is_published_with_its_one_algorithm(algorithm, members):
    [jwk] = ring(algorithm).jwks["keys"]
    assert set(jwk) == members | {"kid", "use", "alg"}
    assert (jwk["alg"], jwk["use"]) == (algorithm, "sig")
    canonical = json.dumps({name: jwk[name] for name in sorted(members)}, separators=(",", ":"))
    assert jwk["kid"] == encoded(sha256(canonical.encode()).digest())
    published = jwt.PyJWK(jwk).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert published.decode() == public_pem(algorithm)


def test_the_keys_that_are_published_are_those_that_check(api, settings):
    settings.TOKENS = {"ALGORITHM": "RS256", "SIGNING_KEYS": [pem("RS256"), pem("ES256"), DERIVED]}
    settings.SECRET_KEY_FALLBACKS = [SECRET]
    published = api.get("/.well-known/jwks.json").json()["keys"]
    assert [key["alg"] for key in published] == ["RS256", "ES256", "EdDSA", "EdDSA"]
    assert [key["kid"] for key in published] == list(keys.keyring().verifying_keys)
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & {member for key in published for member in key}


# What it is good for


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_is_signed_by_the_first_key_and_read_by_all_who_have_it(algorithm):
    text = minted(codec(algorithm))
    assert decoded(text.split(".")[0]) == {"alg": algorithm, "kid": ring(algorithm).kid, "typ": "at+jwt"}
    for reader in (codec(algorithm), codec(None, algorithm), codec(*ALGORITHMS)):
        assert reader.loads(text, NOW).session_id == SESSION


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_is_refused_by_whoever_has_not_its_key(algorithm):
    others = [name for name in ALGORITHMS if name != algorithm]
    for reader in (codec(None), codec(*others), codec(None, *others)):
        with pytest.raises(InvalidAccessToken):
            reader.loads(minted(codec(algorithm)), NOW)


def test_a_derived_key_counts_where_it_is_named_and_nowhere_else():
    text = minted(codec(None))
    assert codec("ES256", None).loads(text, NOW).session_id == SESSION
    with pytest.raises(InvalidAccessToken):
        codec("ES256").loads(text, NOW)


@pytest.mark.parametrize("alg", [*ALGORITHMS, "PS256", "RS512", "HS256", "none"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_is_good_for_its_own_algorithm_alone(algorithm, alg):
    """Whoever may write the header must not choose what is done with a key: not even among our own algorithms."""
    reader, key = codec(*ALGORITHMS), ring(algorithm).signing_key
    header, claims, _ = minted(codec(algorithm)).split(".")
    text = f"{encoded(json.dumps(decoded(header) | {'alg': alg}).encode())}.{claims}"
    signer = jwt.get_algorithm_by_name("RS256" if alg == "HS256" else alg)
    private: Any = private_key(alg) if alg in ALGORITHMS else private_key("RS256")
    forged = [b"" if alg in {"none", "HS256"} else signer.sign(text.encode(), private)]
    if alg == "HS256":
        public = key.verifying.public
        spki = PublicFormat.SubjectPublicKeyInfo
        secrets = [public.public_bytes(Encoding.PEM, spki), public.public_bytes(Encoding.DER, spki), key.kid.encode()]
        forged = [hmac.digest(secret, text.encode(), "sha256") for secret in secrets]
    for signature in forged:
        whole = f"{text}.{encoded(signature)}"
        if alg == algorithm:
            assert reader.loads(whole, NOW).session_id == SESSION  # So that the forgeries fail for the right reason.
            continue
        with pytest.raises(InvalidAccessToken):
            reader.loads(whole, NOW)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_character_of_a_token_can_be_changed(algorithm):
    reader, text = codec(algorithm), minted(codec(algorithm))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for position, character in enumerate(text):
        other = alphabet[(alphabet.find(character) + 16) % 64]
        with pytest.raises(InvalidAccessToken):
            reader.loads(text[:position] + other + text[position + 1 :], NOW)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_people_sign_in_with_each_algorithm(algorithm, api, user, settings):
    settings.TOKENS = {"ALGORITHM": algorithm, "SIGNING_KEYS": [pem(algorithm), DERIVED]}
    login(api, user)
    text = api.cookies[ACCESS].value
    assert api.get("/api/auth/me").json()["user"]["id"] == str(user.pk)
    [jwk, _] = api.get("/.well-known/jwks.json").json()["keys"]
    assert jwt.decode(text, jwt.PyJWK(jwk), [algorithm], audience=ORIGIN, issuer=ORIGIN)["sub"] == str(user.pk)


def test_keys_show_nothing_secret(settings):
    settings.TOKENS = {"SIGNING_KEYS": [pem("EdDSA"), pem("RS256")]}
    found = token_settings()
    shown = repr((found, found.keys, keys.keyring(), keys.keyring().signing_key, UnusableKey(Flaw.SHORT)))
    lines = [line for name in ("EdDSA", "RS256") for line in pem(name).splitlines()]
    raw = private_key("EdDSA").private_bytes_raw()
    for secret in (*lines, raw.hex(), encoded(raw), str(private_key("RS256").private_numbers().d)):
        assert secret not in shown
