"""The access token: what it says, who may have made it, and until when it is good.

What is changed in a token before our own key signs it is in ``vectors/access_tokens.json``.
"""

import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256, sha512
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.browsers import ACCESS, login
from tests.clients.serving import served
from tokens import keys, signing_keys
from tokens.access_tokens import MAX_LENGTH, AccessToken, Codec, ExpiredAccessToken, InvalidAccessToken, codec, instant

VECTORS = json.loads((Path(__file__).parent / "vectors" / "access_tokens.json").read_text())
ISSUER, AUDIENCE = VECTORS["issuer"], VECTORS["audience"]
SECRET = "the first secret, which makes tokens, and is long enough to be taken for a real one"
OLD_SECRET = "the old secret, which checks tokens, and is long enough to be taken for a real one"
RING = keys.derive([SECRET, OLD_SECRET])
PRIVATE: Any = RING.signing_key.private
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
START = int(NOW.timestamp())
SESSION = UUID("01939d2a-7c00-7abc-8def-0123456789ab")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

Sign = Callable[[bytes], bytes]


def a_codec(ring: keys.KeyRing = RING, **changes: str) -> Codec:
    return Codec(ring, **{"issuer": ISSUER, "audience": AUDIENCE, "client_id": "latchkey", **changes})


def minted(codec: Codec | None = None, **changes: Any) -> str:
    """A token as a refresh makes it, at NOW."""
    return (codec or a_codec()).dumps(**{**ASKED, **changes})[0]


ASKED: dict[str, Any] = {
    "subject": "42",
    "session_id": SESSION,
    "generation": 7,
    "now": NOW,
    "lifetime": timedelta(seconds=600),
    "session_ends_at": NOW + timedelta(days=1),
    "authenticated_at": NOW - timedelta(hours=1),
    "methods": ["pwd"],
}


def decoded(segment: str) -> Any:
    return json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


def encoded(data: Any) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: Any, claims: Any, sign: Sign = RING.signing_key.private.sign) -> str:
    """A JWS of anything, signed with our own key unless told otherwise."""
    text = f"{encoded(header)}.{encoded(claims)}"
    return f"{text}.{encoded(sign(text.encode()))}"


