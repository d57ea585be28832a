"""Signing keys: which PEM texts are accepted, how keys are named and published, which tokens each key verifies.

A key's text must never show up in an error message, a log or a repr.
"""

import hmac
import json
import re
import traceback
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat
from django.core.checks import ERROR
from django.core.exceptions import ImproperlyConfigured

from tests.browsers import ACCESS, login
from tests.tokens.protocol.jws import NOW, SESSION, each_character_replaced, encoded, minted, opened, raw
from tests.tokens.protocol.pems import pem, private_key, pss_pem, public_pem
from tokens import conf
from tokens.conf import signing_keys, token_settings
from tokens.conf.signing_keys import DERIVED
from tokens.middleware import TokenMiddleware
from tokens.protocol import keys
from tokens.protocol import signing_keys as protocol
from tokens.protocol.access_tokens import Codec, InvalidAccessToken
from tokens.protocol.signing_keys import ALGORITHMS, Flaw, UnusableKey

SECRET = "a secret of a test, which is long enough to be taken for a real one"
ORIGIN = "https://testserver"
BEFORE_PKCS8 = PrivateFormat.TraditionalOpenSSL
SPKI = PublicFormat.SubjectPublicKeyInfo

each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


def ring(*named: str | None) -> keys.KeyRing:
    """Return the keys that SIGNING_KEYS would hold. Each is named by its algorithm; None is the derived key."""
    return keys.derive([SECRET], [signing_keys.load(pem(name)) if name else None for name in named])


def codec(*named: str | None) -> Codec:
    return Codec(ring(*named), ORIGIN, ORIGIN, "latchkey")


def accepts(reader: Codec, text: str) -> bool:
    try:
        return reader.loads(text, NOW).session_id == SESSION
    except InvalidAccessToken:
        return False


def flaw_of(source: str) -> Flaw:
    with pytest.raises(UnusableKey) as caught:
        signing_keys.load(source)
    return caught.value.flaw


# Which keys are accepted


@each_algorithm
def test_a_key_is_read_from_a_text_and_from_a_file(algorithm, tmp_path):
    path = tmp_path / "key.pem"
    path.write_text(pem(algorithm))
    for source in (pem(algorithm), str(path)):
        key = signing_keys.load(source)
        assert key.algorithm == algorithm
        assert key.private.public_key() == private_key(algorithm).public_key()


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_key_in_the_format_that_openssl_used_before_pkcs8_is_read(algorithm):
    old = pem(algorithm, form=BEFORE_PKCS8)
    assert "BEGIN PRIVATE KEY" not in old
    assert signing_keys.load(old).kid == signing_keys.load(pem(algorithm)).kid


def test_a_key_is_found_among_other_blocks_of_the_same_file():
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    assert signing_keys.load(parameters + pem("ES256", form=BEFORE_PKCS8)).algorithm == "ES256"
    assert signing_keys.load(public_pem("EdDSA") + pem("EdDSA")).algorithm == "EdDSA"


NO_PEM = {
    "an empty text": ("", Flaw.UNREADABLE),
    "no such file": ("/nowhere/key.pem", Flaw.UNREADABLE),
    "a directory": (".", Flaw.UNREADABLE),
    "a path that no file can have": ("a\0b", Flaw.UNREADABLE),
    "a path that is too long": ("x" * 5000, Flaw.UNREADABLE),
    "a path that cannot be encoded": ("\udcff", Flaw.UNREADABLE),
}
NO_SIGNING_KEY = {
    "only the first line": ("-----BEGIN PRIVATE KEY-----", Flaw.GARBLED),
    "a key that was cut": (pem("EdDSA")[:80], Flaw.GARBLED),
    "backslash and n for line breaks": (pem("EdDSA").replace("\n", "\\n"), Flaw.GARBLED),
    "bytes that are no key": (pem("EdDSA").replace("MC4CAQ", "MC4CAX"), Flaw.GARBLED),
    "two keys": (pem("EdDSA") + pem("EdDSA", 1), Flaw.GARBLED),
    "a text that cannot be encoded": ("\udcff" + pem("EdDSA")[:60], Flaw.GARBLED),
    "an encrypted key": (pem("EdDSA", password=b"secret"), Flaw.ENCRYPTED),
    "a key encrypted as OpenSSL did before PKCS#8": (pem("RS256", password=b"x", form=BEFORE_PKCS8), Flaw.ENCRYPTED),
    "an RSA key for RSASSA-PSS only": (pss_pem(), Flaw.PSS),
    "the same with a header field": (pss_pem().replace("KEY-----\n", "KEY-----\nComment: x\n\n", 1), Flaw.PSS),
    "a public key": (public_pem("EdDSA"), Flaw.PUBLIC),
    "a public RSA key": (public_pem("RS256"), Flaw.PUBLIC),
    "a certificate": ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", Flaw.PUBLIC),
    "another curve": (pem("P-384"), Flaw.UNSUITABLE),
    "another curve of 256 bits": (pem("secp256k1"), Flaw.UNSUITABLE),
    "EdDSA, but not Ed25519": (pem("Ed448"), Flaw.UNSUITABLE),
    "an RSA key that is too short": (pem("RSA-1024"), Flaw.SHORT),
}
REFUSED = NO_PEM | NO_SIGNING_KEY


