"""A reauthentication with a refresh token is answered as a refresh: what the searches find with this and other rules.

Nobody is signed out by it, and a thief who has a copy of the tokens gets nothing by it without a trace.
"""

import pytest

from tests.tokens.protocol import simulation
from tests.tokens.protocol.reauthentication_search import QUIET, VOUCHED, Rule, honest, stolen
from tokens.protocol.rotation import Decision

pytestmark = pytest.mark.long

ENDED = f"0 is {Decision.REUSE.value}"


@pytest.mark.parametrize(
    "messages", [2, pytest.param(3, marks=pytest.mark.exhaustive)], ids=["2 messages", "3 messages"]
)
def test_no_history_with_reauthentications_ends_an_honest_session(messages):
    result = honest(Rule.BUILT, worlds=3_000_000, messages=messages)
    assert (result.history, result.left) == (None, 0)
    assert result.worlds > 25_000


def test_no_thief_profits_from_a_reauthentication_without_a_trace():
    worlds, history, broken = stolen(Rule.BUILT)
    assert (history, broken) == (None, "")
    assert worlds > 300


def test_the_search_finds_a_late_request_with_the_token_before_if_a_reauthentication_rotates_within_the_still_time():
    history = honest(Rule.CURRENT, worlds=10_000).history
    assert history is not None
    assert history[-2:] == ["reauthentication: 1 forces 2", ENDED]


def test_the_search_finds_it_too_if_any_token_begins_the_next_generation():
    history = honest(Rule.ALWAYS, worlds=10_000).history
    assert history is not None
    assert history[-2:] == ["reauthentication: 0 forces 2", ENDED]


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        pytest.param(Rule.NEVER, QUIET, id="nothing rotates"),
        pytest.param(Rule.ROTATES, VOUCHED, id="a token that proves a theft is passed over"),
        pytest.param(Rule.ENDS, QUIET, id="a recovery is left to the next refresh"),
    ],
)
def test_the_search_finds_a_thief_who_profits_if(rule, broken):
    assert stolen(rule)[2] == broken


@pytest.mark.parametrize(
    "histories", [60, pytest.param(simulation.HISTORIES, marks=pytest.mark.exhaustive)], ids=lambda n: f"{n} histories"
)
def test_the_simulation_signs_people_out_if_reauthentications_rotate_within_the_still_time(histories):
    assert simulation.signed_out(simulation.FORCED, histories) > histories / 2
