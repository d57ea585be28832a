"""The access token: what it contains, which tokens are accepted, and for how long.

``vectors/access_tokens.json`` describes changes to a valid token. Each is signed with the server's key and must be
rejected.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.browsers import ACCESS, login
from tests.tokens.protocol import jws
from tests.tokens.protocol.jws import ALPHABET, NOW, SESSION, VECTORS, claims_of, dumped, opened, signed
from tokens.conf import codec
from tokens.protocol import access_tokens, keys
from tokens.protocol.access_tokens import (
    MAX_LENGTH,
    AccessToken,
    Codec,
    ExpiredAccessToken,
    InvalidAccessToken,
    instant,
)
from tokens.protocol.bounded_cache import OVERHEAD

ISSUER, AUDIENCE = VECTORS["issuer"], VECTORS["audience"]
SERVICES = "https://services.example"
SECRET = "the first secret, which makes tokens, and is long enough to be taken for a real one"
OLD_SECRET = "the old secret, which checks tokens, and is long enough to be taken for a real one"
RING = keys.derive([SECRET, OLD_SECRET])
PRIVATE: Any = RING.signing_key.private
START = int(NOW.timestamp())
IN_100_SECONDS = NOW + timedelta(seconds=100)


def a_codec(ring: keys.KeyRing = RING, **changes: str) -> Codec:
    return Codec(ring, **{"issuer": ISSUER, "audience": AUDIENCE, "client_id": "latchkey", **changes})


def minted(codec: Codec | None = None, **changes: Any) -> str:
    return jws.minted(codec or a_codec(), **changes)


def good() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the claims of a token that is accepted."""
    return opened(minted())


def signed_by_us(header: Any, claims: Any) -> str:
    return signed(header, claims, PRIVATE.sign)


def assert_refused(text: str, codec: Codec | None = None) -> None:
    """Hold the codec to `InvalidAccessToken` without a message, and without another exception as its cause."""
    with pytest.raises(InvalidAccessToken) as caught:
        (codec or a_codec()).loads(text, NOW)
    assert (type(caught.value), caught.value.args) == (InvalidAccessToken, ())
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
            "acr": "aal1",
        }

    def test_is_read_as_it_was_made(self):
        text, made = dumped(a_codec())
        read = a_codec().loads(text, NOW)
        assert read == made != replace(made, session_id=UUID(int=1))
        assert read == AccessToken(
            subject="42",
            session_id=SESSION,
            generation=7,
            issued_at=START,
            expires_at=read.claims["exp"],
            authenticated_at=START - 3600,
            while_open=False,
            actor=None,
            for_services=False,
            claims=read.claims,
        )

    def test_carries_the_generation_of_its_refresh_token_if_it_came_with_one(self):
        assert a_codec().loads(minted(generation=0), NOW).generation == 0
        text = minted(generation=None)
        assert "gen" not in claims_of(text)
        assert a_codec().loads(text, NOW).generation is None

    def test_names_the_actor_and_not_when_an_unknown_user_authenticated(self):
        text = minted(actor="7", authenticated_at=None, methods=[], acr=None)
        claims, read = claims_of(text), a_codec().loads(text, NOW)
        assert (claims["act"], read.actor, read.authenticated_at) == ({"sub": "7"}, "7", None)
        assert not {"auth_time", "amr", "acr"} & claims.keys()

    @pytest.mark.parametrize("act", [None, "7", {}, {"sub": 7}, {"sub": "7", "act": {"sub": "8"}}, [], False], ids=repr)
    def test_with_another_kind_of_actor_is_refused(self, act):
        header, claims = good()
        assert_refused(signed_by_us(header, {**claims, "act": act}))

    def test_has_whole_seconds_rounded_down(self):
        late = timedelta(microseconds=999_999)
        claims = claims_of(minted(now=NOW + late))
        assert (claims["iat"], claims["auth_time"]) == (START, START - 3600)
        assert claims_of(minted(session_ends_at=IN_100_SECONDS + late))["exp"] == START + 100

    def test_has_an_id_of_its_own(self):
        assert len({claims_of(minted())["jti"] for _ in range(100)}) == 100

    @pytest.mark.parametrize("seconds", [1, 300, 569], ids=lambda seconds: f"{seconds} s")
    def test_never_outlives_its_session(self, seconds):
        assert claims_of(minted(session_ends_at=NOW + timedelta(seconds=seconds)))["exp"] == START + seconds

    @pytest.mark.parametrize(
        ("for_services", "audience"), [(True, SERVICES), (False, AUDIENCE)], ids=["services", "us"]
    )
    def test_says_whether_it_is_for_services(self, for_services, audience):
        text, made = dumped(a_codec(service_audience=SERVICES), for_services=for_services)
        assert (claims_of(text)["aud"], made.for_services) == (audience, for_services)
        assert a_codec(service_audience=SERVICES).loads(text, NOW) == made

    def test_shows_neither_claims_nor_text_in_its_repr(self):
        text, made = dumped(a_codec(), extra={"phone": "555-0100"})
        assert str(SESSION) in repr(made)
        assert not [secret for secret in ("555-0100", text, text.split(".")[2]) if secret in repr(made)]