@pytest.mark.parametrize(("source", "flaw"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_signing_key_is_refused(source, flaw, settings):
    assert flaw_of(source) is flaw
    settings.TOKENS = {"SIGNING_KEYS": [DERIVED, source]}
    [message] = conf.read()[1]
    assert (message.id, message.level) == (signing_keys._FLAWS[flaw][0], ERROR)
    assert message.msg.startswith("SIGNING_KEYS: key 2 is ")


def test_a_file_without_read_permission_is_refused(tmp_path, monkeypatch):
    def refuse(*args: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    assert flaw_of(str(tmp_path / "key.pem")) is Flaw.UNREADABLE


NO_KEY_SOURCES = {
    **{name: source for name, (source, _) in NO_SIGNING_KEY.items()},
    "a key without its BEGIN and END lines": pem("EdDSA").splitlines()[1],
}


@pytest.mark.parametrize("source", NO_KEY_SOURCES.values(), ids=NO_KEY_SOURCES)
def test_a_server_with_a_wrong_key_does_not_start_and_does_not_repeat_the_key(source, settings):
    settings.TOKENS = {"SIGNING_KEYS": [source]}
    with pytest.raises(ImproperlyConfigured, match="SIGNING_KEYS: key 1 is ") as caught:
        TokenMiddleware(lambda request: None)
    printed = "".join(traceback.format_exception(caught.value)) + "".join(message.hint for message in conf.read()[1])
    assert not [line for line in source.splitlines() if line and line in printed]


FIRST_KEYS = {
    "the default": ("EdDSA", [DERIVED], None),
    "no key means the derived key": ("EdDSA", [], None),
    "a key in PEM": ("EdDSA", [pem("EdDSA")], None),
    "other algorithms after the first key": ("EdDSA", [DERIVED, pem("RS256"), pem("ES256")], None),
    "ES256": ("ES256", [pem("ES256"), DERIVED], None),
    "RS256": ("RS256", [pem("RS256"), pem("ES256")], None),
    "the derived key is not for ES256": ("ES256", [DERIVED], "E027"),
    "the derived key is not for RS256": ("RS256", [], "E027"),
    "the key of the algorithm is not the first": ("ES256", [DERIVED, pem("ES256")], "E027"),
    "EdDSA is not the first": ("EdDSA", [pem("ES256"), pem("EdDSA")], "E027"),
    "there is no key of the algorithm": ("RS256", [pem("ES256")], "E027"),
    "the same key twice": ("EdDSA", [pem("EdDSA"), pem("EdDSA")], "E025"),
    "the same key twice with another line break": ("EdDSA", [pem("EdDSA"), pem("EdDSA") + "\n"], "E025"),
    "the derived key twice": ("EdDSA", [DERIVED, pem("EdDSA"), DERIVED], "E025"),
    "HS256 is not supported": ("HS256", [DERIVED], "E018"),
    "none is not supported": ("none", [DERIVED], "E018"),
    "algorithms are case-sensitive": ("eddsa", [DERIVED], "E018"),
    "PS256 is not supported": ("PS256", [pem("RS256")], "E018"),
}


@pytest.mark.parametrize(("algorithm", "sources", "id"), FIRST_KEYS.values(), ids=FIRST_KEYS)
def test_the_first_key_must_fit_the_algorithm_and_no_key_may_be_repeated(algorithm, sources, id, settings):
    settings.TOKENS = {"ALGORITHM": algorithm, "SIGNING_KEYS": sources}
    assert [message.id for message in conf.read()[1]] == ([f"tokens.{id}"] if id else [])


def test_every_wrong_key_is_named_in_one_error(settings):
    settings.TOKENS = {"SIGNING_KEYS": [public_pem("EdDSA"), DERIVED, "/nowhere", pem("RSA-1024")]}
    with pytest.raises(ImproperlyConfigured, match=r"key 1 is a public key.*key 3 is not a PEM.*key 4 is an RSA"):
        token_settings()


def test_a_key_is_read_once_and_its_file_may_be_deleted_afterwards(tmp_path, settings):
    path = tmp_path / "key.pem"
    path.write_text(pem("EdDSA"))
    settings.TOKENS = {"SIGNING_KEYS": [str(path)]}
    token_settings()
    path.unlink()
    assert conf.keyring().kid == signing_keys.load(pem("EdDSA")).kid


# How a key is named and published

RSA_MODULUS = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn"
    "64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1"
    "n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
)
ED25519_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
EXAMPLES = {
    "RFC 7638 section 3.1": (
        RSAPublicNumbers(65537, int.from_bytes(raw(RSA_MODULUS))).public_key(),
        {"kty": "RSA", "n": RSA_MODULUS, "e": "AQAB"},
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
    ),
    "RFC 8037 appendix A.3": (
        Ed25519PublicKey.from_public_bytes(raw(ED25519_X)),
        {"kty": "OKP", "crv": "Ed25519", "x": ED25519_X},
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    ),
}


@pytest.mark.parametrize(("public", "members", "thumbprint"), EXAMPLES.values(), ids=EXAMPLES)
def test_keys_are_named_as_in_the_examples_of_the_rfcs(public, members, thumbprint):
    assert (protocol.required_members(public), protocol.thumbprint(public)) == (members, thumbprint)


def test_a_coordinate_keeps_its_leading_zeros():
    # The first multiple of the curve's base point whose x begins with a zero byte.
    for scalar in range(1, 2000):
        key = protocol.of(derive_private_key(scalar, SECP256R1()))
        x = raw(key.verifying.jwk["x"])
        if x[0] == 0:
            break
    assert (x[0], len(x)) == (0, 32)
    assert jwt.PyJWK(key.verifying.jwk).key.public_numbers() == key.private.public_key().public_numbers()


MEMBERS = {"EdDSA": {"kty", "crv", "x"}, "ES256": {"kty", "crv", "x", "y"}, "RS256": {"kty", "n", "e"}}


@pytest.mark.parametrize(("algorithm", "members"), MEMBERS.items(), ids=MEMBERS)
def test_the_public_key_is_published_with_its_algorithm_and_nothing_else(algorithm, members):
    [jwk] = ring(algorithm).jwks["keys"]
    assert set(jwk) == members | {"kid", "use", "alg"}
    assert (jwk["alg"], jwk["use"]) == (algorithm, "sig")
    canonical = json.dumps({name: jwk[name] for name in sorted(members)}, separators=(",", ":"))
    assert jwk["kid"] == encoded(sha256(canonical.encode()).digest())
    assert jwt.PyJWK(jwk).key.public_bytes(Encoding.PEM, SPKI).decode() == public_pem(algorithm)


def test_the_published_keys_are_those_that_verify_and_every_client_may_store_them(api, settings):
    settings.TOKENS = {"ALGORITHM": "RS256", "SIGNING_KEYS": [pem("RS256"), pem("ES256"), DERIVED]}
    settings.SECRET_KEY_FALLBACKS = [SECRET]
    response = api.get("/.well-known/jwks.json")
    assert (response.status_code, response["Content-Type"]) == (200, "application/jwk-set+json")
    assert {*re.split(r",\s*", response["Cache-Control"])} == {"public", "max-age=300"}
    assert ("Cookie" in response.get("Vary", ""), len(response.cookies)) == (False, 0)
    assert response.json() == conf.keyring().jwks
    published = response.json()["keys"]
    assert [key["alg"] for key in published] == ["RS256", "ES256", "EdDSA", "EdDSA"]
    assert [key["kid"] for key in published] == list(conf.keyring().verifying_keys)
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & {member for key in published for member in key}


# Which tokens a key verifies


@each_algorithm
def test_the_first_key_signs_and_every_server_that_has_this_key_accepts_the_token(algorithm):
    text = minted(codec(algorithm))
    assert opened(text)[0] == {"alg": algorithm, "kid": ring(algorithm).kid, "typ": "at+jwt"}
    assert all(accepts(reader, text) for reader in (codec(algorithm), codec(None, algorithm), codec(*ALGORITHMS)))


@each_algorithm
def test_a_server_without_the_key_refuses_the_token(algorithm):
    others = [name for name in ALGORITHMS if name != algorithm]
    for reader in (codec(None), codec(*others), codec(None, *others)):
        assert not accepts(reader, minted(codec(algorithm)))


def test_a_derived_key_verifies_only_where_the_setting_names_it():
    text = minted(codec(None))
    assert accepts(codec("ES256", None), text)
    assert not accepts(codec("ES256"), text)


@pytest.mark.parametrize("alg", [*ALGORITHMS, "PS256", "RS512", "HS256", "HS512", "none"])
@each_algorithm
def test_a_key_verifies_only_its_own_algorithm(algorithm, alg):
    """An attacker can write any header. It must not choose what is done with a key, even among our own algorithms."""
    reader, key = codec(*ALGORITHMS), ring(algorithm).signing_key
    header, claims = opened(minted(codec(algorithm)))
    text = f"{encoded(header | {'alg': alg})}.{encoded(claims)}"
    if alg in {"HS256", "HS512"}:
        public, members = key.verifying.public, key.verifying.jwk
        secrets = [public.public_bytes(form, SPKI) for form in (Encoding.PEM, Encoding.DER)]
        secrets += [json.dumps(members).encode(), b"", *(value.encode() for value in members.values())]
        secrets += [raw(members[name]) for name in MEMBERS[algorithm] - {"kty", "crv"}]
        signatures = [hmac.digest(secret, text.encode(), f"sha{alg[2:]}") for secret in secrets]
    elif alg == "none":
        signatures = [b""]
    else:
        private: Any = private_key(alg if alg in ALGORITHMS else "RS256")
        signatures = [jwt.get_algorithm_by_name(alg).sign(text.encode(), private)]
    for signature in signatures:
        # The valid combination is accepted, so the others are refused because of their algorithm.
        assert accepts(reader, f"{text}.{encoded(signature)}") is (alg == algorithm)


@each_algorithm
def test_no_character_of_a_token_can_be_changed(algorithm):
    reader = codec(algorithm)
    assert not any(accepts(reader, text) for text in each_character_replaced(minted(reader)))


@pytest.mark.at_length_on("sqlite")
@each_algorithm
def test_people_sign_in_with_each_algorithm(algorithm, api, user, settings):
    settings.TOKENS = {"ALGORITHM": algorithm, "SIGNING_KEYS": [pem(algorithm), DERIVED]}
    login(api, user)
    text = api.cookies[ACCESS].value
    assert api.get("/api/auth/me").json()["user"]["id"] == str(user.pk)
    [jwk, _] = api.get("/.well-known/jwks.json").json()["keys"]
    assert jwt.decode(text, jwt.PyJWK(jwk), [algorithm], audience=ORIGIN, issuer=ORIGIN)["sub"] == str(user.pk)


def test_keys_show_nothing_secret(settings):
    settings.TOKENS = {"SIGNING_KEYS": [pem("EdDSA"), pem("RS256")]}
    found, derived = token_settings(), ring(None)
    shown = repr((found, found.keys, conf.keyring(), conf.keyring().signing_key, derived, UnusableKey(Flaw.SHORT)))
    secrets = [line for name in ("EdDSA", "RS256") for line in pem(name).splitlines()]
    secrets += [str(private_key("RS256").private_numbers().d)]
    ours: Any = derived.signing_key.private
    for key in (private_key("EdDSA").private_bytes_raw(), ours.private_bytes_raw(), *derived.mac_keys.values()):
        secrets += [repr(key)[2:-1], key.hex(), encoded(key)]
    assert not [secret for secret in secrets if secret in shown]
