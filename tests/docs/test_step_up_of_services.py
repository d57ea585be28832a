"""The function in the documentation with which a service asks for more."""

import time

import pytest

from tests.docs.blocks import Block, block
from tests.docs.code import run

BLOCK = block("docs/how-to/verify-access-tokens.md", "# step_up.py")
NOW = 1_893_456_000


def runs_blocks() -> list[Block]:
    return [BLOCK]


BOTH = {"acr": "aal2", "max_age": 5}
CASES = {
    "the level": ({"acr": "aal2"}, {"acr": "aal2"}, None),
    "a higher level": ({"acr": "aal3"}, {"acr": "aal2"}, None),
    "a lower level": ({"acr": "aal1"}, {"acr": "aal2"}, ['acr_values="aal2 aal3"']),
    "no level": ({}, {"acr": "aal1"}, ['acr_values="aal1 aal2 aal3"']),
    "just recent enough": ({"auth_time": NOW - 300}, {"max_age": 300}, None),
    "a second too old": ({"auth_time": NOW - 301}, {"max_age": 300}, ['max_age="300"']),
    "no time": ({}, {"max_age": 300}, ['max_age="300"']),
    "the level, and recent": ({"acr": "aal2", "auth_time": NOW}, BOTH, None),
    "a lower level, and recent": ({"acr": "aal1", "auth_time": NOW}, BOTH, ['acr_values="aal2 aal3"', 'max_age="5"']),
}


@pytest.mark.parametrize(("claims", "asked", "parts"), CASES.values(), ids=CASES)
def test_a_token_is_good_enough_or_the_challenge_says_what_is_missing(monkeypatch, claims, asked, parts):
    monkeypatch.setattr(time, "time", lambda: NOW)
    found = run(BLOCK)["challenge"](claims, **asked)
    if parts is None:
        assert found is None
        return
    begin = 'Bearer error="insufficient_user_authentication", error_description="Authenticate again for this."'
    assert found == ", ".join([begin, *parts])
