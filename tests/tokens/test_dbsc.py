"""Device Bound Session Credentials on the wire: what is written, and what is refused of what comes. No database."""

import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.tokens.devices import a_key, an_rsa_key, jwk_of, segment, sign
from tokens import dbsc
from tokens.dbsc import InvalidProof

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
SESSION, ANOTHER = UUID("01a20a65-5189-764f-8426-b0731478d342"), UUID("01a20a65-4511-7180-b9d3-f54cc5d14402")
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
MINUTE = timedelta(seconds=60)


class TestAChallenge:
    def is_good(self, text: str, generation: int = 7, session: UUID = SESSION, now: datetime = NOW) -> bool:
        return dbsc.is_good_challenge(text, [KEY], session, generation, now, QUARTER)

    def test_is_good_for_its_session_and_generation_for_a_while(self):
        text = dbsc.challenge(KEY, SESSION, 7, NOW)
        assert self.is_good(text)
        assert self.is_good(text, now=NOW + QUARTER)
        assert not self.is_good(text, now=NOW + QUARTER + timedelta(seconds=1))
        assert not self.is_good(text, generation=8)
        assert not self.is_good(text, generation=6)
        assert not self.is_good(text, session=ANOTHER)

    def test_made_under_an_older_secret_is_good_and_under_a_strangers_is_not(self):
        text = dbsc.challenge(OTHER_KEY, SESSION, 7, NOW)
        assert not self.is_good(text)
        assert dbsc.is_good_challenge(text, [KEY, OTHER_KEY], SESSION, 7, NOW, QUARTER)

    def test_of_a_registration_is_none_of_a_refresh(self):
        assert not self.is_good(dbsc.offer(KEY, SESSION, NOW).challenge, generation=0)

    def test_has_one_spelling(self):
        text = dbsc.challenge(KEY, SESSION, 7, NOW)
        spellings = ["", "x", text[:-1], text + "A", text + "=", f" {text}", text[:5] + "\n" + text[5:], "é" * 38]
        assert not any(self.is_good(spelling) for spelling in spellings)
        for place in range(len(text)):
            other = "A" if text[place] != "A" else "B"
            assert not self.is_good(text[:place] + other + text[place + 1 :]), place

    def test_holds_the_largest_generation(self):
        assert self.is_good(dbsc.challenge(KEY, SESSION, 2**32 - 1, NOW), generation=2**32 - 1)