class TestTheLifetime:
    @pytest.mark.parametrize(("drawn", "lifetime"), [(0, 600), (30, 570), (17, 583)], ids=["least", "most", "between"])
    def test_is_shortened_by_a_random_number_of_seconds(self, drawn, lifetime, monkeypatch):
        bounds = []
        monkeypatch.setattr(access_tokens.secrets, "randbelow", lambda bound: bounds.append(bound) or drawn)
        assert claims_of(minted())["exp"] == START + lifetime
        assert bounds == [31]  # 0 to 30 s, which is 5 % of ten minutes.

    @pytest.mark.parametrize("seconds", [1, 2, 19], ids=lambda seconds: f"{seconds} s")
    def test_of_a_few_seconds_is_not_shortened(self, seconds):
        assert claims_of(minted(lifetime=timedelta(seconds=seconds)))["exp"] == START + seconds


class TestExpiry:
    @pytest.fixture
    def text(self) -> str:
        """A token that is valid for exactly 100 s, because its session ends then.

        The lifetime of any other token is shortened at random, and a test at the boundary would fail at random.
        """
        return minted(session_ends_at=IN_100_SECONDS)

    @pytest.mark.parametrize("age", [0, 99, 99.999_999], ids=["at once", "a second before", "an instant before"])
    def test_is_not_before_its_time(self, text, age):
        assert a_codec().loads(text, NOW + timedelta(seconds=age)).expires_at == START + 100

    @pytest.mark.parametrize(
        "age", [100, 100.000_001, 101, 10**6], ids=["at the end", "an instant later", "a second later", "days later"]
    )
    def test_has_no_leeway(self, text, age):
        with pytest.raises(ExpiredAccessToken) as caught:
            a_codec().loads(text, NOW + timedelta(seconds=age))
        assert caught.value.args == ()

    def test_does_not_matter_for_signing_out(self, text):
        assert a_codec().loads_expired(text).session_id == SESSION

    def test_is_reported_only_for_a_token_that_was_valid(self, text):
        # Otherwise the response would show an attacker whether a forged token has the right shape.
        forged = f"{text.rpartition('.')[0]}.{text.rpartition('.')[2][:-4]}AAAA"
        with pytest.raises(InvalidAccessToken) as caught:
            a_codec().loads(forged, NOW + timedelta(days=1))
        assert type(caught.value) is InvalidAccessToken
        with pytest.raises(InvalidAccessToken):
            a_codec().loads_expired(forged)

    @pytest.mark.parametrize("seconds", [1, 60, 3600], ids=lambda seconds: f"{seconds} s")
    def test_a_token_issued_in_the_future_is_accepted(self, seconds):
        """The clock of the node that issued it may be ahead of this node's."""
        assert a_codec().loads(minted(now=NOW + timedelta(seconds=seconds)), NOW).issued_at == START + seconds

    def test_an_instant_has_a_time_zone(self):
        assert (instant(START), instant(START).tzinfo) == (NOW, UTC)


