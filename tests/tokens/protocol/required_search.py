"""Exhaustive breadth-first searches: a session that lacks a factor, from any time on, until its user proves one.

REQUIRED_FACTORS can begin to ask for a factor at any time: it is switched on, a user becomes staff, or a device is not
trusted any more. It can also end at any time without a factor. In between, a refresh token is answered as that of an
idle session. So the difference to `tests.tokens.protocol.idle_search` is the time: also within the still time and the
grace, with responses and parallel requests under way.

`honest` searches for a history in which a person who has no thief is signed out, or cannot go on with a factor.
`stolen` searches for a history in which a thief profits. The rules are those of `idle_search`.

In `stolen` the owner and the thief come in turns, one unit apart, which is the still time and longer than the grace. A
factor of the owner within the still time is left out, as in `reauthentication_search`: nothing rotates then.

``python -m tests.tokens.protocol.required_search`` prints what the searches find with each rule.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from tests.tokens.protocol import search
from tests.tokens.protocol.crossing_search import POLICY, START, UNIT, Row
from tests.tokens.protocol.idle_search import FORGIVEN, QUIET, REOPENED, IdleSessions, Rule, Thief, decided
from tests.tokens.protocol.reauthentication_search import Answer, broken_by, kept, of_owner, refreshed
from tests.tokens.protocol.search import Message, Refresh, Scale, Successor
from tokens.protocol.rotation import ENDS_SESSION, Decision, State, begin, decide


class LackingSessions(IdleSessions):
    """The world of an honest person whose session lacks a factor while ``row.idle`` is set, however old it is."""

    def __init__(self, scale: Scale, rule: Rule) -> None:
        super().__init__(scale, rule)
        self.oldest = self.still

    def _is_idle(self, world: search.World) -> bool:
        return world.row.idle

    def _steps(self, world: search.World) -> Iterator[Successor]:
        yield from super()._steps(world)
        step = "the factor is not required any more" if world.row.idle else "a factor is required"
        yield step, world._replace(row=replace(world.row, idle=not world.row.idle))

    def _decide(self, world: search.World, presented: int, message: Message) -> Decision:
        return super()._decide(_with_factor(world), presented, message)

    def _arrived(self, rest: search.World, message: Message) -> Iterator[Successor]:
        for step, after in super()._arrived(rest, message):
            # Whatever a factor was answered with, the session has it then. Without one it lacks it as before.
            is_proved = step.startswith(("idle, with a factor", "not idle, with a factor")) or " and a factor " in step
            yield step, _with_factor(after) if after is not None and is_proved else after

    def _presented(self, rest: search.World, message: Message, release: Any, held: Refresh) -> Successor:
        if not rest.row.idle:
            return super()._presented(rest, message, release, held)
        step, after = super()._presented(rest, message, release, held)
        # With `Rule.TOKEN_ALONE` a rotation would otherwise stand for a factor.
        is_rotated = after is not None and after.row.generation != rest.row.generation
        return step, after._replace(row=replace(after.row, idle=True)) if after is not None and is_rotated else after

    def key(self, world: search.World) -> bytes:
        flags = [world.row.idle, *(row.idle for _, row in world.commits)]
        return super().key(world) + bytes(flags)


def _with_factor(world: search.World) -> search.World:
    return world._replace(row=replace(world.row, idle=False))


def honest(rule: Rule, worlds: int, messages: int = 2) -> search.Result:
    """Search for a history that signs out a person who has no thief, or keeps them from going on with a factor."""
    scale = Scale(messages=messages)
    return search.search(scale, worlds, LackingSessions(scale, rule))


class World(NamedTuple):
    """``owner``, ``thief``: the generation of the refresh token that each holds.

    ``losses``: how many responses to the owner may still be lost. ``is_proved``: whether the owner has proved a factor.
    ``is_recorded``: whether there was a security event in that request or since. ``is_required``: whether a factor is.
    ``broken``: the promise that was broken.
    """

    now: int = 1
    row: Row = Row(State(0, START))
    owner: int = 0
    thief: int = 0
    owner_is_next: bool = True
    losses: int = 1
    is_proved: bool = False
    is_recorded: bool = False
    is_required: bool = False
    broken: str = ""

    @property
    def is_lacking(self) -> bool:
        return self.is_required and not self.is_proved

    @property
    def key(self) -> tuple[Any, ...]:
        behind = self.row.behind(self.owner), self.row.behind(self.thief)
        return self.row.key(self.now), *behind, *self[4:]


def presented(rule: Rule, world: World, held: int, *, with_factor: bool) -> Answer:
    """Return what becomes of a refresh token, and whether its client is served."""
    row, now = world.row, world.now
    if not world.is_lacking:
        return refreshed(row, held, now)
    given = decided(rule, decide(row.state, held, START + now * UNIT, POLICY), with_factor=with_factor)
    if given is Decision.REFUSE:
        return Answer(row, held, is_served=False, is_recorded=False)
    if given in ENDS_SESSION:
        return Answer(Row(replace(row.state, ended=True)), held, is_served=False, is_recorded=True)
    if given is Decision.ROTATE and held != row.state.generation:
        row = Row(begin(row.state, row.state.generation + 1, START + now * UNIT))
        return Answer(row, row.state.generation, is_served=True, is_recorded=False)
    return refreshed(row, held, now)


def steps(world: World, rule: Rule, thief: Thief) -> Iterator[tuple[str, World]]:
    """Yield what can happen next, and the world after it."""
    if not world.is_required:
        yield "a factor is required", world._replace(is_required=True)
    later = world._replace(now=world.now + 1, owner_is_next=not world.owner_is_next)
    if not world.owner_is_next:
        yield "the thief waits", later
        yield from _of_thief(world, later, rule, thief)
        return
    yield "the owner stays away", later
    for with_factor in (False, True):
        step = "the owner comes with a factor" if with_factor else "the owner comes"
        given = presented(rule, world, world.owner, with_factor=with_factor)
        after = later._replace(broken=FORGIVEN if _is_forgiven(world, world.owner, given) else "")
        if with_factor and given.is_served:
            after = after._replace(is_proved=True, is_recorded=False)
        yield from of_owner(step, after, given)


def _of_thief(world: World, later: World, rule: Rule, thief: Thief) -> Iterator[tuple[str, World]]:
    if thief is Thief.FACTOR:
        if world.is_lacking and rule is Rule.FACTOR_ALONE:
            yield "the thief goes on with the session", later._replace(broken=REOPENED)
        return
    given = presented(rule, world, world.thief, with_factor=False)
    after = later._replace(row=given.row, thief=given.held, is_recorded=later.is_recorded or given.is_recorded)
    if world.is_lacking and given.is_served:
        after = after._replace(broken=REOPENED)
    elif _is_forgiven(world, world.thief, given):
        after = after._replace(broken=FORGIVEN)
    elif given.is_served and after.is_proved and not after.is_recorded:
        after = after._replace(broken=QUIET)
    yield from kept("the thief comes", after, given)


def _is_forgiven(world: World, held: int, given: Answer) -> bool:
    proves_theft = decide(world.row.state, held, START + world.now * UNIT, POLICY) in ENDS_SESSION
    return proves_theft and not given.row.state.ended


def stolen(rule: Rule, thief: Thief = Thief.TOKEN) -> tuple[int, list[str] | None, str]:
    """Search for a history that breaks a promise. Return the number of worlds, the history, and the promise."""
    return broken_by(World(), lambda world: steps(world, rule, thief))


def main() -> None:
    for rule in Rule:
        worlds, left, history = honest(rule, 3_000_000)
        found = "nobody is signed out" if history is None else "; ".join(history)
        sys.stdout.write(f"{rule.value} (no thief): {worlds:,} worlds, {left:,} left, {found}\n\n")
        for thief in Thief:
            worlds, history, broken = stolen(rule, thief)
            found = "nothing bad" if history is None else f"{broken}: {'; '.join(history)}"
            sys.stdout.write(f"{rule.value} ({thief.value}): {worlds:,} worlds, {found}\n\n")


if __name__ == "__main__":
    main()
