"""The rotation decision: every line of the protocol's table, each side of each boundary, and the states after."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokens.rotation import (
    BEGINS_GENERATION,
    ENDS_SESSION,
    RECOVERIES_OF_ONE_GENERATION,
    Decision,
    Policy,
    State,
    begin,
    decide,
    recover,
)
from tokens.rotation import Decision as D

SINCE = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MOMENT = timedelta.resolution  # one microsecond
GRACE = 30 * SECOND
ACKNOWLEDGE = 90 * SECOND
DAY = timedelta(days=1)

POLICY = Policy(grace=GRACE, acknowledge_after=ACKNOWLEDGE, max_recoveries=8)
STRICT = replace(POLICY, grace=timedelta(0))
ONCE_EACH = 4 * 8
"""How often one generation may be recovered."""


@dataclass(frozen=True)
class Case:
    """A token of generation ``presented`` shows up ``age`` after generation ``g`` began, or was last recovered."""

    why: str
    g: int
    presented: int
    age: timedelta
    expected: Decision
    row: dict[str, Any] = field(default_factory=dict)
    policy: Policy = POLICY


REFUSED = [
    Case("an ended session refuses its current token", 5, 5, DAY, D.REFUSE, {"ended": True}),
    Case("an ended session repeats nothing within the grace", 5, 4, SECOND, D.REFUSE, {"ended": True}),
    Case("an ended session recovers nothing", 5, 4, DAY, D.REFUSE, {"ended": True}),
    Case("reuse is proven once: an ended session has nothing to end", 5, 2, DAY, D.REFUSE, {"ended": True}),
    Case("no lost commit brings an ended session back", 5, 6, DAY, D.REFUSE, {"ended": True}),
    Case("an ended strict session refuses too", 5, 4, DAY, D.REFUSE, {"ended": True}, STRICT),
]
CAUGHT_UP = [
    Case("a rotation was lost by a fail-over: the token is ours", 5, 6, DAY, D.CATCH_UP),
    Case("a rotation is caught up within the still time", 5, 6, SECOND, D.CATCH_UP),
    Case("a first rotation is caught up", 0, 1, SECOND, D.CATCH_UP),
    Case("a database restored from far back is caught up in one step", 5, 5000, DAY, D.CATCH_UP),
    Case("an acknowledged generation is caught up from", 5, 6, DAY, D.CATCH_UP, {"acknowledged": True}),
    Case("exhausted recoveries stand in nobody's way", 5, 6, DAY, D.CATCH_UP, {"recoveries": 8}),
    Case("a strict session forgives a lost commit too", 5, 6, SECOND, D.CATCH_UP, {}, STRICT),
]
CURRENT = [
    Case("a generation that has only just begun keeps still", 5, 5, timedelta(0), D.REPEAT),
    Case("the still time outlasts the grace", 5, 5, GRACE, D.REPEAT),
    Case("the still time holds until its last moment", 5, 5, ACKNOWLEDGE - MOMENT, D.REPEAT),
    Case("the still time is over exactly at its end", 5, 5, ACKNOWLEDGE, D.ROTATE),
    Case("a long-idle session rotates", 5, 5, DAY, D.ROTATE),
    Case("a login's own token keeps no still time", 0, 0, timedelta(0), D.ROTATE),
    Case("generation one does", 1, 1, ACKNOWLEDGE - MOMENT, D.REPEAT),
    Case("an acknowledged generation keeps still", 5, 5, SECOND, D.REPEAT, {"acknowledged": True}),
    Case("an acknowledged generation rotates", 5, 5, DAY, D.ROTATE, {"acknowledged": True}),
    Case("a recovered generation keeps still again", 5, 5, SECOND, D.REPEAT, {"recovered": 1, "recoveries": 1}),
    Case("who holds the current token needs no recoveries", 5, 5, DAY, D.ROTATE, {"recovered": 32, "recoveries": 8}),
    Case("a clock that went back keeps it still", 5, 5, -SECOND, D.REPEAT),
    Case("a strict session rotates every time", 5, 5, timedelta(0), D.ROTATE, {}, STRICT),
]
BEFORE = [
    Case("a parallel tab gets the same successor", 5, 4, timedelta(0), D.REPEAT),
    Case("the grace holds until its last moment", 5, 4, GRACE - MOMENT, D.REPEAT),
    Case("the grace is over exactly at its end", 5, 4, GRACE, D.RECOVER),
    Case("the grace asks no acknowledgement", 5, 4, GRACE - MOMENT, D.REPEAT, {"acknowledged": True}),
    Case("the grace asks no recoveries left", 5, 4, SECOND, D.REPEAT, {"recovered": 32, "recoveries": 8}),
    Case("a clock that went back is within the grace", 5, 4, -SECOND, D.REPEAT),
    Case("a lost response is noticed an hour later", 5, 4, 3600 * SECOND, D.RECOVER),
    Case("a lost first response is recovered", 1, 0, DAY, D.RECOVER),
    Case("what somebody was seen using was not lost", 5, 4, GRACE, D.REUSE, {"acknowledged": True}),
    Case("an acknowledgement closes recovery for good", 5, 4, DAY, D.REUSE, {"acknowledged": True, "recovered": 1}),
    Case("acknowledged, it is reuse, not exhaustion", 5, 4, DAY, D.REUSE, {"acknowledged": True, "recoveries": 8}),
    Case("a strict token works once to the letter", 5, 4, timedelta(0), D.REUSE, {}, STRICT),
]
RECOVERIES = [
    Case("the eighth generation in a row may be recovered", 9, 8, DAY, D.RECOVER, {"recoveries": 7}),
    Case("the ninth may not", 9, 8, DAY, D.EXHAUSTED, {"recoveries": 8}),
    Case("it counts once, however often it is asked for", 9, 8, DAY, D.RECOVER, {"recovered": 1, "recoveries": 8}),
    Case("one generation, four times as often", 9, 8, DAY, D.RECOVER, {"recovered": 31, "recoveries": 8}),
    Case("and no oftener", 9, 8, DAY, D.EXHAUSTED, {"recovered": 32, "recoveries": 8}),
    Case("and no oftener as the first of its row", 9, 8, DAY, D.EXHAUSTED, {"recovered": 32, "recoveries": 1}),
    Case("a policy without recoveries has none", 9, 8, GRACE, D.EXHAUSTED, {}, replace(POLICY, max_recoveries=0)),
    Case("a policy of one has one", 9, 8, GRACE, D.RECOVER, {}, replace(POLICY, max_recoveries=1)),
]
OLDER = [
    Case("two generations behind is reuse, even at once", 5, 3, timedelta(0), D.REUSE),
    Case("two generations behind is reuse within the still time", 5, 3, GRACE, D.REUSE),
    Case("two generations behind is reuse, acknowledged or not", 5, 3, DAY, D.REUSE),
    Case("any ancestor is recognised", 5000, 0, DAY, D.REUSE),
    Case("an ancestor is reuse though recoveries are exhausted", 9, 7, DAY, D.REUSE, {"recoveries": 8}),
    Case("a strict session knows its ancestors", 5, 3, DAY, D.REUSE, {}, STRICT),
]


@pytest.mark.parametrize(
    "case", [*REFUSED, *CAUGHT_UP, *CURRENT, *BEFORE, *RECOVERIES, *OLDER], ids=lambda case: case.why
)
def test_a_token_is_answered_as_the_protocol_says(case):
    state = State(case.g, SINCE, **case.row)
    assert decide(state, case.presented, SINCE + case.age, case.policy) is case.expected


def reference(state: State, presented: int, now: datetime, policy: Policy) -> str:
    """The protocol's table once more, in its own order and words: the first row that applies."""
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
    """A state, a generation, an instant and a policy, close to the boundaries more often than not."""
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


