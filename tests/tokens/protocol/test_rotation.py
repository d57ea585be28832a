"""The rotation decision: every row of the protocol's table, both sides of each time limit, and the resulting states."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokens.protocol.rotation import RECOVERIES_OF_ONE_GENERATION, Decision, Policy, State, begin, decide, recover
from tokens.protocol.rotation import Decision as D

SINCE = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MOMENT = timedelta.resolution  # one microsecond
GRACE = 30 * SECOND
ACKNOWLEDGE = 90 * SECOND
DAY = timedelta(days=1)

POLICY = Policy(grace=GRACE, acknowledge_after=ACKNOWLEDGE, max_recoveries=8)
STRICT = replace(POLICY, grace=timedelta(0))


@dataclass(frozen=True)
class Case:
    """A token of generation ``presented`` is presented ``age`` after generation ``g`` began, or was last recovered."""

    why: str
    g: int
    presented: int
    age: timedelta
    expected: Decision
    row: dict[str, Any] = field(default_factory=dict)
    policy: Policy = POLICY


CASES = [
    # The session has ended.
    Case("an ended session refuses its current token", 5, 5, DAY, D.REFUSE, {"ended": True}),
    Case("an ended session repeats nothing within the grace", 5, 4, SECOND, D.REFUSE, {"ended": True}),
    Case("an ended session recovers nothing", 5, 4, DAY, D.REFUSE, {"ended": True}),
    Case("reuse in an ended session is refused and not reported again", 5, 2, DAY, D.REFUSE, {"ended": True}),
    Case("a newer token does not bring an ended session back", 5, 6, DAY, D.REFUSE, {"ended": True}),
    Case("an ended strict session refuses too", 5, 4, DAY, D.REFUSE, {"ended": True}, STRICT),
    # The token is newer than the row: a fail-over lost a rotation.
    Case("a lost rotation is caught up", 5, 6, DAY, D.CATCH_UP),
    Case("a lost rotation is caught up within the still time", 5, 6, SECOND, D.CATCH_UP),
    Case("a lost first rotation is caught up", 0, 1, SECOND, D.CATCH_UP),
    Case("many lost rotations are caught up in one step", 5, 5000, DAY, D.CATCH_UP),
    Case("an acknowledged generation is caught up", 5, 6, DAY, D.CATCH_UP, {"acknowledged": True}),
    Case("catching up needs no recoveries", 5, 6, DAY, D.CATCH_UP, {"recoveries": 8}),
    Case("a strict session is caught up too", 5, 6, SECOND, D.CATCH_UP, {}, STRICT),
    # The token is of the current generation.
    Case("a generation that has just begun is repeated", 5, 5, timedelta(0), D.REPEAT),
    Case("the still time is longer than the grace", 5, 5, GRACE, D.REPEAT),
    Case("the last moment of the still time", 5, 5, ACKNOWLEDGE - MOMENT, D.REPEAT),
    Case("the end of the still time", 5, 5, ACKNOWLEDGE, D.ROTATE),
    Case("a session that was idle for a day rotates", 5, 5, DAY, D.ROTATE),
    Case("the token of the sign-in has no still time", 0, 0, timedelta(0), D.ROTATE),
    Case("generation one has a still time", 1, 1, ACKNOWLEDGE - MOMENT, D.REPEAT),
    Case("an acknowledged generation has a still time", 5, 5, SECOND, D.REPEAT, {"acknowledged": True}),
    Case("an acknowledged generation rotates", 5, 5, DAY, D.ROTATE, {"acknowledged": True}),
    Case("a recovered generation has a still time", 5, 5, SECOND, D.REPEAT, {"recovered": 1, "recoveries": 1}),
    Case("rotating needs no recoveries", 5, 5, DAY, D.ROTATE, {"recovered": 32, "recoveries": 8}),
    Case("a clock that was set back is within the still time", 5, 5, -SECOND, D.REPEAT),
    Case("a strict session always rotates", 5, 5, timedelta(0), D.ROTATE, {}, STRICT),
    # The token is of the generation before.
    Case("a parallel request gets the same successor", 5, 4, timedelta(0), D.REPEAT),
    Case("the last moment of the grace", 5, 4, GRACE - MOMENT, D.REPEAT),
    Case("the end of the grace", 5, 4, GRACE, D.RECOVER),
    Case("an acknowledgement does not end the grace", 5, 4, GRACE - MOMENT, D.REPEAT, {"acknowledged": True}),
    Case("the grace needs no recoveries", 5, 4, SECOND, D.REPEAT, {"recovered": 32, "recoveries": 8}),
    Case("a clock that was set back is within the grace", 5, 4, -SECOND, D.REPEAT),
    Case("a response was lost an hour ago", 5, 4, 3600 * SECOND, D.RECOVER),
    Case("the first response was lost", 1, 0, DAY, D.RECOVER),
    Case("an acknowledged generation was not lost", 5, 4, GRACE, D.REUSE, {"acknowledged": True}),
    Case("a recovered generation was acknowledged", 5, 4, DAY, D.REUSE, {"acknowledged": True, "recovered": 1}),
    Case("acknowledged means reuse, not exhaustion", 5, 4, DAY, D.REUSE, {"acknowledged": True, "recoveries": 8}),
    Case("a strict token works exactly once", 5, 4, timedelta(0), D.REUSE, {}, STRICT),
    # How often the generation before may be recovered.
    Case("the eighth generation in a row may be recovered", 9, 8, DAY, D.RECOVER, {"recoveries": 7}),
    Case("the ninth may not", 9, 8, DAY, D.EXHAUSTED, {"recoveries": 8}),
    Case("a generation counts once", 9, 8, DAY, D.RECOVER, {"recovered": 1, "recoveries": 8}),
    Case("the last recovery of one generation", 9, 8, DAY, D.RECOVER, {"recovered": 31, "recoveries": 8}),
    Case("one recovery too many", 9, 8, DAY, D.EXHAUSTED, {"recovered": 32, "recoveries": 8}),
    Case("one too many of the first in a row", 9, 8, DAY, D.EXHAUSTED, {"recovered": 32, "recoveries": 1}),
    Case("a policy without recoveries", 9, 8, GRACE, D.EXHAUSTED, {}, replace(POLICY, max_recoveries=0)),
    Case("a policy with one recovery", 9, 8, GRACE, D.RECOVER, {}, replace(POLICY, max_recoveries=1)),
    # The token is older.
    Case("two generations behind is reuse immediately", 5, 3, timedelta(0), D.REUSE),
    Case("two generations behind is reuse within the still time", 5, 3, GRACE, D.REUSE),
    Case("two generations behind is reuse without an acknowledgement", 5, 3, DAY, D.REUSE),
    Case("any ancestor is reuse", 5000, 0, DAY, D.REUSE),
    Case("an ancestor is reuse even with exhausted recoveries", 9, 7, DAY, D.REUSE, {"recoveries": 8}),
    Case("an ancestor is reuse in a strict session", 5, 3, DAY, D.REUSE, {}, STRICT),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_the_decision_is_the_one_that_the_protocol_prescribes(case):
    state = State(case.g, SINCE, **case.row)
    assert decide(state, case.presented, SINCE + case.age, case.policy) is case.expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_a_late_request_ends_nothing_and_recovers_nothing_unless_the_session_is_strict(case):
    state = State(case.g, SINCE, **case.row)
    is_replaced = case.expected in {D.RECOVER, D.EXHAUSTED, D.REUSE} and case.policy is not STRICT
    expected = D.LATE if is_replaced else case.expected
    assert decide(state, case.presented, SINCE + case.age, case.policy, late=True) is expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_a_request_that_took_long_ends_nothing_if_its_token_would_have_been_served_when_it_was_sent(case):
    state = State(case.g, SINCE, **case.row)
    is_replaced = case.expected in {D.RECOVER, D.EXHAUSTED, D.REUSE} and case.policy is not STRICT
    for since_grace, decision in ((MOMENT, D.LATE), (timedelta(0), case.expected)):
        expected = decision if is_replaced and case.presented == case.g - 1 else case.expected
        under_way = max(case.age - GRACE + since_grace, timedelta(0))
        assert decide(state, case.presented, SINCE + case.age, case.policy, under_way=under_way) is expected


def reference(state: State, presented: int, now: datetime, policy: Policy) -> str:
    """Return the first row of the protocol's table that applies. The order and the words are those of the table."""
    strict = policy.grace == timedelta(0)
    g, n = state.generation, presented
    used = state.recovered / RECOVERIES_OF_ONE_GENERATION if state.recovered else state.recoveries
    rows = [
        (state.ended, "refused"),
        (n > g, "caught up"),
        (n == g and not strict and g > 0 and now < state.since + policy.acknowledge_after, "repeated"),
        (n == g, "rotated"),
        (n == g - 1 and not strict and now < state.since + policy.grace, "repeated"),
        (n == g - 1 and not strict and not state.acknowledged and used < policy.max_recoveries, "recovered"),
        (n == g - 1 and not strict and not state.acknowledged, "recoveries exhausted"),
        (True, "reuse detected"),
    ]
    return next(word for applies, word in rows if applies)


