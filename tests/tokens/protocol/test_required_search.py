"""A session that lacks a required factor goes on by its refresh token and a factor: what the searches find.

Nobody is signed out by it or locked out, whenever the factor is required and whatever is under way then. A thief
without the token or without a factor does not get in.
"""

import pytest

from tests.tokens.protocol.idle_search import Rule, Thief
from tests.tokens.protocol.required_search import honest, stolen
from tests.tokens.protocol.test_idle_search import PROFITS

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    "messages", [1, pytest.param(2, marks=pytest.mark.exhaustive)], ids=["1 message", "2 messages"]
)
def test_no_history_signs_an_honest_person_out_or_keeps_them_from_going_on_with_a_factor(messages):
    result = honest(Rule.BUILT, worlds=6_000_000, messages=messages)
    assert (result.history, result.left) == (None, 0)
    assert result.worlds > 2_000


@pytest.mark.parametrize("thief", Thief, ids=lambda thief: thief.value)
def test_no_thief_profits(thief):
    worlds, history, broken = stolen(Rule.BUILT, thief)
    assert (history, broken) == (None, "")
    assert worlds > 40


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(Rule.OLDER_ENDS, id="the token before the current one ends it"),
        pytest.param(Rule.FORCES, id="a factor forces the next generation"),
        pytest.param(Rule.ONLY_CURRENT, id="only the current token goes on"),
    ],
)
def test_the_search_finds_an_honest_person_who_loses_the_session_if(rule):
    history = honest(rule, worlds=60_000).history
    assert history is not None
    assert "a factor is required" in history


@pytest.mark.parametrize(("rule", "thief", "broken"), PROFITS)
def test_the_search_finds_a_thief_who_profits_if(rule, thief, broken):
    assert stolen(rule, thief)[2] == broken