def good() -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token that is accepted."""
    header, claims, _ = minted().split(".")
    return decoded(header), decoded(claims)


def assert_refused(text: str, codec: Codec | None = None) -> None:
    with pytest.raises(InvalidAccessToken) as caught:
        (codec or a_codec()).loads(text, NOW)
    assert type(caught.value) is InvalidAccessToken
    assert caught.value.args == ()
    assert caught.value.__context__ is None or caught.value.__suppress_context__


class TestANewToken:
    def test_says_exactly_what_the_docstring_says(self):
        header, claims = good()
        assert header == {"alg": "EdDSA", "kid": RING.kid, "typ": "at+jwt"}
        assert UUID(claims.pop("jti")).version == 7
        assert START + 570 <= claims.pop("exp") <= START + 600
        assert claims == {
            "iss": ISSUER,
            "sub": "42",
            "aud": AUDIENCE,
            "iat": START,
            "client_id": "latchkey",
            "sid": str(SESSION),
            "gen": 7,
            "auth_time": START - 3600,
            "amr": ["pwd"],
        }

    def test_is_read_as_it_was_made(self):
        text, made = a_codec().dumps(**ASKED)
        read = a_codec().loads(text, NOW)
        assert read == made
        assert read == AccessToken(
            subject="42",
            session_id=SESSION,
            generation=7,
            issued_at=START,
            expires_at=read.claims["exp"],
            authenticated_at=START - 3600,
            while_open=False,
            claims=read.claims,
        )

    def test_without_a_refresh_carries_no_generation(self):
        text = minted(generation=None)
        assert "gen" not in decoded(text.split(".")[1])
        assert a_codec().loads(text, NOW).generation is None

    def test_of_the_first_generation_carries_it(self):
        assert a_codec().loads(minted(generation=0), NOW).generation == 0

    def test_has_whole_seconds_rounded_down(self):
        late = timedelta(microseconds=999_999)
        text = minted(now=NOW + late, authenticated_at=NOW - timedelta(hours=1) + late)
        claims = decoded(text.split(".")[1])
        assert (claims["iat"], claims["auth_time"]) == (START, START - 3600)
        end = minted(session_ends_at=NOW + timedelta(seconds=100) + late)
        assert decoded(end.split(".")[1])["exp"] == START + 100

    def test_is_never_the_same_twice(self):
        jtis = {decoded(minted().split(".")[1])["jti"] for _ in range(100)}
        assert len(jtis) == 100

    def test_never_outlives_its_session(self):
        for seconds in (1, 300, 569):
            text = minted(session_ends_at=NOW + timedelta(seconds=seconds))
            assert decoded(text.split(".")[1])["exp"] == START + seconds

    def test_shows_neither_claims_nor_text_in_its_repr(self):
        text, made = a_codec().dumps(**ASKED, extra={"phone": "555-0100"})
        assert str(SESSION) in repr(made)
        for secret in ("555-0100", text, text.split(".")[2]):
            assert secret not in repr(made)


class TestTheLifetime:
    @pytest.mark.parametrize(("drawn", "lifetime"), [(0, 600), (30, 570), (17, 583)])
    def test_is_shortened_by_what_chance_says(self, drawn, lifetime, monkeypatch):
        bounds = []
        monkeypatch.setattr("tokens.access_tokens.secrets.randbelow", lambda bound: bounds.append(bound) or drawn)
        assert decoded(minted().split(".")[1])["exp"] == START + lifetime
        assert bounds == [31]  # 0 to 30 s: 5 % of ten minutes.

    def test_is_spread_so_that_sessions_do_not_refresh_together(self):
        lifetimes = {decoded(minted().split(".")[1])["exp"] - START for _ in range(400)}
        assert min(lifetimes) >= 570
        assert max(lifetimes) <= 600
        assert len(lifetimes) > 15

    @pytest.mark.parametrize("seconds", [1, 2, 19])
    def test_of_a_few_seconds_is_kept_whole(self, seconds):
        text = minted(lifetime=timedelta(seconds=seconds))
        assert decoded(text.split(".")[1])["exp"] == START + seconds


class TestExpiry:
    @pytest.fixture
    def text(self) -> str:
        """A token that is good for 100 s to the second: the session ends then."""
        return minted(session_ends_at=NOW + timedelta(seconds=100))

    @pytest.mark.parametrize("age", [0, 99, 99.999_999])
    def test_is_not_before_its_time(self, text, age):
        assert a_codec().loads(text, NOW + timedelta(seconds=age)).expires_at == START + 100

    @pytest.mark.parametrize("age", [100, 100.000_001, 101, 10**6])
    def test_has_no_leeway(self, text, age):
        with pytest.raises(ExpiredAccessToken) as caught:
            a_codec().loads(text, NOW + timedelta(seconds=age))
        assert caught.value.args == ()

    def test_does_not_matter_for_signing_out(self, text):
        assert a_codec().loads_expired(text).session_id == SESSION

    def test_is_told_only_of_what_was_good(self, text):
        # Else an attacker could learn from the answer that a forged token has the right shape.
        header, claims, signature = text.split(".")
        forged = f"{header}.{claims}.{signature[:-4]}AAAA"
        with pytest.raises(InvalidAccessToken) as caught:
            a_codec().loads(forged, NOW + timedelta(days=1))
        assert type(caught.value) is InvalidAccessToken
        with pytest.raises(InvalidAccessToken):
            a_codec().loads_expired(forged)

    @pytest.mark.parametrize("seconds", [1, 60, 3600])
    def test_a_clock_ahead_of_ours_is_no_reason_to_refuse(self, seconds):
        text = minted(now=NOW + timedelta(seconds=seconds))
        assert a_codec().loads(text, NOW).issued_at == START + seconds

    def test_an_instant_is_aware(self):
        assert instant(START) == NOW
        assert instant(START).tzinfo is UTC


class TestATokenSeenBefore:
    def test_is_remembered_until_it_expires(self):
        codec, text = a_codec(), minted()
        token = codec.loads(text, NOW)
        assert codec.remembered(text, token.expires_at - 0.001) is token
        assert codec.remembered(text, token.expires_at) is None

    def test_alone_is_remembered(self):
        assert a_codec().remembered(minted(), START) is None


class TestATokenSignedByUs:
    """Nothing but what we make ourselves is accepted, even if our own key signed it."""

    def test_is_accepted_unchanged(self):
        assert a_codec().loads(signed(*good()), NOW).session_id == SESSION

    @pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda vector: vector["desc"])
    def test_is_refused_when_changed(self, vector):
        header, claims = good()
        header |= vector.get("header", {})
        claims |= vector.get("claims", {})
        for name in vector.get("without_header", ()):
            del header[name]
        for name in vector.get("without_claims", ()):
            del claims[name]
        assert_refused(signed(header, claims))

    @pytest.mark.parametrize("header", [[], "text", 1, None, True, b"", b"{", b"\xff\xfe", b"[" * 3000])
    def test_is_refused_when_the_header_is_no_object(self, header):
        assert_refused(signed(header, good()[1]))

    @pytest.mark.parametrize("claims", [[], "text", 1, None, True, b"", b"{", b"\xff\xfe", b"[" * 3000, b"NaN"])
    def test_is_refused_when_the_claims_are_no_object(self, claims):
        assert_refused(signed(good()[0], claims))

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 5000])
    @pytest.mark.parametrize("name", ["exp", "iat", "auth_time"])
    def test_is_refused_when_an_instant_is_no_number_of_json(self, name, number):
        header, claims = good()
        text = json.dumps({**claims, name: "HERE"}).replace('"HERE"', number)
        assert_refused(signed(header, text.encode()))

    def test_is_refused_by_another_audience_and_by_another_issuer(self):
        assert_refused(minted(), a_codec(audience="https://other.example"))
        assert_refused(minted(), a_codec(issuer="https://other.example"))

    def test_is_refused_beyond_a_length(self):
        header, claims = good()
        fitting = signed(header, claims | {"more": "x" * 5000})
        assert len(fitting) <= MAX_LENGTH
        a_codec().loads(fitting, NOW)
        assert_refused(signed(header, claims | {"more": "x" * MAX_LENGTH}))


class TestASignature:
    """Only ours counts, in its one spelling; what the token says of how to check it counts for nothing."""

    OTHER = Ed25519PrivateKey.from_private_bytes(sha256(b"a stranger's key").digest())

    def test_of_a_strangers_key_is_refused_under_our_kid(self):
        assert_refused(signed(*good(), sign=self.OTHER.sign))

    def test_of_a_strangers_key_is_refused_under_its_own_kid(self):
        header, claims = good()
        kid = signing_keys.thumbprint(self.OTHER.public_key())
        assert_refused(signed(header | {"kid": kid}, claims, self.OTHER.sign))
        jwk = signing_keys.required_members(self.OTHER.public_key())
        assert_refused(signed(header | {"kid": kid, "jwk": jwk}, claims, self.OTHER.sign))

    def test_of_one_of_our_keys_is_refused_under_the_kid_of_another(self):
        header, claims = good()
        old_kid = keys.derive([OLD_SECRET]).kid
        assert_refused(signed(header | {"kid": old_kid}, claims))

    @pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
    def test_there_must_be_one(self, alg):
        header, claims = good()
        unsigned = f"{encoded(header | {'alg': alg})}.{encoded(claims)}"
        for text in (unsigned, f"{unsigned}.", f"{unsigned}.{encoded(b'x')}"):
            assert_refused(text)
        assert_refused(minted().rpartition(".")[0] + ".")

    @pytest.mark.parametrize("alg", ["HS256", "HS512", "EdDSA"])
    def test_made_with_our_public_key_for_a_secret_is_refused(self, alg):
        header, claims = good()
        public = RING.signing_key.private.public_key()
        x = signing_keys.required_members(public)["x"]
        for secret in (
            public.public_bytes_raw(),
            public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            x.encode(),
            json.dumps(signing_keys.required_members(public)).encode(),
            b"",
        ):
            digest = sha512 if alg == "HS512" else sha256
            assert_refused(signed(header | {"alg": alg}, claims, lambda text: hmac.digest(secret, text, digest)))  # noqa: B023

    @pytest.mark.parametrize("idle", range(1, 16))
    def test_has_no_idle_bits_set(self, idle):
        text = minted()
        last = ALPHABET.index(text[-1])
        assert last % 16 == 0
        changed = text[:-1] + ALPHABET[last + idle]
        # Another decoder reads the same 64 bytes: it is we who refuse the second spelling.
        assert urlsafe_b64decode(changed.split(".")[2] + "==") == urlsafe_b64decode(text.split(".")[2] + "==")
        assert_refused(changed)

    @pytest.mark.parametrize("change", ["{}=", "{}==", "{}A", "{}AA", "{} ", "{}\n", " {}", "{}.", ".{}", "{0}.{0}"])
    def test_has_nothing_beside_it(self, change):
        assert_refused(change.format(minted()))

    def test_is_cut_nowhere(self):
        text = minted()
        for length in range(len(text)):
            assert_refused(text[:length])

    def test_covers_every_character(self):
        text, codec = minted(), a_codec()
        for position, character in enumerate(text):
            other = ALPHABET[(ALPHABET.find(character) + 16) % 64]
            assert_refused(text[:position] + other + text[position + 1 :], codec)

    def test_belongs_to_its_own_token(self):
        one, other = minted().split("."), minted(subject="43").split(".")
        for position in (1, 2):
            mixed = [*one]
            mixed[position] = other[position]
            assert_refused(".".join(mixed))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "latchkey_rt_" + "A" * 75,
        "é.é.é",
        "\ud800.a.b",
        "\0.\0.\0",
        "a b.c.d",
        "A" * 2**20,
        "A." * 2**19,
        f"{'A' * 2**20}.{'A' * 2**20}.{'A' * 2**20}",
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_what_is_no_jwt_is_refused(text):
    assert_refused(text)


@given(text=st.text() | st.from_regex(r"[A-Za-z0-9_-]{1,40}(\.[A-Za-z0-9_-]{1,40}){2}", fullmatch=True))
def test_no_text_makes_the_codec_fail(text):
    assert_refused(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(name=st.sampled_from(["iss", "aud", "typ", "alg", "kid", "exp", "sid", "sub", "jti", "gen"]), value=json_values)
def test_no_value_of_a_signed_field_makes_the_codec_fail(name, value):
    header, claims = good()
    fields = header if name in header else claims
    fields[name] = value
    try:
        token = a_codec().loads(signed(header, claims), NOW)
    except InvalidAccessToken:
        return
    # What else passes says the same in every strict field.
    assert isinstance(token.subject, str)
    assert (token.generation, token.expires_at) == (claims["gen"], claims["exp"])
    assert header == good()[0]
    assert (claims["iss"], claims["aud"]) == (ISSUER, AUDIENCE)


class TestTheMemoryOfGoodTokens:
    def test_spares_the_second_check_of_the_signature(self, monkeypatch):
        codec, text = a_codec(), minted()
        first = codec.loads(text, NOW)
        monkeypatch.delattr("jwt.decode")
        assert codec.loads(text, NOW) is first

    def test_does_not_keep_a_token_good_beyond_its_expiry(self):
        codec = a_codec()
        text = minted(session_ends_at=NOW + timedelta(seconds=100))
        codec.loads(text, NOW)
        with pytest.raises(ExpiredAccessToken):
            codec.loads(text, NOW + timedelta(seconds=100))
        assert codec.loads(text, NOW + timedelta(seconds=99)).session_id == SESSION

    def test_is_bounded_and_drops_the_oldest(self, monkeypatch):
        monkeypatch.setattr("tokens.access_tokens.REMEMBERED", 10)
        codec = a_codec()
        texts = [minted() for _ in range(25)]
        for text in texts:
            codec.loads(text, NOW)
            assert len(codec._good) <= 10
        assert list(codec._good) == texts[-10:]
        assert codec.loads(texts[0], NOW).session_id == SESSION  # Forgotten, not refused.

    def test_keeps_nothing_that_was_refused(self):
        codec = a_codec()
        for text in (minted()[:-4] + "AAAA", "a.b.c", minted(a_codec(issuer="https://other.example"))):
            assert_refused(text, codec)
        assert not codec._good


class TestTheProjectsOwnClaims:
    def test_are_added(self):
        token = a_codec().loads(minted(extra={"roles": ["editor"], "scope": "read"}), NOW)
        assert token.claims["roles"] == ["editor"]
        assert token.claims["scope"] == "read"
        assert token.claims["sub"] == "42"

    @pytest.mark.parametrize("name", ["nbf", *good()[1]])
    def test_may_not_replace_ours(self, name):
        with pytest.raises(ValueError, match=name):
            minted(extra={"roles": [], name: "mine"})

    @pytest.mark.parametrize("hook", [None, "roles_of"])
    def test_come_from_a_function_that_is_given_the_user(self, api, user, settings, hook):
        settings.TOKENS = {"CLAIMS_HOOK": f"{__name__}.{hook}"} if hook else {}
        login(api, user)
        claims = decoded(api.cookies[ACCESS].value.split(".")[1])
        assert claims.get("roles") == ([f"friend of {user.email}"] if hook else None)


def roles_of(user: Any) -> Mapping[str, Any]:
    return {"roles": [f"friend of {user.email}"]}


class TestKeys:
    def test_of_a_fall_back_secret_check_but_do_not_make(self):
        old = a_codec(keys.derive([OLD_SECRET]))
        assert a_codec().loads(minted(old), NOW).session_id == SESSION
        assert_refused(minted(), old)
        assert good()[0]["kid"] == keys.derive([SECRET]).kid

    def test_of_a_secret_that_is_gone_check_no_more(self):
        assert_refused(minted(a_codec(keys.derive([OLD_SECRET]))), a_codec(keys.derive([SECRET])))

    def test_follow_the_settings(self, settings):
        before = codec()
        text = minted(before)
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = SECRET
        assert codec().loads(text, NOW).session_id == SESSION
        assert decoded(minted(codec()).split(".")[0])["kid"] == RING.kid
        settings.SECRET_KEY_FALLBACKS = []
        assert_refused(text, codec())

    def test_are_the_hkdf_of_the_secret_each_with_its_label(self):
        ring = keys.derive([SECRET])
        assert ring.signing_key.private.private_bytes_raw() == hkdf(SECRET, b"latchkey: access token, Ed25519", 32)
        assert ring.key_id == hkdf(SECRET, b"latchkey: refresh token, key id", 4)
        assert ring.mac_keys == {ring.key_id: hkdf(SECRET, b"latchkey: refresh token, MAC", 32)}

    def test_differ_by_label_and_by_secret(self):
        ring = keys.derive([SECRET, OLD_SECRET])
        old: Any = keys.derive([OLD_SECRET]).signing_key.private
        found = [PRIVATE.private_bytes_raw(), old.private_bytes_raw(), *ring.mac_keys.values(), *ring.mac_keys]
        found.append(ring.handover_key)
        assert len(set(found)) == len(found) == 7
        for one, other in pairwise(sorted(found)):
            assert not other.startswith(one)  # The key id is no part of a key.
        for key in found:
            assert key not in SECRET.encode()

    def test_stay_the_same_from_release_to_release(self):
        # Another derivation would sign everybody out: these were computed once, and may never change.
        assert RING.kid == "g6GA4DIStgIZALdo08yEXwH-9A_7fbr4-OnR4dq4CDw"
        assert RING.key_id.hex() == "9c77af2a"

    def test_show_nothing_secret(self):
        for private in (RING.signing_key.private.private_bytes_raw(), *RING.mac_keys.values()):
            for spelling in (repr(private)[2:-1], private.hex(), encoded(private)):
                assert spelling not in repr(RING) + str(RING)

    def test_are_named_as_the_rfc_computes_it(self):
        # RFC 8037, appendix A.3.
        x = urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
        public = Ed25519PublicKey.from_public_bytes(x)
        assert signing_keys.thumbprint(public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def hkdf(secret: str, label: bytes, length: int) -> bytes:
    """RFC 5869 with SHA-256 and no salt, by hand, for at most 32 bytes."""
    extracted = hmac.digest(bytes(32), secret.encode(), "sha256")
    return hmac.digest(extracted, label + b"\x01", "sha256")[:length]


class TestThePublishedKeys:
    def test_are_public_and_named(self):
        jwks = RING.jwks["keys"]
        assert [set(key) for key in jwks] == [{"kty", "crv", "x", "kid", "use", "alg"}] * 2
        assert {(key["kty"], key["crv"], key["use"], key["alg"]) for key in jwks} == {
            ("OKP", "Ed25519", "sig", "EdDSA")
        }
        assert [key["kid"] for key in jwks] == [RING.kid, keys.derive([OLD_SECRET]).kid]
        for key in jwks:
            members = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": key["x"]}, separators=(",", ":"))
            assert key["kid"] == encoded(sha256(members.encode()).digest())

    def test_are_served_to_everybody_and_cacheable_without_a_query(self, api, settings):
        settings.SECRET_KEY_FALLBACKS = [OLD_SECRET]
        response = api.get("/.well-known/jwks.json")
        assert response.status_code == 200
        assert response.json() == keys.keyring().jwks
        assert len(response.json()["keys"]) == 2
        assert response["Content-Type"] == "application/jwk-set+json"
        assert {*re.split(r",\s*", response["Cache-Control"])} == {"public", "max-age=300"}
        assert "Cookie" not in response.get("Vary", "")
        assert not response.cookies

    def test_hold_no_private_member(self, api):
        private = keys.keyring().signing_key.private.private_bytes_raw()
        assert encoded(private) not in api.get("/.well-known/jwks.json").content.decode()

    def test_verify_our_tokens_in_pyjwt(self, api, user, settings):
        old = minted(codec(), now=datetime.now(UTC), session_ends_at=datetime.now(UTC) + timedelta(days=1))
        settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], SECRET
        signed_in = login(api, user)
        with served() as address:
            client = jwt.PyJWKClient(f"{address}/.well-known/jwks.json")
            for text, subject in ((api.cookies[ACCESS].value, signed_in["user"]["id"]), (old, "42")):
                key = client.get_signing_key_from_jwt(text)
                options: Any = {"require": ["exp", "iat", "sub", "jti", "client_id", "sid"]}
                claims = jwt.decode(
                    text, key, ["EdDSA"], options, audience="https://testserver", issuer="https://testserver"
                )
                assert claims["sub"] == subject
                with pytest.raises(jwt.InvalidSignatureError):
                    jwt.decode(text[:-10] + "A" * 10, key, ["EdDSA"], audience="https://testserver")


def test_a_token_of_another_session_is_another_token():
    token = a_codec().loads(minted(), NOW)
    assert replace(token, session_id=UUID(int=1)) != token
