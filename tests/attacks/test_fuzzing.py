"""Both token parsers, fed with more than anybody could think of: mutants of good tokens, which get far, and noise.

A parser may refuse, by its one exception, and do nothing else; and what it takes is the good token, to the byte. The
seed is told where a run fails. The long version: ``pytest -m exhaustive tests/attacks -n0``.
"""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from tests.attacks.test_wycheproof import minted
from tokens import keys, refresh_tokens
from tokens.access_tokens import InvalidAccessToken, codec

SHORT, LONG = 40_000, 3_000_000
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
ODD = ".=+/ \t\r\n\0\x7f\x85\xa0\u2028\u0660\uff21\ud800\U0001f511%\"'\\,;:{}[]"
RING = keys.derive(["a secret for tests that is long enough to be taken for a real one"])
GOOD_REFRESH = refresh_tokens.dumps(
    refresh_tokens.RefreshToken(UUID("01939d2a-7c00-7abc-8def-0123456789ab"), bytes(range(16)), 7),
    RING.key_id,
    RING.mac_keys[RING.key_id],
)


def mutants(good: str, chance: random.Random) -> Iterator[str]:
    """Endlessly: the good text, changed in a few places, or noise of its length."""
    characters = ALPHABET * 4 + ODD
    changes: list[Callable[[str, int], str]] = [
        lambda text, at: text[:at] + chance.choice(characters) + text[at + 1 :],
        lambda text, at: text[:at] + chance.choice(ALPHABET) + text[at + 1 :],
        lambda text, at: text[:at] + chance.choice(characters) + text[at:],
        lambda text, at: text[:at] + text[at + 1 :],
        lambda text, at: text[:at],
        lambda text, at: text[at:],
        lambda text, at: text[:at] + text[at:].swapcase(),
        lambda text, at: text[at:] + text[:at],
        lambda text, at: text[:at] + good[at:],
        lambda text, at: text + text[at:],
    ]
    while True:
        if chance.random() < 0.1:
            yield "".join(chance.choices(characters, k=len(good)))
            continue
        text = good
        for _ in range(chance.randint(1, 4)):
            text = chance.choice(changes)(text, chance.randrange(len(text) + 1))
        yield text


def fuzz(good: str, loads: Callable[[str], Any], refusal: type[Exception], times: int, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    expected, refused = loads(good), 0
    for text, _ in zip(mutants(good, chance), range(times), strict=False):
        try:
            found = loads(text)
        except refusal:
            refused += 1
        else:
            assert text == good, (seed, ascii(text))
            assert found == expected
    assert refused > times * 0.9


def load_access(text: str) -> Any:
    return codec().loads(text, datetime.now(UTC))


def load_refresh(text: str) -> Any:
    return refresh_tokens.loads(text, RING.mac_keys)


@pytest.mark.parametrize("times", [SHORT, pytest.param(LONG, marks=pytest.mark.exhaustive)])
def test_no_mutant_of_a_refresh_token_is_one(times):
    fuzz(GOOD_REFRESH, load_refresh, refresh_tokens.InvalidRefreshToken, times, random.randrange(2**32))  # noqa: S311


@pytest.mark.parametrize("times", [SHORT // 4, pytest.param(LONG // 3, marks=pytest.mark.exhaustive)])
def test_no_mutant_of_an_access_token_is_one(times):
    fuzz(minted(), load_access, InvalidAccessToken, times, random.randrange(2**32))  # noqa: S311
