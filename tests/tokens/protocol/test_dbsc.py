"""The formats of Device Bound Session Credentials (DBSC): challenges, proofs, registrations and headers.

A proof is a JWS that the browser signs with the key of its session. No database is needed here.
"""

import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.tokens.devices import a_key, an_rsa_key, jwk_of, sign
from tests.tokens.protocol.jws import encoded
from tokens.protocol import dbsc
from tokens.protocol.dbsc import InvalidProof

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
SESSION, ANOTHER = UUID("01a20a65-5189-764f-8426-b0731478d342"), UUID("01a20a65-4511-7180-b9d3-f54cc5d14402")
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
QUARTER, MINUTE, SECOND = timedelta(minutes=15), timedelta(seconds=60), timedelta(seconds=1)
CLAIMS, OTHERS = {"jti": "c"}, {"jti": "d"}
UNSIGNED_HS256 = f"{encoded({'alg': 'HS256', 'typ': 'dbsc+jwt'})}.{encoded(CLAIMS)}"


class TestAChallenge:
    def is_good(self, text: str, generation: int = 7, session: UUID = SESSION, now: datetime = NOW) -> bool:
        return dbsc.is_good_challenge(text, [KEY], session, generation, now, QUARTER)

    def test_is_valid_for_its_session_and_generation_for_a_limited_time(self):
        text = dbsc.challenge(KEY, SESSION, 7, NOW)
        assert self.is_good(text)
        assert self.is_good(text, now=NOW + QUARTER)
        for wrong in ({"now": NOW + QUARTER + SECOND}, {"generation": 8}, {"generation": 6}, {"session": ANOTHER}):
            assert not self.is_good(text, **wrong), wrong

    def test_made_with_an_older_secret_is_valid_and_one_made_with_an_unknown_secret_is_not(self):
        text = dbsc.challenge(OTHER_KEY, SESSION, 7, NOW)
        assert not self.is_good(text)
        assert dbsc.is_good_challenge(text, [KEY, OTHER_KEY], SESSION, 7, NOW, QUARTER)

    def test_of_a_registration_is_not_valid_for_a_refresh(self):
        assert not self.is_good(dbsc.offer(KEY, SESSION, NOW).challenge, generation=0)

    def test_has_one_spelling(self):
        text = dbsc.challenge(KEY, SESSION, 7, NOW)
        spellings = ["", "x", text[:-1], text + "A", text + "=", f" {text}", text[:5] + "\n" + text[5:], "é" * 38]
        spellings += [text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :] for at in range(len(text))]
        assert [spelling for spelling in spellings if self.is_good(spelling)] == []

    def test_can_hold_the_largest_generation(self):
        assert self.is_good(dbsc.challenge(KEY, SESSION, 2**32 - 1, NOW), generation=2**32 - 1)


def signed_with_the_public_key(key: Any) -> str:
    """Return a proof signed with the public key, as if it were the secret of an HMAC."""
    secret = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return f"{UNSIGNED_HS256}.{encoded(hmac.digest(secret, UNSIGNED_HS256.encode(), 'sha256'))}"


def with_signature(key: Any, signature: bytes) -> str:
    return sign(key, CLAIMS).rpartition(".")[0] + "." + encoded(signature)