@given(situations())
def test_what_ends_a_session_is_never_the_current_token_nor_a_newer_one(situation):
    state, presented, _, _ = situation
    assert presented < state.generation or decide(*situation) not in ENDS_SESSION


@given(situations())
def test_a_generation_begins_only_after_all_that_began_before(situation):
    state, presented, _, _ = situation
    assert presented >= state.generation or decide(*situation) not in BEGINS_GENERATION


def test_a_generation_begins_neither_recovered_nor_acknowledged():
    before = State(5, SINCE, recovered=3, recoveries=2, acknowledged=True)
    assert begin(before, 6, SINCE + DAY) == State(6, SINCE + DAY, recovered=0, recoveries=2, acknowledged=False)


def test_the_row_of_recoveries_goes_on_if_the_generation_before_needed_one():
    assert begin(State(5, SINCE, recovered=1, recoveries=3), 6, SINCE + DAY).recoveries == 3


def test_the_row_of_recoveries_starts_again_if_the_generation_before_needed_none():
    assert begin(State(5, SINCE, recovered=0, recoveries=3), 6, SINCE + DAY).recoveries == 0


def test_an_acknowledgement_does_not_start_the_row_of_recoveries_again():
    assert begin(State(5, SINCE, recovered=1, recoveries=3, acknowledged=True), 6, SINCE + DAY).recoveries == 3