class TestAProof:
    @pytest.fixture(params=["ES256", "RS256"])
    def algorithm(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    def test_of_the_sessions_key_is_good(self, algorithm):
        key = a_key(algorithm)
        proof = dbsc.unverified(sign(key, {"jti": "c"}, algorithm))
        proof.verify(jwk_of(key), algorithm)
        assert proof.challenge == "c"

    def test_may_be_quoted_as_the_draft_has_it(self):
        key = a_key()
        text = sign(key, {"jti": "c"})
        for header in (text, f'"{text}"', f' "{text}"\t'):
            dbsc.unverified(header).verify(jwk_of(key), "ES256")

    def test_with_a_key_in_its_header_is_checked_by_the_sessions_all_the_same(self):
        key, strangers = a_key(), a_key()
        dbsc.unverified(sign(key, {"jti": "c"}, jwk=jwk_of(strangers))).verify(jwk_of(key), "ES256")
        with pytest.raises(InvalidProof):
            dbsc.unverified(sign(strangers, {"jti": "c"}, jwk=jwk_of(strangers))).verify(jwk_of(key), "ES256")

    @pytest.mark.parametrize(
        "forge",
        [
            lambda key: sign(a_key(), {"jti": "c"}),
            lambda key: sign(key, {"jti": "c"}, typ="JWT"),
            lambda key: sign(key, {"jti": "c"}, typ="DBSC+JWT"),
            lambda key: sign(key, {"jti": "c"}, raw={"alg": "ES256"}),
            lambda key: sign(key, {"jti": "c"}, alg="none"),
            lambda key: sign(key, {"jti": "c"}, alg="es256"),
            lambda key: sign(key, {"jti": "c"}, alg=["ES256"]),
            lambda key: sign(key, {"jti": "c"}, raw={"typ": "dbsc+jwt"}),
            lambda key: sign(an_rsa_key(), {"jti": "c"}, "RS256"),
            lambda key: sign(ec.generate_private_key(ec.SECP384R1()), {"jti": "c"}, "ES384"),
            lambda key: by_the_public_key(key, "HS256"),
            lambda key: unsigned_by("none"),
            lambda key: with_signature(key, b"\0" * 64),
            lambda key: with_signature(key, b"\0" * 63),
            lambda key: with_signature(key, b"\xff" * 64),
        ],
    )
    def test_that_the_sessions_key_did_not_sign_so_is_none(self, forge):
        key = a_key()
        proof = dbsc.unverified(forge(key))
        with pytest.raises(InvalidProof):
            proof.verify(jwk_of(key), "ES256")

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda text: "",
            lambda text: '""',
            lambda text: "no proof",
            lambda text: text + ".",
            lambda text: text + ".e30",
            lambda text: f"{text}, {text}",
            lambda text: f'"{text}";a=b',
            lambda text: f'"{text}"x',
            lambda text: f'"{text}',
            lambda text: f"{text} x",
            lambda text: f"{text}\n",
            lambda text: f"{text}=",
            lambda text: text.rpartition(".")[0],
            lambda text: text.rpartition(".")[0] + ".",
            lambda text: ".".join(text.split(".")[1:]),
            lambda text: text[:-1] + chr(ord(text[-1]) + 1),  # Idle bits are set.
            lambda text: text.replace(".", "..", 1),
            lambda text: text + "A" * dbsc.MAX_PROOF,
        ],
    )
    def test_with_anything_before_behind_or_amiss_is_none(self, spoil):
        with pytest.raises(InvalidProof):
            dbsc.unverified(spoil(sign(a_key(), {"jti": "c"})))

    @pytest.mark.parametrize(
        ("header", "claims"),
        [
            (b'{"alg": "ES256", "typ": "dbsc+jwt", "alg": "ES256"}', {"jti": "c"}),
            ({"alg": "ES256", "typ": "dbsc+jwt"}, b'{"jti": "c", "jti": "c"}'),
            ({"alg": "ES256", "typ": "dbsc+jwt", "crit": ["exp"]}, {"jti": "c"}),
            ({"alg": "ES256", "typ": "dbsc+jwt", "b64": False, "crit": ["b64"]}, {"jti": "c"}),
            ({"alg": "ES256", "typ": "dbsc+jwt"}, {}),
            ({"alg": "ES256", "typ": "dbsc+jwt"}, {"jti": None}),
            ({"alg": "ES256", "typ": "dbsc+jwt"}, {"jti": 5}),
            ({"alg": "ES256", "typ": "dbsc+jwt"}, {"jti": ["c"]}),
            ({"alg": "ES256", "typ": "dbsc+jwt"}, ["c"]),
            ({"alg": "ES256", "typ": "dbsc+jwt"}, b"no JSON"),
            ({"alg": "ES256", "typ": "dbsc+jwt"}, b"\xff\xfe"),
            ({"alg": "ES256", "typ": "dbsc+jwt"}, b"[" * 6000),
            (b"null", {"jti": "c"}),
        ],
    )
    def test_that_says_what_none_can_say_is_none(self, header, claims):
        with pytest.raises(InvalidProof):
            dbsc.unverified(sign(a_key(), claims, raw=header))

    def test_tells_nothing_when_it_is_printed(self):
        text = sign(a_key(), {"jti": "c"})
        assert text not in repr(dbsc.unverified(text))


def by_the_public_key(key: Any, algorithm: str) -> str:
    """Signed with what everybody may know, as if that were the secret of an HMAC."""
    unsigned = f"{segment({'alg': algorithm, 'typ': 'dbsc+jwt'})}.{segment({'jti': 'c'})}"
    secret = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return f"{unsigned}.{segment(hmac.digest(secret, unsigned.encode(), 'sha256'))}"


def unsigned_by(algorithm: str) -> str:
    return f"{segment({'alg': algorithm, 'typ': 'dbsc+jwt'})}.{segment({'jti': 'c'})}.AA"


def with_signature(key: Any, signature: bytes) -> str:
    return sign(key, {"jti": "c"}).rpartition(".")[0] + "." + segment(signature)