NOT_SIGNED_BY_THE_KEY = {
    "another key": lambda key: sign(a_key(), CLAIMS),
    "the key, but with other claims": lambda key: sign(key, OTHERS).replace(encoded(OTHERS), encoded(CLAIMS)),
    "another type": lambda key: sign(key, CLAIMS, typ="JWT"),
    "the type in capitals": lambda key: sign(key, CLAIMS, typ="DBSC+JWT"),
    "no type": lambda key: sign(key, CLAIMS, raw={"alg": "ES256"}),
    "the algorithm none": lambda key: sign(key, CLAIMS, alg="none"),
    "the algorithm in small letters": lambda key: sign(key, CLAIMS, alg="es256"),
    "a list of algorithms": lambda key: sign(key, CLAIMS, alg=["ES256"]),
    "no algorithm": lambda key: sign(key, CLAIMS, raw={"typ": "dbsc+jwt"}),
    "an RSA key": lambda key: sign(an_rsa_key(), CLAIMS, "RS256"),
    "another curve": lambda key: sign(ec.generate_private_key(ec.SECP384R1()), CLAIMS, "ES384"),
    "an HMAC with the public key": signed_with_the_public_key,
    "no signature": lambda key: f"{encoded({'alg': 'none', 'typ': 'dbsc+jwt'})}.{encoded(CLAIMS)}.AA",
    "a signature of zeros": lambda key: with_signature(key, b"\0" * 64),
    "a signature that is too short": lambda key: with_signature(key, b"\0" * 63),
    "a signature of ones": lambda key: with_signature(key, b"\xff" * 64),
}
MALFORMED = {
    "nothing": lambda text: "",
    "an empty string": lambda text: '""',
    "no proof": lambda text: "no proof",
    "a dot after it": lambda text: text + ".",
    "a fourth part": lambda text: text + ".e30",
    "two proofs": lambda text: f"{text}, {text}",
    "a parameter": lambda text: f'"{text}";a=b',
    "text after the quotes": lambda text: f'"{text}"x',
    "an open quote": lambda text: f'"{text}',
    "text after a space": lambda text: f"{text} x",
    "a line break": lambda text: f"{text}\n",
    "padding": lambda text: f"{text}=",
    "no signature and no dot": lambda text: text.rpartition(".")[0],
    "an empty signature": lambda text: text.rpartition(".")[0] + ".",
    "no header": lambda text: ".".join(text.split(".")[1:]),
    "spare bits that are set": lambda text: text[:-1] + chr(ord(text[-1]) + 1),
    "two dots": lambda text: text.replace(".", "..", 1),
    "too much": lambda text: text + "A" * dbsc.MAX_PROOF,
}
HEADER = {"alg": "ES256", "typ": "dbsc+jwt"}
UNACCEPTABLE = {
    "a field twice": (b'{"alg": "ES256", "typ": "dbsc+jwt", "alg": "ES256"}', CLAIMS),
    "a claim twice": (HEADER, b'{"jti": "c", "jti": "c"}'),
    "a critical field": ({**HEADER, "crit": ["exp"]}, CLAIMS),
    "claims that are not base64": ({**HEADER, "b64": False, "crit": ["b64"]}, CLAIMS),
    "no challenge": (HEADER, {}),
    "a challenge of null": (HEADER, {"jti": None}),
    "a number for a challenge": (HEADER, {"jti": 5}),
    "a list for a challenge": (HEADER, {"jti": ["c"]}),
    "a list for the claims": (HEADER, ["c"]),
    "no JSON": (HEADER, b"no JSON"),
    "no UTF-8": (HEADER, b"\xff\xfe"),
    "deep nesting": (HEADER, b"[" * 6000),
    "null for a header": (b"null", CLAIMS),
}


class TestAProof:
    @pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
    def test_signed_with_the_key_of_the_session_is_accepted(self, algorithm):
        key = a_key(algorithm)
        proof = dbsc.unverified(sign(key, CLAIMS, algorithm))
        proof.verify(jwk_of(key), algorithm)
        assert proof.challenge == "c"

    @pytest.mark.parametrize("header", ["{}", '"{}"', ' "{}"\t'], ids=["not quoted", "quoted", "quoted, with spaces"])
    def test_may_be_quoted_as_the_draft_requires(self, header):
        key = a_key()
        dbsc.unverified(header.format(sign(key, CLAIMS))).verify(jwk_of(key), "ES256")

    def test_with_a_key_in_its_header_is_checked_with_the_key_of_the_session(self):
        key, attackers = a_key(), a_key()
        dbsc.unverified(sign(key, CLAIMS, jwk=jwk_of(attackers))).verify(jwk_of(key), "ES256")
        with pytest.raises(InvalidProof):
            dbsc.unverified(sign(attackers, CLAIMS, jwk=jwk_of(attackers))).verify(jwk_of(key), "ES256")

    @pytest.mark.parametrize("forge", NOT_SIGNED_BY_THE_KEY.values(), ids=NOT_SIGNED_BY_THE_KEY)
    def test_that_the_key_of_the_session_did_not_sign_is_refused(self, forge):
        key = a_key()
        proof = dbsc.unverified(forge(key))
        with pytest.raises(InvalidProof):
            proof.verify(jwk_of(key), "ES256")

    @pytest.mark.parametrize("spoil", MALFORMED.values(), ids=MALFORMED)
    def test_that_is_malformed_is_refused(self, spoil):
        with pytest.raises(InvalidProof):
            dbsc.unverified(spoil(sign(a_key(), CLAIMS)))

    @pytest.mark.parametrize(("header", "claims"), UNACCEPTABLE.values(), ids=UNACCEPTABLE)
    def test_with_an_unacceptable_header_or_claim_is_refused(self, header, claims):
        with pytest.raises(InvalidProof):
            dbsc.unverified(sign(a_key(), claims, raw=header))

    def test_does_not_show_its_text_in_its_repr(self):
        text = sign(a_key(), CLAIMS)
        assert text not in repr(dbsc.unverified(text))


