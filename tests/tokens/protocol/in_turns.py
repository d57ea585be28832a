"""What the exhaustive searches for an owner and a thief have in common, and the breadth-first search itself.

The owner and the thief come in turns, one unit apart, which is the still time and longer than the grace. Each may stay
away, come once, or stay for so long that a use of the access token acknowledges the generation. One response to the
owner is lost.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tokens.protocol.rotation import BEGINS_GENERATION, ENDS_SESSION, Decision, Policy, State, begin, decide, recover

UNIT = timedelta(seconds=100)
POLICY = Policy(UNIT / 4, UNIT, max_recoveries=2)
START = datetime(2026, 1, 1, tzinfo=UTC)
ROUNDS = 4 * (POLICY.max_recoveries + 1)
"""If the owner and the thief have both been served in so many rounds, the thief counts as never found."""
IDLE_AFTER = 2
"""Units after which a session is idle."""


class Row(NamedTuple):
    """The session's row. ``foreign``: whether its generation was begun by a request from another site."""

    state: State
    foreign: bool = False

    def key(self, now: int) -> tuple[Any, ...]:
        """All that can matter later, apart from the generation."""
        state = self.state
        age = min((START + now * UNIT - state.since) // UNIT, 1)
        counts = state.recovered, state.recoveries
        return age, state.generation == 0, *counts, state.acknowledged, state.ended, self.foreign

    def behind(self, generation: int) -> int:
        """Return how many generations a token is behind. From the second on it makes no difference."""
        return min(self.state.generation - generation, 2)

    def decision(self, presented: int, now: int) -> Decision:
        return decide(self.state, presented, START + now * UNIT, POLICY)

    def next_generation(self, now: int) -> "Row":
        return Row(begin(self.state, self.state.generation + 1, START + now * UNIT))


def acknowledged(row: Row) -> Row:
    return row._replace(state=replace(row.state, acknowledged=True))


class World(NamedTuple):
    """``owner``, ``thief``: the generation of the refresh token that each holds.

    ``losses``: how many responses to the owner may still be lost. ``is_proved``: whether the owner has proved a factor.
    ``is_recorded``: whether there was a security event in that request or since. ``is_required``: whether a factor is.
    None: one is if the session is idle. ``broken``: the promise that was broken.
    """

    now: int = 1
    row: Row = Row(State(0, START))
    owner: int = 0
    thief: int = 0
    owner_is_next: bool = True
    losses: int = 1
    is_proved: bool = False
    is_recorded: bool = False
    is_required: bool | None = False
    broken: str = ""

    @property
    def is_lacking(self) -> bool:
        """Whether a refresh token is answered as that of a session that waits for a factor."""
        if self.is_required is None:
            return self.age == IDLE_AFTER
        return self.is_required and not self.is_proved

    @property
    def age(self) -> int:
        """How long ago the session was last refreshed, in units."""
        return min(self.now - (self.row.state.since - START) // UNIT, IDLE_AFTER)

    @property
    def key(self) -> tuple[Any, ...]:
        age = self.age if self.is_required is None else None
        return age, self.row.key(self.now), self.row.behind(self.owner), self.row.behind(self.thief), *self[4:]


class Answer(NamedTuple):
    """The row after a request, and the generation of the refresh token that the client then holds.

    ``is_recorded``: whether there is a security event: a recovery, or the end of the session. ``broken``: the promise
    that the answer breaks by itself.
    """

    row: Row
    held: int | None
    is_served: bool = False
    is_recorded: bool = False
    broken: str = ""


def answered(row: Row, held: int, now: int, decision: Decision) -> Answer:
    """Carry a decision about a refresh token out."""
    if decision in ENDS_SESSION:
        return Answer(Row(replace(row.state, ended=True)), held, is_recorded=True)
    if decision is Decision.REFUSE:
        return Answer(row, held)
    if decision in BEGINS_GENERATION:
        row = row.next_generation(now)
    elif decision is Decision.RECOVER:
        row = Row(recover(row.state, START + now * UNIT))
    return Answer(row, row.state.generation, is_served=True, is_recorded=decision is Decision.RECOVER)


def refreshed(row: Row, held: int, now: int) -> Answer:
    """Return what becomes of a refresh."""
    return answered(row, held, now, row.decision(held, now))


def kept(step: str, after: Any, given: Answer) -> Iterator[tuple[str, Any]]:
    """Yield the worlds after somebody got this answer: they go away, or stay until the generation is acknowledged."""
    yield f"{step} once", after
    if given.is_served and given.held == given.row.state.generation:
        yield f"{step}, and stays for a while", after._replace(row=acknowledged(after.row))


def of_owner(step: str, later: Any, given: Answer) -> Iterator[tuple[str, Any]]:
    """Yield the worlds after the owner got this answer, or lost it. ``later`` is a world of any search."""
    after = later._replace(row=given.row, owner=given.held, is_recorded=later.is_recorded or given.is_recorded)
    yield from kept(step, after, given)
    if later.losses and given.is_served:
        yield f"{step}, and the response is lost", after._replace(owner=later.owner, losses=later.losses - 1)


class Result(NamedTuple):
    worlds: int
    history: list[str] | None


def breadth_first(
    starts: Iterable[Any],
    following: Callable[[Any], Iterable[tuple[str, Any]]],
    is_bad: Callable[[Any], bool],
    goes_on: Callable[[Any], bool] = lambda world: True,
) -> Result:
    """Examine all reachable worlds, nearest first, until one is bad.

    Two worlds are treated as one if they have the same ``key``, or if they are equal and have none.
    """

    def key_of(world: Any) -> Any:
        return getattr(world, "key", world)

    todo = deque((key_of(start), start) for start in starts)
    came_from: dict[Any, tuple[str, Any] | None] = {key: None for key, _ in todo}
    while todo:
        key, world = todo.popleft()
        if is_bad(world):
            history = []
            while (before := came_from[key]) is not None:
                step, key = before
                history.append(step)
            return Result(len(came_from), history[::-1])
        for step, after in following(world) if goes_on(world) else ():
            if (key_after := key_of(after)) not in came_from:
                came_from[key_after] = step, key
                todo.append((key_after, after))
    return Result(len(came_from), None)


def broken_by(
    start: Any,
    following: Callable[[Any], Iterable[tuple[str, Any]]],
    goes_on: Callable[[Any], bool] = lambda world: not world.row.state.ended,
) -> tuple[int, list[str] | None, str]:
    """Search for a world that breaks a promise. Return the number of worlds, the history, and the promise."""
    found: list[str] = []

    def is_bad(world: Any) -> bool:
        found[:] = [world.broken]
        return bool(world.broken)

    worlds, history = breadth_first([start], following, is_bad, goes_on)
    return worlds, history, "" if history is None else found[0]