@st.composite
def situations(draw: st.DrawFn) -> tuple[State, int, datetime, Policy]:
    """Draw a state, a generation, an instant and a policy, more often than not close to a boundary."""
    grace = draw(st.sampled_from([timedelta(0), SECOND, GRACE]))
    acknowledge_after = grace + draw(st.sampled_from([MOMENT, SECOND, 2 * GRACE]))
    policy = Policy(grace, acknowledge_after, max_recoveries=draw(st.integers(0, 9)))
    near = st.builds(
        lambda boundary, step: boundary + step * MOMENT,
        st.sampled_from([timedelta(0), grace, acknowledge_after]),
        st.integers(-1, 1),
    )
    age = draw(near | st.timedeltas(-DAY, 400 * DAY))
    generation = draw(st.integers(0, 3) | st.integers(0, 2**32 - 1))
    recoveries = st.integers(0, 10)
    recovered = st.integers(0, 1) | recoveries.map(lambda times: RECOVERIES_OF_ONE_GENERATION * times)
    state = State(generation, SINCE, draw(recovered), draw(recoveries), draw(st.booleans()), draw(st.booleans()))
    presented = max(0, generation + draw(st.integers(-3, 2) | st.integers(-(2**32), 2**32)))
    return state, presented, SINCE + age, policy