UNACCEPTABLE_KEYS = {
    "no key": lambda key: {"jwk": None},
    "a list": lambda key: {"jwk": []},
    "a key as text": lambda key: {"jwk": json.dumps(jwk_of(key))},
    "an empty object": lambda key: {"jwk": {}},
    "another key": lambda key: {"jwk": jwk_of(a_key())},
    "another key of another type": lambda key: {"jwk": jwk_of(an_rsa_key())},
    "another curve": lambda key: {"jwk": {**jwk_of(key), "crv": "P-384"}},
    "another type": lambda key: {"jwk": {**jwk_of(key), "kty": "OKP"}},
    "a point that is not on the curve": lambda key: {"jwk": {**jwk_of(key), "y": jwk_of(key)["x"]}},
    "a coordinate that is too short": lambda key: {"jwk": {**jwk_of(key), "x": "AA"}},
    "a coordinate that is a number": lambda key: {"jwk": {**jwk_of(key), "x": 5}},
    "a symmetric key": lambda key: {"jwk": {"kty": "oct", "k": "AAAA"}},
    "the algorithm none": lambda key: {"jwk": jwk_of(key), "alg": "none"},
    "the algorithm of another type": lambda key: {"jwk": jwk_of(key), "alg": "RS256"},
    "an algorithm that is not offered": lambda key: {"jwk": jwk_of(key), "alg": "EdDSA"},
    "another type of token": lambda key: {"jwk": jwk_of(key), "typ": "JWT"},
}
OFFERED, OFFERED_TO_ANOTHER = dbsc.offer(KEY, SESSION, NOW), dbsc.offer(KEY, ANOTHER, NOW)
FORGED_OFFER = dbsc.offer(b"s" * 32, SESSION, NOW)
NOT_OFFERED = {
    "no ticket": {"authorization": None},
    "a number for a ticket": {"authorization": 5},
    "an empty ticket": {"authorization": ""},
    "the ticket of another session": {"authorization": OFFERED_TO_ANOTHER.ticket},
    "a forged ticket": {"authorization": FORGED_OFFER.ticket},
    "the challenge for a ticket": {"authorization": OFFERED.challenge},
    "the challenge of another session": {"jti": OFFERED_TO_ANOTHER.challenge},
    "a forged challenge": {"jti": FORGED_OFFER.challenge},
    "the challenge of a refresh": {"jti": dbsc.challenge(KEY, SESSION, 0, NOW)},
    "the ticket for a challenge": {"jti": OFFERED.ticket},
    "an empty challenge": {"jti": ""},
}
TOO_COSTLY_EXPONENTS = {
    "one": b"\x01",
    "an even number": b"\x02",
    "more than 64 bits": b"\x01" + b"\0" * 7 + b"\x01",
    "2048 bits": b"\x01" * 256,
}


