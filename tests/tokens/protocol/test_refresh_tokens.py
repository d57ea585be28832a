"""The bytes of a refresh token: which texts are tokens of ours. The vectors are in ``vectors/refresh_tokens.json``."""

import hmac
import json
import struct
import traceback
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tokens.protocol.jws import ALPHABET
from tokens.protocol import refresh_tokens
from tokens.protocol.refresh_tokens import (
    MAX_GENERATION,
    PREFIX,
    InvalidRefreshToken,
    RefreshToken,
    UnknownKey,
    dumps,
    loads,
)

VECTORS = json.loads((Path(__file__).parent / "vectors" / "refresh_tokens.json").read_text())
KEYS = {bytes.fromhex(key_id): bytes.fromhex(key) for key_id, key in VECTORS["keys"].items()}
KEY_ID, OTHER_KEY_ID = KEYS
GENUINE = VECTORS["genuine"]["token"]
PARTS = {"key id": 4, "session id": 16, "secret": 16, "generation": 4, "tag": 16}


def described(vector: dict[str, Any]) -> str:
    return str(vector["desc"])


def bytes_of(text: str) -> bytes:
    return urlsafe_b64decode(text.removeprefix(PREFIX) + "=")


def text_of(raw: bytes) -> str:
    return PREFIX + urlsafe_b64encode(raw).rstrip(b"=").decode()


def refusal_of(text: str) -> InvalidRefreshToken:
    with pytest.raises(InvalidRefreshToken) as caught:
        loads(text, KEYS)
    return caught.value


class TestTheVectors:
    @pytest.mark.parametrize("vector", [*VECTORS["valid"], VECTORS["genuine"]], ids=described)
    def test_a_valid_token_is_read_and_made_again(self, vector):
        key_id = bytes.fromhex(vector["key_id"])
        token = RefreshToken(UUID(vector["session_id"]), bytes.fromhex(vector["secret"]), vector["generation"])
        assert loads(vector["token"], KEYS) == token
        assert dumps(token, key_id, KEYS[key_id]) == vector["token"]

    @pytest.mark.parametrize("vector", VECTORS["invalid"], ids=described)
    def test_an_invalid_token_is_refused_without_a_message_or_a_cause(self, vector):
        refusal = refusal_of(vector["token"])
        assert (type(refusal).__name__, refusal.args) == (vector["error"], ())
        text = "".join(traceback.format_exception_only(refusal)).strip()
        assert text == f"tokens.protocol.refresh_tokens.{vector['error']}"
        # A log would show a cause, for example the message of a decoder.
        assert refusal.__cause__ is None
        assert refusal.__context__ is None or refusal.__suppress_context__


def test_a_token_is_spelled_as_the_docstring_says():
    session_id, secret = UUID("01939d2a-7c00-7abc-8def-0123456789ab"), bytes(range(100, 116))
    body = KEY_ID + session_id.bytes + secret + (0x01020304).to_bytes(4, "big")
    tag = hmac.new(KEYS[KEY_ID], body, sha256).digest()[:16]
    token = dumps(RefreshToken(session_id, secret, 0x01020304), KEY_ID, KEYS[KEY_ID])
    assert token == text_of(body + tag)
    assert token.startswith("latchkey_rt_")
    assert len(token.removeprefix("latchkey_rt_")) == 75


def test_a_flipped_bit_is_refused_in_every_byte():
    for position, bit in product(range(56), range(8)):
        raw = bytearray(bytes_of(GENUINE))
        raw[position] ^= 1 << bit
        refusal = refusal_of(text_of(bytes(raw)))
        assert (type(refusal) is UnknownKey) == (position < PARTS["key id"])


def test_another_character_is_refused_in_every_place():
    for position, own in enumerate(GENUINE):
        for character in {*ALPHABET, "=", "+", "/", " ", "\0", "é"} - {own}:
            refusal_of(GENUINE[:position] + character + GENUINE[position + 1 :])


def test_a_cut_token_is_refused_at_every_length():
    for length in range(len(GENUINE)):
        refusal_of(GENUINE[:length])
        refusal_of(GENUINE[-length:] if length else "")


