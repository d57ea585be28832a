"""Fuzzing of both token parsers: with changed valid tokens, which pass many of the checks, and with random text.

A parser must reject each text with its one exception, or accept it because it is the valid token itself. A failure
reports the seed. The long version: ``pytest -m exhaustive tests/attacks -n0``.
"""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.attacks.entry_points import minted
from tests.tokens.protocol.jws import ALPHABET, SESSION
from tokens.conf import codec
from tokens.protocol import keys, refresh_tokens
from tokens.protocol.access_tokens import InvalidAccessToken

SHORT, LONG = 40_000, 3_000_000
ODD = ".=+/ \t\r\n\0\x7f\x85\xa0\u2028\u0660\uff21\ud800\U0001f511%\"'\\,;:{}[]"
RING = keys.derive(["a secret for tests that is long enough to be taken for a real one"])
TOKEN = refresh_tokens.RefreshToken(SESSION, bytes(range(16)), 7)
GOOD_REFRESH = refresh_tokens.dumps(TOKEN, RING.key_id, RING.mac_keys[RING.key_id])


def mutants(good: str, chance: random.Random) -> Iterator[str]:
    """Yield, without end, the valid text changed in a few places, or random text of its length."""
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


def fuzz(good: str, loads: Callable[[str], Any], refusal: type[Exception], times: int) -> None:
    seed = random.randrange(2**32)  # noqa: S311
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


@pytest.mark.parametrize(
    "times", [SHORT, pytest.param(LONG, marks=pytest.mark.exhaustive)], ids=["in the default run", "at length"]
)
def test_a_changed_refresh_token_is_rejected(times):
    def load(text: str) -> Any:
        return refresh_tokens.loads(text, RING.mac_keys)

    fuzz(GOOD_REFRESH, load, refresh_tokens.InvalidRefreshToken, times)


@pytest.mark.parametrize(
    "times",
    [SHORT // 4, pytest.param(LONG // 3, marks=pytest.mark.exhaustive)],
    ids=["in the default run", "at length"],
)
def test_a_changed_access_token_is_rejected(times):
    def load(text: str) -> Any:
        return codec().loads(text, datetime.now(UTC))

    fuzz(minted(), load, InvalidAccessToken, times)
