"""Three properties hold for every interleaving of requests: no false alarm, no fork, no undetected theft.

The tests look for a counter-example in two ways. Hypothesis drives the model step by step. The simulation runs many
long histories under hard conditions. Each has a short version, and a long one marked ``exhaustive``. `test_search`
examines all short histories.
"""

from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.tokens.protocol import simulation
from tests.tokens.protocol.model import (
    ACKNOWLEDGE_AFTER,
    GRACE,
    LOST_BY_FAIL_OVER,
    POLICY,
    SAVED_WITHIN,
    Attacker,
    Browser,
    Server,
    World,
    instant,
)
from tokens.protocol.rotation import BEGINS_GENERATION, ENDS_SESSION, Decision, decide

pytestmark = pytest.mark.long


class Request(NamedTuple):
    there: float
    back: float
    lost: bool
    rendered: float | None


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Draw a request that takes up to half the grace, there and back. All its times are exact as binary numbers."""
    life = draw(st.sampled_from([0.0, 0.5, 7.5, 14.5, 15.0]))
    there = life * draw(st.sampled_from([0.0, 0.5, 1.0]))
    back = life - there
    rendered = back / 2 if draw(st.booleans()) else None
    return Request(there, back - (rendered or 0), draw(st.booleans()), rendered)


AROUND_THE_BOUNDARIES = [0, 0.25, 14.75, 15, 29.75, 30, 30.25, 45, 59.75, 75, 89.75, 90, 91.25, 300, 600, 86400]
waits = st.sampled_from([float(seconds) for seconds in AROUND_THE_BOUNDARIES])


class HonestSession(RuleBasedStateMachine):
    """The tabs of one browser and the server-side renderers, with a network and a database that lose data."""

    def __init__(self) -> None:
        super().__init__()
        self.written_after = 0.0
        self.server = Server()
        self.world = World(self.server, lambda: self.written_after)
        self.browser = Browser()
        self.attacker: Attacker | None = None
        self.misfortunes = 0

    @rule(page=st.lists(requests(), min_size=1, max_size=5), then=waits)
    def load_a_page(self, page: list[Request], then: float) -> None:
        """Send several requests with the same token: parallel requests, or one that a proxy repeats."""
        for there, back, lost, rendered in page:
            self.world.refresh(self.browser, there, back, lost=lost, rendered=rendered)
            self.misfortunes += lost
        self.wait(then)

    @rule(back=st.integers(1, 4), there=st.sampled_from([0.0, 7.5, 15.0]), written_after=st.sampled_from([0.0, 2.0]))
    def use_an_access_token(self, back: int, there: float, written_after: float) -> None:
        """Use one of the latest access tokens, because a tab may still have an older one."""
        self.written_after = written_after
        self.world.use(self.browser.kept[-min(back, len(self.browser.kept))], there)

    @rule(seconds=waits)
    def wait(self, seconds: float) -> None:
        self.world.run(self.world.now + seconds)

    @rule()
    def wait_for_the_next_event(self) -> None:
        self.world.run_to_next_event()

    @rule(unsaved=st.sampled_from([0.0, 15.0, SAVED_WITHIN]))
    def crash(self, unsaved: float) -> None:
        self.browser.crash(self.world.now, unsaved)
        self.misfortunes += 1

    @rule(lost=st.sampled_from([0.25, LOST_BY_FAIL_OVER]))
    def fail_over_after_the_next_event(self, lost: float) -> None:
        self.world.run_to_next_event()
        self.server.fail_over(self.world.now, lost)
        self.misfortunes += 1

    @invariant()
    def no_false_alarm(self) -> None:
        if self.attacker is None and self.world.ended is not None:
            assert self.world.ended is Decision.EXHAUSTED
            assert self.misfortunes > POLICY.max_recoveries

    @invariant()
    def no_fork(self) -> None:
        """All tokens ever issued that would begin a generation now would begin the same one."""
        onward = set()
        for issued in range(self.server.highest + 1):
            decision = decide(self.server.state, issued, instant(self.world.now), POLICY)
            if decision in BEGINS_GENERATION:
                onward.add(self.server.state.generation + 1 if decision is Decision.ROTATE else issued)
        assert len(onward) <= 1

    def teardown(self) -> None:
        """After a while without requests, an honest browser is still signed in."""
        self.wait(2 * ACKNOWLEDGE_AFTER)
        self.load_a_page([Request(0.0, 0.0, lost=False, rendered=None)], then=0.0)
        self.no_false_alarm()


class StolenSession(HonestSession):
    """The same, with an attacker who copies the cookies at some moment."""

    owner_first = used_here = True

    @precondition(lambda self: self.attacker is None)
    @rule(
        distance=waits.filter(lambda seconds: GRACE <= seconds <= 300),
        owner_first=st.booleans(),
        used_here=st.booleans(),
    )
    def steal(self, distance: float, owner_first: bool, used_here: bool) -> None:
        self.attacker = Attacker(self.browser, distance)
        self.owner_first, self.used_here = owner_first, used_here

    @precondition(lambda self: self.attacker is not None)
    @rule(request=requests())
    def attacker_refreshes(self, request: Request) -> None:
        assert self.attacker is not None
        self.world.refresh(self.attacker, request.there, request.back)

    @precondition(lambda self: self.attacker is not None)
    @rule(there=st.sampled_from([0.0, 15.0]))
    def attacker_uses_the_access_token(self, there: float) -> None:
        assert self.attacker is not None
        self.world.use(self.attacker.access, there)

    def teardown(self) -> None:
        """If both keep refreshing, outside each other's grace, the session ends within nine generations."""
        if self.attacker is None:
            return super().teardown()
        parties = (self.browser, self.attacker) if self.owner_first else (self.attacker, self.browser)
        for _ in range(POLICY.max_recoveries + 2):
            self.wait(600.0)
            for party in parties:
                self.world.refresh(party, 0.0, 0.0)
                self.wait(0.0)
                if self.used_here:
                    self.world.use(party.access, ACKNOWLEDGE_AFTER + 1)
                self.wait(self.attacker.distance)
        assert self.world.ended in ENDS_SESSION