def test_catching_up_goes_straight_to_the_generation_presented():
    assert begin(State(5, SINCE), 5000, SINCE + DAY) == State(5000, SINCE + DAY)


def test_a_recovery_starts_the_grace_again():
    recovered = recover(State(5, SINCE), SINCE + DAY)
    assert recovered.since == SINCE + DAY
    assert decide(recovered, 4, SINCE + DAY + GRACE - MOMENT, POLICY) is Decision.REPEAT


def test_a_recovery_starts_the_still_time_again():
    recovered = recover(State(5, SINCE), SINCE + DAY)
    assert decide(recovered, 5, SINCE + DAY + ACKNOWLEDGE - MOMENT, POLICY) is Decision.REPEAT


def test_a_generation_counts_once_in_the_row_however_often_it_is_recovered():
    once = recover(State(5, SINCE, recoveries=2), SINCE + DAY)
    twice = recover(once, SINCE + 2 * DAY)
    assert (once.recovered, once.recoveries) == (1, 3)
    assert (twice.recovered, twice.recoveries) == (2, 3)


def test_a_lost_response_is_answered_with_the_same_generation():
    lost = begin(State(5, SINCE), 6, SINCE)
    assert decide(lost, 5, SINCE + DAY, POLICY) is Decision.RECOVER
    assert recover(lost, SINCE + DAY).generation == 6


def test_nine_lost_responses_in_a_row_end_the_session():
    state, now = State(0, SINCE), SINCE
    for generation in range(1, 9):
        now += DAY
        state = begin(state, generation, now)
        now += DAY
        assert decide(state, generation - 1, now, POLICY) is Decision.RECOVER
        state = recover(state, now)
    state = begin(state, 9, now + DAY)
    assert decide(state, 8, now + 2 * DAY, POLICY) is Decision.EXHAUSTED


def test_one_generation_that_needed_no_recovery_gives_eight_more():
    state = begin(State(8, SINCE, recovered=1, recoveries=8), 9, SINCE)
    state = begin(state, 10, SINCE + DAY)
    assert decide(state, 9, SINCE + 2 * DAY, POLICY) is Decision.RECOVER


def test_a_thief_who_asks_for_one_generation_again_and_again_is_stopped():
    state, now, answered = State(5, SINCE), SINCE, 0
    while (decision := decide(state, 4, now := now + GRACE, POLICY)) is Decision.RECOVER:
        state, answered = recover(state, now), answered + 1
    assert decision is Decision.EXHAUSTED
    assert answered == ONCE_EACH


def test_a_repeat_after_a_crash_does_not_extend_the_grace():
    state = State(5, SINCE)
    assert decide(state, 4, SINCE + GRACE - MOMENT, POLICY) is Decision.REPEAT
    assert decide(state, 4, SINCE + GRACE, POLICY) is Decision.RECOVER