def test_every_mixture_of_the_parts_of_two_tokens_is_refused():
    one = dumps(RefreshToken(UUID(int=1), bytes(16), 3), KEY_ID, KEYS[KEY_ID])
    other = dumps(RefreshToken(UUID(int=2), bytes([1]) * 16, 4), OTHER_KEY_ID, KEYS[OTHER_KEY_ID])
    split = struct.Struct("".join(f"{size}s" for size in PARTS.values())).unpack
    mixtures = product(*zip(split(bytes_of(one)), split(bytes_of(other)), strict=True))
    texts = {text_of(b"".join(mixture)) for mixture in mixtures}
    assert len(texts) == 2 ** len(PARTS)
    for text in texts - {one, other}:
        assert type(refusal_of(text)) is InvalidRefreshToken


@pytest.mark.parametrize(
    "text",
    [GENUINE + "A" * 2**20, "A" * 2**20, PREFIX * 2**17, "é" * 2**20, "\0" * 2**20],
    ids=["a token and more", "one letter", "the prefix again and again", "not ASCII", "zero bytes"],
)
def test_a_megabyte_is_refused_without_being_decoded(text, monkeypatch):
    monkeypatch.delattr(refresh_tokens, "urlsafe_b64decode")
    refusal_of(text)


@pytest.mark.parametrize("keys", [{OTHER_KEY_ID: KEYS[OTHER_KEY_ID]}, {}], ids=["another key", "no key"])
def test_a_token_of_a_removed_key_is_refused_as_one_of_an_unknown_key(keys):
    with pytest.raises(UnknownKey):
        loads(GENUINE, keys)


def test_the_tag_is_compared_in_constant_time(monkeypatch):
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: bool(compared.append((a, b))) or a == b)
    loads(GENUINE, KEYS)
    assert compared[-1] == (bytes_of(GENUINE)[-16:],) * 2


class TestTheSuccessor:
    TOKEN = RefreshToken(UUID(int=7), b"sixteen bytes ..", 41)

    def test_has_the_same_session_and_secret_and_so_the_digest_that_the_row_holds(self):
        assert self.TOKEN.of(42) == RefreshToken(self.TOKEN.session_id, self.TOKEN.secret, 42)
        assert self.TOKEN.of(42).digest == self.TOKEN.digest == sha256(b"sixteen bytes ..").digest()

    @pytest.mark.parametrize("generation", [-1, MAX_GENERATION + 1], ids=["negative", "too large"])
    def test_with_a_generation_of_more_than_32_bits_raises_an_error(self, generation):
        with pytest.raises(struct.error):
            dumps(self.TOKEN.of(generation), KEY_ID, KEYS[KEY_ID])


def test_a_repr_shows_no_secret():
    secret = bytes(range(200, 216))
    token = RefreshToken(UUID(int=7), secret, 41)
    spellings = [spelling for raw in (secret, token.digest) for spelling in (repr(raw)[2:-1], raw.hex())]
    for shown in (repr(token), str(token), f"{token}", repr([token])):
        assert "generation=41" in shown
        assert not [spelling for spelling in spellings if spelling in shown]


tokens = st.builds(
    RefreshToken,
    session_id=st.uuids(),
    secret=st.binary(min_size=16, max_size=16),
    generation=st.integers(0, MAX_GENERATION),
)


@given(token=tokens, key_id=st.binary(min_size=4, max_size=4), key=st.binary(min_size=32, max_size=32))
def test_every_token_is_read_as_it_was_made(token, key_id, key):
    assert loads(dumps(token, key_id, key), {key_id: key}) == token


@given(text=st.text() | st.text(ALPHABET, min_size=75, max_size=75).map(PREFIX.__add__))
def test_no_other_text_is_a_token(text):
    refusal_of(text)


@given(token=tokens, key=st.binary(min_size=32, max_size=32).filter(lambda key: key not in KEYS.values()))
def test_no_key_but_ours_makes_a_token(token, key):
    assert type(refusal_of(dumps(token, KEY_ID, key))) is InvalidRefreshToken