class TestATokenSignedByUs:
    """A token that our own key signed is accepted only if it has the form that we give to tokens."""

    def test_is_accepted_unchanged(self):
        assert a_codec().loads(signed_by_us(*good()), NOW).session_id == SESSION

    @pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda vector: vector["desc"])
    def test_is_refused_when_changed(self, vector):
        assert_refused(signed_by_us(*jws.changed(vector, minted())))

    NO_OBJECTS = [[], "text", 1, None, True, b"", b"{", b"NaN", b"\xff\xfe", b"[" * 3000]

    @pytest.mark.parametrize("value", NO_OBJECTS, ids=lambda value: repr(value)[:12])
    def test_is_refused_when_the_header_or_the_claims_are_no_object(self, value):
        header, claims = good()
        assert_refused(signed_by_us(value, claims))
        assert_refused(signed_by_us(header, value))

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 5000], ids=lambda text: text[:9])
    @pytest.mark.parametrize("name", ["exp", "iat", "auth_time"])
    def test_is_refused_when_an_instant_is_no_number_of_json(self, name, number):
        header, claims = good()
        text = json.dumps({**claims, name: "HERE"}).replace('"HERE"', number)
        assert_refused(signed_by_us(header, text.encode()))

    @pytest.mark.parametrize("changed", ["audience", "issuer"])
    def test_is_refused_by_another_audience_and_by_another_issuer(self, changed):
        assert_refused(minted(), a_codec(**{changed: "https://other.example"}))

    @pytest.mark.parametrize(
        "audience",
        [[SERVICES], [AUDIENCE, SERVICES], f"{AUDIENCE} {SERVICES}", "", None],
        ids=["a list of one", "a list of both", "both in one text", "an empty text", "null"],
    )
    def test_is_refused_with_anything_but_one_of_the_two_audiences(self, audience):
        header, claims = good()
        assert_refused(signed_by_us(header, {**claims, "aud": audience}), a_codec(service_audience=SERVICES))

    def test_for_services_is_refused_where_there_is_no_audience_for_services(self):
        assert_refused(minted(a_codec(service_audience=SERVICES), for_services=True))

    def test_is_refused_beyond_a_length(self):
        header, claims = good()
        fitting = signed_by_us(header, claims | {"more": "x" * 5000})
        assert len(fitting) <= MAX_LENGTH
        a_codec().loads(fitting, NOW)
        assert_refused(signed_by_us(header, claims | {"more": "x" * MAX_LENGTH}))


class TestASignature:
    """Only a signature of our key counts, in its canonical spelling. The token does not choose how it is checked.

    `tests.attacks` presents tokens with another key's signature, or with none, at the endpoints.
    """

    def test_of_one_of_our_keys_is_refused_under_the_kid_of_another(self):
        header, claims = good()
        assert_refused(signed_by_us(header | {"kid": keys.derive([OLD_SECRET]).kid}, claims))

    def test_has_no_spare_bits_set(self):
        text = minted()
        last = ALPHABET.index(text[-1])
        assert last % 16 == 0
        for spare in range(1, 16):
            changed = text[:-1] + ALPHABET[last + spare]
            # A lenient decoder reads the same 64 bytes from it, so the spelling itself must be checked.
            assert jws.raw(changed.split(".")[2]) == jws.raw(text.split(".")[2])
            assert_refused(changed)

    @pytest.mark.parametrize(
        "change",
        ["{}=", "{}==", "{}A", "{}AA", "{} ", "{}\n", " {}", "{}.", ".{}", "{0}.{0}"],
        ids=lambda change: repr(change.format("token")),
    )
    def test_has_nothing_before_or_after_it(self, change):
        assert_refused(change.format(minted()))

    def test_cannot_be_shortened(self):
        text = minted()
        for length in range(len(text)):
            assert_refused(text[:length])

    def test_belongs_to_one_token(self):
        head, claims, signature = minted().split(".")
        _, other_claims, other_signature = minted(subject="43").split(".")
        assert_refused(f"{head}.{other_claims}.{signature}")
        assert_refused(f"{head}.{claims}.{other_signature}")