class TestARegistration:
    @pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
    def test_contains_the_public_key_and_other_members_are_ignored(self, algorithm):
        key = a_key(algorithm)
        more = {**jwk_of(key), "d": "AAAA", "kid": "mine", "alg": algorithm}
        proof = dbsc.unverified(sign(key, CLAIMS, algorithm, jwk=more))
        assert proof.registered_key() == (jwk_of(key), algorithm)

    @pytest.mark.parametrize("forge", UNACCEPTABLE_KEYS.values(), ids=UNACCEPTABLE_KEYS)
    def test_without_the_key_that_signed_it_is_refused(self, forge):
        key = a_key()
        with pytest.raises(InvalidProof):
            dbsc.unverified(sign(key, CLAIMS, **forge(key))).registered_key()

    @pytest.mark.parametrize("bits", [1024, 2040, 4104, 8192], ids=lambda bits: f"{bits} bits")
    @pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
    def test_with_an_rsa_key_that_is_weak_or_costly_is_refused(self, bits):
        number = encoded(((1 << bits - 1) | 1).to_bytes(bits // 8, "big"))
        text = sign(an_rsa_key(), CLAIMS, "RS256", jwk={"kty": "RSA", "n": number, "e": "AQAB"})
        with pytest.raises(InvalidProof):
            dbsc.unverified(text).registered_key()

    @pytest.mark.parametrize("exponent", TOO_COSTLY_EXPONENTS.values(), ids=TOO_COSTLY_EXPONENTS)
    def test_with_an_rsa_key_whose_exponent_is_invalid_or_costly_is_refused(self, exponent):
        jwk = {**jwk_of(an_rsa_key()), "e": encoded(exponent)}
        with pytest.raises(InvalidProof):
            dbsc.unverified(sign(an_rsa_key(), CLAIMS, "RS256", jwk=jwk)).registered_key()

    def session_of(self, now: datetime = NOW, **claims: Any) -> UUID:
        signed = {"jti": OFFERED.challenge, "authorization": OFFERED.ticket, **claims}
        proof = dbsc.unverified(sign(a_key(), {name: value for name, value in signed.items() if value is not None}))
        return dbsc.offered_session(proof, [OTHER_KEY, KEY], now, MINUTE)

    def test_is_for_the_session_that_the_ticket_names_for_a_minute(self):
        assert self.session_of() == self.session_of(now=NOW + MINUTE) == SESSION
        with pytest.raises(InvalidProof):
            self.session_of(now=NOW + MINUTE + SECOND)

    @pytest.mark.parametrize("claims", NOT_OFFERED.values(), ids=NOT_OFFERED)
    def test_for_anything_that_was_not_offered_is_refused(self, claims):
        with pytest.raises(InvalidProof):
            self.session_of(**claims)


OTHER_SPELLINGS = [str(SESSION).upper(), f"{{{SESSION}}}", f"urn:uuid:{SESSION}", SESSION.hex, f"{SESSION};a"]
SKIP_REASONS = {
    'server_error;session_identifier="x"': "server_error",
    "unreachable": "unreachable",
    'quota_exceeded; session_identifier="x"': "quota_exceeded",
    "": "other",
    "made_up_by_an_attacker": "other",
    "server_errors": "other",
    '"server_error"': "other",
}


class TestHeaders:
    def test_that_offer_a_registration_and_challenge_are_structured_fields(self):
        expected = '(ES256 RS256);path="/register";challenge="c";authorization="t"'
        assert dbsc.registration_header("/register", dbsc.Offer("c", "t")) == expected
        assert dbsc.challenge_header("c", SESSION) == f'"c";id="{SESSION}"'

    @pytest.mark.parametrize("text", [str(SESSION), f'"{SESSION}"'], ids=["not quoted", "quoted"])
    def test_that_name_a_session_may_quote_it(self, text):
        assert dbsc.unverified_session_id(text) == SESSION

    @pytest.mark.parametrize("text", ["", "x", "5", *OTHER_SPELLINGS], ids=repr)
    def test_with_another_spelling_of_a_session_id_are_refused(self, text):
        assert dbsc.unverified_session_id(text) is None

    @pytest.mark.parametrize(("text", "reason"), SKIP_REASONS.items())
    def test_that_explain_a_skipped_refresh_are_reduced_to_known_reasons(self, text, reason):
        assert dbsc.skip_reason(text) == reason


STATIC_URLS = {
    "/static/": [{"type": "exclude", "domain": "app.test", "path": "/static"}],
    "https://cdn.test/static/": [],
    "/": [],
}


@pytest.mark.parametrize(
    ("static_url", "excluded"), STATIC_URLS.items(), ids=["a folder", "another host", "the whole site"]
)
def test_the_configuration_excludes_static_files_of_this_host(static_url, excluded):
    found = dbsc.configuration(SESSION, "/refresh", "access", "Path=/", "https://app.test:8443", static_url)
    assert found["scope"]["scope_specification"] == excluded