class TestARegistration:
    def test_brings_the_public_key_and_nothing_else(self):
        for algorithm in ("ES256", "RS256"):
            key = a_key(algorithm)
            more = {**jwk_of(key), "d": "AAAA", "kid": "mine", "alg": algorithm}
            proof = dbsc.unverified(sign(key, {"jti": "c"}, algorithm, jwk=more))
            assert proof.registered_key() == (jwk_of(key), algorithm)

    @pytest.mark.parametrize(
        "forge",
        [
            lambda key: {"jwk": None},
            lambda key: {"jwk": []},
            lambda key: {"jwk": json.dumps(jwk_of(key))},
            lambda key: {"jwk": {}},
            lambda key: {"jwk": jwk_of(a_key())},
            lambda key: {"jwk": jwk_of(an_rsa_key())},
            lambda key: {"jwk": {**jwk_of(key), "crv": "P-384"}},
            lambda key: {"jwk": {**jwk_of(key), "kty": "OKP"}},
            lambda key: {"jwk": {**jwk_of(key), "y": jwk_of(key)["x"]}},
            lambda key: {"jwk": {**jwk_of(key), "x": "AA"}},
            lambda key: {"jwk": {**jwk_of(key), "x": 5}},
            lambda key: {"jwk": {"kty": "oct", "k": "AAAA"}},
            lambda key: {"jwk": jwk_of(key), "alg": "none"},
            lambda key: {"jwk": jwk_of(key), "alg": "RS256"},
            lambda key: {"jwk": jwk_of(key), "alg": "EdDSA"},
            lambda key: {"jwk": jwk_of(key), "typ": "JWT"},
        ],
    )
    def test_without_a_key_of_the_browsers_own_is_none(self, forge):
        key = a_key()
        with pytest.raises(InvalidProof):
            dbsc.unverified(sign(key, {"jti": "c"}, **forge(key))).registered_key()

    @pytest.mark.parametrize("bits", [1024, 2040, 4104, 8192])
    @pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
    def test_with_an_rsa_key_that_is_weak_or_costly_is_none(self, bits):
        strangers = an_rsa_key()
        number = segment(((1 << bits - 1) | 1).to_bytes(bits // 8, "big"))
        text = sign(strangers, {"jti": "c"}, "RS256", jwk={"kty": "RSA", "n": number, "e": "AQAB"})
        with pytest.raises(InvalidProof):
            dbsc.unverified(text).registered_key()

    def test_with_an_rsa_key_whose_exponent_is_costly_or_none_is_none(self):
        for exponent in (b"\x01", b"\x02", b"\x01" + b"\0" * 7 + b"\x01", b"\x01" * 256):
            jwk = {**jwk_of(an_rsa_key()), "e": segment(exponent)}
            with pytest.raises(InvalidProof):
                dbsc.unverified(sign(an_rsa_key(), {"jti": "c"}, "RS256", jwk=jwk)).registered_key()

    def session_of(self, now: datetime = NOW, **claims: Any) -> UUID:
        offered = dbsc.offer(KEY, SESSION, NOW)
        signed = {"jti": offered.challenge, "authorization": offered.ticket, **claims}
        proof = dbsc.unverified(sign(a_key(), {name: value for name, value in signed.items() if value is not None}))
        return dbsc.offered_session(proof, [OTHER_KEY, KEY], now, MINUTE)

    def test_is_for_the_session_that_the_ticket_names_for_a_minute(self):
        assert self.session_of() == SESSION
        assert self.session_of(now=NOW + MINUTE) == SESSION
        with pytest.raises(InvalidProof):
            self.session_of(now=NOW + MINUTE + timedelta(seconds=1))

    @pytest.mark.parametrize(
        "claims",
        [
            {"authorization": None},
            {"authorization": 5},
            {"authorization": ""},
            {"authorization": dbsc.offer(KEY, ANOTHER, NOW).ticket},
            {"authorization": dbsc.offer(b"s" * 32, SESSION, NOW).ticket},
            {"authorization": dbsc.offer(KEY, SESSION, NOW).challenge},
            {"jti": dbsc.offer(KEY, ANOTHER, NOW).challenge},
            {"jti": dbsc.offer(b"s" * 32, SESSION, NOW).challenge},
            {"jti": dbsc.challenge(KEY, SESSION, 0, NOW)},
            {"jti": dbsc.offer(KEY, SESSION, NOW).ticket},
            {"jti": ""},
        ],
    )
    def test_of_anything_else_is_none(self, claims):
        with pytest.raises(InvalidProof):
            self.session_of(**claims)


class TestHeaders:
    def test_that_offer_a_registration_and_challenge_are_structured_fields(self):
        offered = dbsc.Offer("c", "t")
        assert dbsc.registration_header("/register", offered) == (
            '(ES256 RS256);path="/register";challenge="c";authorization="t"'
        )
        assert dbsc.challenge_header("c", SESSION) == f'"c";id="{SESSION}"'

    @pytest.mark.parametrize("text", [str(SESSION), f'"{SESSION}"'])
    def test_that_name_a_session_do_so_in_one_spelling(self, text):
        assert dbsc.unverified_session_id(text) == SESSION

    @pytest.mark.parametrize(
        "text",
        ["", "x", str(SESSION).upper(), f"{{{SESSION}}}", f"urn:uuid:{SESSION}", SESSION.hex, f"{SESSION};a", "5"],
    )
    def test_and_in_no_other(self, text):
        assert dbsc.unverified_session_id(text) is None

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ('server_error;session_identifier="x"', "server_error"),
            ("unreachable", "unreachable"),
            ('quota_exceeded; session_identifier="x"', "quota_exceeded"),
            ("", "other"),
            ("made_up_by_somebody", "other"),
            ("server_errors", "other"),
            ('"server_error"', "other"),
        ],
    )
    def test_that_say_why_a_refresh_was_skipped_count_under_words_that_we_know(self, text, reason):
        assert dbsc.skip_reason(text) == reason


class TestTheConfiguration:
    def scope_of(self, static_url: str) -> Any:
        told = dbsc.configuration(SESSION, "/refresh", "access", "Path=/", "https://app.test:8443", static_url)
        return told["scope"]["scope_specification"]

    def test_excludes_static_files_of_this_host(self):
        excluded = [{"type": "exclude", "domain": "app.test", "path": "/static"}]
        assert self.scope_of("/static/") == excluded
        assert self.scope_of("https://cdn.test/static/") == []
        assert self.scope_of("/") == []
