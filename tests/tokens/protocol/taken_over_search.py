"""An exhaustive search: an owner and a thief who both have a refresh token of another package, which becomes a session.

A `Rule` says what the server answers to that old token (`tokens.web.taking_over`). `search` looks for a history in
which one of the promises is broken that the constants name.

The owner and the thief come in turns, one unit apart, which is longer than the grace. Each may stay away, come once, or
stay for so long that a use of the access token acknowledges the generation. One response to the owner is lost. Who
has got a refresh token of ours presents it from then on. The thief can still present the old one instead.

``python -m tests.tokens.protocol.taken_over_search`` prints what the search finds with each rule.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from typing import Any, NamedTuple

from tests.tokens.protocol.crossing_search import POLICY, ROUNDS, START, UNIT, Result, Row, acknowledged, breadth_first
from tests.tokens.protocol.handed_search import FOR_EVER, SIGNED_OUT, UNREPORTED
from tokens.protocol.rotation import BEGINS_GENERATION, ENDS_SESSION, Decision, State, begin, decide, recover

FORKED = "one old token has become two sessions"


class Rule(Enum):
    """What the old token is, after it was presented for the first time."""

    BUILT = "the refresh token of generation 0"
    REFUSED = "refused, and the session goes on"
    ANOTHER_SESSION = "the beginning of another session"
    REPEATED = "answered with the current refresh token, for ever"


class World(NamedTuple):
    """``owner``, ``thief``: the generation of the refresh token that each holds. None: only the old token.

    ``losses``: how many responses to the owner may still be lost. ``rounds``: in how many rounds both were served.
    """

    now: int = 0
    row: Row = Row(State(0, START))
    is_open: bool = False
    owner: int | None = None
    thief: int | None = None
    owner_is_next: bool = True
    losses: int = 1
    thief_was_served: bool = False
    owner_was_served_since: bool = False
    rounds: int = 0
    broken: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        held = (None if n is None else self.row.behind(n) for n in (self.owner, self.thief))
        return self.row.key(self.now), self.row.behind(0), *held, self.is_open, *self[5:]


class Answer(NamedTuple):
    row: Row
    refresh: int | None = None
    is_another: bool = False


def answer(rule: Rule, world: World, held: int | None) -> Answer:
    """Return what becomes of a request. ``held``: the generation of its refresh token. None: it has the old token."""
    state, at = world.row.state, START + world.now * UNIT
    if held is None and world.is_open:
        if rule is Rule.REFUSED:
            return Answer(world.row)
        if rule is Rule.REPEATED:
            return Answer(world.row, None if state.ended else state.generation)
        if rule is Rule.ANOTHER_SESSION:
            return Answer(world.row, 1, is_another=True)
    decision = decide(state, held or 0, at, POLICY)
    if decision in ENDS_SESSION:
        return Answer(Row(replace(state, ended=True)))
    if decision is Decision.REFUSE:
        return Answer(world.row)
    if decision in BEGINS_GENERATION:
        state = begin(state, state.generation + 1, at)
    elif decision is Decision.RECOVER:
        state = recover(state, at)
    return Answer(Row(state), state.generation)


def steps(world: World, rule: Rule, *, stolen: bool) -> Iterator[tuple[str, World]]:
    """Yield what can happen next, and the world after it. ``stolen``: whether there is a thief."""
    later = world._replace(now=world.now + 1, owner_is_next=not world.owner_is_next)
    if not world.owner_is_next:
        yield "the thief waits", later
        for held in {world.thief, None} if stolen else ():
            given = answer(rule, world, held)
            what = "the old token" if held is None else "a refresh token"
            yield from _kept(f"the thief comes with {what}", _of_thief(later, given), given)
        return
    yield "the owner stays away", later
    given = answer(rule, world, world.owner)
    yield from _kept("the owner comes", _of_owner(later, given, given.refresh), given)
    if world.losses and given.refresh is not None:
        lost = _of_owner(later, given, world.owner)
        yield "the owner comes, and the response is lost", lost._replace(losses=world.losses - 1)


def _kept(step: str, after: World, given: Answer) -> Iterator[tuple[str, World]]:
    yield f"{step} once", after
    if given.refresh is not None:
        yield f"{step}, and stays for a while", after._replace(row=acknowledged(after.row))


def _of_owner(later: World, given: Answer, held: int | None) -> World:
    broken = FORKED if given.is_another else ""
    if given.refresh is None and not later.thief_was_served:
        broken = SIGNED_OUT
    elif given.refresh is None and not given.row.state.ended:
        broken = UNREPORTED
    was_served = later.thief_was_served and given.refresh is not None
    return later._replace(
        row=given.row, is_open=True, owner=held, owner_was_served_since=was_served, broken=later.broken or broken
    )


def _of_thief(later: World, given: Answer) -> World:
    after = later._replace(row=given.row, is_open=True, broken=FORKED if given.is_another else "")
    if given.refresh is None:
        return after
    rounds = min(later.rounds + later.owner_was_served_since, ROUNDS)
    return after._replace(
        thief=given.refresh,
        thief_was_served=True,
        owner_was_served_since=False,
        rounds=rounds,
        broken=after.broken or (FOR_EVER if rounds == ROUNDS else ""),
    )


def search(rule: Rule, *, stolen: bool) -> tuple[Result, str]:
    """Search for a history that breaks a promise. Also return which."""
    found: list[str] = []

    def is_bad(world: World) -> bool:
        found[:] = [world.broken]
        return bool(world.broken)

    result = breadth_first(
        World(), lambda world: steps(world, rule, stolen=stolen), is_bad, lambda world: not world.row.state.ended
    )
    return result, "" if result.history is None else found[0]


def main() -> None:
    for rule in Rule:
        for stolen in (False, True):
            (worlds, history), broken = search(rule, stolen=stolen)
            found = "nothing bad" if history is None else f"{broken}: {'; '.join(history)}"
            sys.stdout.write(f"{rule.value} ({'a thief' if stolen else 'no thief'}): {worlds:,} worlds, {found}\n\n")


if __name__ == "__main__":
    main()