NO_JWT = ["", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d.e", "é.é.é", "\ud800.a.b", "\0.\0.\0", "a b.c.d"]
LONG = ["latchkey_rt_" + "A" * 75, "A" * 2**20, "A." * 2**19, f"{'A' * 2**20}.{'A' * 2**20}.{'A' * 2**20}"]


@pytest.mark.parametrize("text", NO_JWT + LONG, ids=lambda text: ascii(text[:20]))
def test_text_that_is_no_jwt_is_refused(text):
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
        token = a_codec().loads(signed_by_us(header, claims), NOW)
    except InvalidAccessToken:
        return
    # A token that is accepted has the expected value in every field that is checked exactly.
    assert isinstance(token.subject, str)
    assert (token.generation, token.expires_at) == (claims["gen"], claims["exp"])
    assert (header, claims["iss"], claims["aud"]) == (good()[0], ISSUER, AUDIENCE)


class TestTheCacheOfVerifiedTokens:
    def test_saves_the_second_check_of_the_signature(self, monkeypatch):
        codec, text = a_codec(), minted()
        first = codec.loads(text, NOW)
        monkeypatch.delattr(jwt, "decode")
        assert codec.loads(text, NOW) is first

    def test_does_not_extend_the_life_of_a_token(self):
        codec, text = a_codec(), minted(session_ends_at=IN_100_SECONDS)
        codec.loads(text, NOW)
        with pytest.raises(ExpiredAccessToken):
            codec.loads(text, IN_100_SECONDS)
        assert codec.loads(text, IN_100_SECONDS - timedelta(seconds=1)).session_id == SESSION

    def test_is_bounded_and_drops_the_oldest(self, monkeypatch):
        texts = [minted() for _ in range(150)]
        monkeypatch.setattr(access_tokens, "REMEMBERED", 120 * (OVERHEAD + 1000 + access_tokens.PARSED * len(texts[0])))
        codec = a_codec()
        for text in texts:
            codec.loads(text, NOW)
            assert len(codec._good) <= 120
        assert [text for text in texts if codec._good.get(text)] == texts[-120:]
        assert codec.loads(texts[0], NOW).session_id == SESSION  # The codec verifies the token again.

    def test_holds_no_rejected_token(self):
        codec = a_codec()
        for text in (minted()[:-4] + "AAAA", "a.b.c", minted(a_codec(issuer="https://other.example"))):
            assert_refused(text, codec)
        assert not codec._good

    def test_answers_for_a_verified_token_until_it_expires(self):
        codec, text = a_codec(), minted()
        token = codec.loads(text, NOW)
        assert codec.remembered(text, token.expires_at - 0.001) is token
        assert codec.remembered(text, token.expires_at) is None
        assert a_codec().remembered(text, START) is None, "Another codec has not verified it."


class TestTheProjectsOwnClaims:
    def test_are_added(self):
        claims = a_codec().loads(minted(extra={"roles": ["editor"], "scope": "read"}), NOW).claims
        assert (claims["roles"], claims["scope"], claims["sub"]) == (["editor"], "read", "42")

    @pytest.mark.parametrize("name", ["nbf", *good()[1]])
    def test_may_not_replace_ours(self, name):
        with pytest.raises(ValueError, match=name):
            minted(extra={"roles": [], name: "mine"})

    @pytest.mark.at_length_on("sqlite")
    @pytest.mark.parametrize("hook", [None, "roles_of"], ids=["no function", "a function"])
    def test_come_from_a_function_that_is_called_with_the_user(self, api, user, settings, hook):
        settings.TOKENS = {"CLAIMS_HOOK": f"{__name__}.{hook}"} if hook else {}
        login(api, user)
        expected = [f"friend of {user.email}"] if hook else None
        assert claims_of(api.cookies[ACCESS].value).get("roles") == expected


def roles_of(user: Any, session: Any) -> Mapping[str, Any]:
    return {"roles": [f"friend of {user.email}"]}


class TestKeys:
    def test_follow_the_settings(self, settings):
        text = minted(codec())
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = SECRET
        assert codec().loads(text, NOW).session_id == SESSION
        assert opened(minted(codec()))[0]["kid"] == RING.kid
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
        found.extend([*ring.django_session_keys, *ring.release_keys])
        assert len(set(found)) == len(found) == 10
        for one, other in pairwise(sorted(found)):
            assert not other.startswith(one)  # A key id, which is public, is not the beginning of a key.
        assert not [key for key in found if key in SECRET.encode()]


def hkdf(secret: str, label: bytes, length: int) -> bytes:
    """Return RFC 5869 with SHA-256 and no salt, for at most 32 bytes, written out independently of the code."""
    extracted = hmac.digest(bytes(32), secret.encode(), "sha256")
    return hmac.digest(extracted, label + b"\x01", "sha256")[:length]