BOUNDED = settings(max_examples=120, stateful_step_count=100, derandomize=True)
AT_LENGTH = settings(max_examples=10_000, stateful_step_count=100)


def extents(bounded: object, at_length: object) -> pytest.MarkDecorator:
    """Parametrise a test with a short version, and a long one that is exhaustive."""
    deep = pytest.param(at_length, marks=pytest.mark.exhaustive)
    return pytest.mark.parametrize("extent", [bounded, deep], ids=["bounded", "at length"])


@pytest.mark.parametrize("machine", [HonestSession, StolenSession], ids=["an honest session", "a stolen session"])
@extents(BOUNDED, AT_LENGTH)
def test_no_interleaving_breaks_an_invariant(machine, extent):
    run_state_machine_as_test(
        machine, settings=settings(extent, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    )


SURVIVED = simulation.ROWS.keys() - {
    *(simulation.QUEUED, simulation.HASTILY, simulation.UPGRADED, simulation.TOO_LATE, simulation.FORCED)
}


@pytest.mark.parametrize("row", [row for row in simulation.ROWS if row in SURVIVED])
@extents(60, simulation.HISTORIES)
def test_almost_no_honest_session_is_ended(row, extent):
    beyond_the_bounds = row in {"60 % lost", "requests that live twice the grace"}
    assert simulation.signed_out(row, extent) <= (extent // 200 if beyond_the_bounds else 0)


@extents(60, simulation.HISTORIES)
def test_a_backlog_longer_than_the_grace_ends_some_honest_sessions(extent):
    """With such a backlog every parallel request is answered with a recovery, and recoveries are limited."""
    assert 0 < simulation.signed_out(simulation.QUEUED, extent) < extent / 4


@pytest.mark.parametrize("variant", ["without the still time", "without recovery"])
@extents(60, simulation.HISTORIES)
def test_without_a_part_of_the_protocol_most_honest_sessions_are_ended(variant, extent):
    assert simulation.signed_out(simulation.AS_ABOVE, extent, variant) > extent * 0.8


@extents(60, simulation.HISTORIES)
def test_a_claims_hook_that_is_asked_after_the_rotation_and_fails_ends_most_honest_sessions(extent):
    assert simulation.signed_out(simulation.TOO_LATE, extent) > extent / 2


@pytest.mark.parametrize("used_here", [True, False], ids=["used here", "used elsewhere only"])
@pytest.mark.parametrize("row", simulation.THEFTS | simulation.INSIDE_THE_GRACE)
def test_an_attacker_is_stopped_by_an_acknowledgement_or_at_the_ninth_generation(row, used_here):
    distance = (simulation.THEFTS | simulation.INSIDE_THE_GRACE)[row]
    ends = {simulation.Theft(distance, used_here).generations(simulation.seeded(row, number)) for number in range(20)}
    acknowledged_in_between = used_here and abs(distance) > ACKNOWLEDGE_AFTER
    assert ends == ({None} if row in simulation.INSIDE_THE_GRACE else {1} if acknowledged_in_between else {9})


def test_an_attacker_who_freezes_the_generation_is_stopped():
    dice = simulation.seeded("a frozen generation", 0)
    minutes = [round(simulation.frozen_minutes(dice, **arguments)) for arguments in simulation.FREEZES.values()]
    assert minutes == [25, 49, 211]