@given(situations())
@example((State(5, SINCE), 4, SINCE + GRACE, POLICY))
def test_the_decision_is_the_protocols_table(situation):
    assert decide(*situation).value == reference(*situation)


BEGUN = {
    # before: recovered, recoveries in a row, acknowledged; the generation that begins; recoveries in a row after
    "neither recovered nor acknowledged": (3, 2, True, 6, 2),
    "with the recoveries in a row, if the generation before needed one": (1, 3, False, 6, 3),
    "with no recoveries in a row, if it needed none": (0, 3, False, 6, 0),
    "with the recoveries in a row, even if it was acknowledged": (1, 3, True, 6, 3),
    "as the generation that was presented, to catch up": (0, 0, False, 5000, 0),
}


@pytest.mark.parametrize(("recovered", "before", "acknowledged", "generation", "after"), BEGUN.values(), ids=BEGUN)
def test_a_generation_begins(recovered, before, acknowledged, generation, after):
    begun = begin(State(5, SINCE, recovered, before, acknowledged), generation, SINCE + DAY)
    assert begun == State(generation, SINCE + DAY, recovered=0, recoveries=after, acknowledged=False)


def test_a_recovery_keeps_the_generation_and_starts_the_grace_and_the_still_time_again():
    recovered = recover(State(5, SINCE), SINCE + DAY)
    assert (recovered.generation, recovered.since) == (5, SINCE + DAY)
    assert decide(recovered, 4, SINCE + DAY + GRACE - MOMENT, POLICY) is Decision.REPEAT
    assert decide(recovered, 5, SINCE + DAY + ACKNOWLEDGE - MOMENT, POLICY) is Decision.REPEAT


def test_a_generation_counts_once_among_the_recoveries_in_a_row():
    once = recover(State(5, SINCE, recoveries=2), SINCE + DAY)
    twice = recover(once, SINCE + 2 * DAY)
    assert (once.recovered, once.recoveries) == (1, 3)
    assert (twice.recovered, twice.recoveries) == (2, 3)
