"""An idle session is reopened by its refresh token and a factor: what the searches find with this and other rules.

Nobody is signed out by it or locked out, and a thief without the token or without a factor does not reopen it.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.tokens.protocol import simulation
from tests.tokens.protocol.idle_search import FORGIVEN, REOPENED, Rule, Thief, decided, honest, stolen
from tests.tokens.protocol.in_turns import POLICY, START
from tokens.protocol.rotation import Decision, State, decide

pytestmark = pytest.mark.long

REUSE = Decision.REUSE.value
SECOND, DAY = timedelta(seconds=1), 86400
PROFITS = [
    pytest.param(Rule.KEEPS, Thief.TOKEN, FORGIVEN, id="a token that proves a theft ends nothing"),
    pytest.param(Rule.ANY_TOKEN, Thief.TOKEN, FORGIVEN, id="a factor passes over such a token"),
    pytest.param(Rule.TOKEN_ALONE, Thief.TOKEN, REOPENED, id="the token is enough"),
    pytest.param(Rule.FACTOR_ALONE, Thief.FACTOR, REOPENED, id="a factor is enough"),
]
"""The rules by which a thief profits, also while a factor is required: `test_required_search`."""


@pytest.mark.parametrize(
    "messages", [2, pytest.param(3, marks=pytest.mark.exhaustive)], ids=["2 messages", "3 messages"]
)
def test_no_history_with_idle_sessions_signs_an_honest_person_out_or_keeps_them_from_reopening(messages):
    result = honest(Rule.BUILT, worlds=3_000_000, messages=messages)
    assert (result.history, result.left) == (None, 0)
    assert result.worlds > 10_000


@pytest.mark.parametrize("thief", Thief, ids=lambda thief: thief.value)
def test_no_thief_profits(thief):
    worlds, history, broken = stolen(Rule.BUILT, thief)
    assert (history, broken) == (None, "")
    assert worlds > 40


@pytest.mark.parametrize(
    ("rule", "last"),
    [
        pytest.param(Rule.OLDER_ENDS, f"idle: 0 is {REUSE}", id="the one before the current token ends it"),
        pytest.param(Rule.FORCES, f"0 is {REUSE}", id="a factor forces the next generation"),
        pytest.param(Rule.ONLY_CURRENT, "0 does not reopen the session", id="only the current token reopens it"),
    ],
)
def test_the_search_finds_an_honest_person_who_loses_the_session_if(rule, last):
    history = honest(rule, worlds=15_000).history
    assert history is not None
    assert any(step.startswith("lose") for step in history)
    assert history[-1] == last


@pytest.mark.parametrize(
    ("rule", "thief", "broken"),
    [*PROFITS, pytest.param(Rule.RECOVERS, Thief.TOKEN, REOPENED, id="a recovery needs no factor")],
)
def test_the_search_finds_a_thief_who_profits_if(rule, thief, broken):
    assert stolen(rule, thief)[2] == broken


@pytest.mark.parametrize(
    ("presented", "age"),
    [(2, DAY), (3, DAY), (4, DAY), (5, DAY), (5, 60), (6, DAY)],
    ids=["three before", "two before", "the one before", "the current one", "the current one, soon", "a later one"],
)
@pytest.mark.parametrize("acknowledged", [False, True], ids=["not acknowledged", "acknowledged"])
@pytest.mark.parametrize("recoveries", [0, 8], ids=["no recoveries", "8 recoveries"])
def test_the_protocol_decides_as_the_rule_that_was_searched(presented, age, acknowledged, recoveries):
    state = State(5, START, acknowledged=acknowledged, recoveries=recoveries)
    given = presented, START + age * SECOND, POLICY
    expected = decided(Rule.BUILT, decide(state, *given), with_factor=False)
    found = decide(replace(state, idle=True), *given)
    assert (Decision.REFUSE if found is Decision.IDLE else found) is expected
    assert decide(replace(state, idle=True, ended=True), *given) is Decision.REFUSE


def test_the_simulation_has_sessions_that_are_idle_and_reopened(monkeypatch):
    reopened = []
    answer = simulation.Server.reauthenticate
    monkeypatch.setattr(simulation.Server, "reauthenticate", lambda *given: reopened.append(1) or answer(*given))
    assert simulation.signed_out(simulation.IDLE, histories=5) == 0
    assert len(reopened) > 5 * simulation.STEPS / 10
