"""Exhaustive breadth-first searches: a signed-in person authenticates again, and the request carries a refresh token.

A `Rule` says what becomes of the refresh token. `honest` searches for a history that ends the session of a person who
has no thief, by the world of `tests.tokens.protocol.search` with one more kind of message. It can be lost, delayed and
overtaken like any other. `stolen` searches for a history in which a thief with a copy of the tokens profits from the
reauthentication of the owner.

In `stolen` the owner and the thief come in turns, one unit apart, which is the still time and longer than the grace. So
a reauthentication within the still time, when nothing rotates, is left out. Each may stay away, come once, or stay for
so long that a use of the access token acknowledges the generation. One response to the owner is lost. The thief has no
factor, so that he can refresh only. A thief with nothing but an access token can do neither: the server cannot make a
refresh token without the secret of the sign-in.

``python -m tests.tokens.protocol.reauthentication_search`` prints what the searches find with each rule.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import Enum
from typing import Any, ClassVar, NamedTuple

from tests.tokens.protocol import search
from tests.tokens.protocol.crossing_search import POLICY, START, UNIT, Row, breadth_first
from tests.tokens.protocol.search import ANSWER, NEW, ORPHAN, REFRESH, Access, Message, Refresh, Rules, Scale, Successor
from tokens.protocol.rotation import BEGINS_GENERATION, ENDS_SESSION, Decision, State, begin, decide, recover

REAUTHENTICATION, ORPHAN_REAUTHENTICATION = 8, 9
"""Two more kinds of messages: a reauthentication with a refresh token, and one whose browser has crashed."""


class Rule(Enum):
    """What becomes of the refresh token of a person who has authenticated again."""

    NEVER = "nothing rotates"
    ALWAYS = "the next generation begins, whichever token was presented"
    CURRENT = "the next generation begins if the current token was presented, also within the still time"
    ROTATES = "it rotates if a refresh would, and nothing else happens"
    ENDS = "it rotates if a refresh would, ends the session if a refresh would, and nothing else happens"
    BUILT = "it is answered as a refresh is"


class Reauthentications(Rules):
    """The world of an honest person who refreshes and authenticates again.

    An access token of a reauthentication that did not rotate names no generation. It acknowledges nothing, and so makes
    no difference.
    """

    orphans: ClassVar = {**Rules.orphans, REAUTHENTICATION: ORPHAN_REAUTHENTICATION}

    def __init__(self, scale: Scale, rule: Rule) -> None:
        super().__init__(scale)
        self.rule = rule

    def _refreshes(self, world: search.World, refresh: Refresh) -> Iterator[Message]:
        yield from super()._refreshes(world, refresh)
        yield Message(REAUTHENTICATION, world.now, refresh, None)

    def _arrived(self, rest: search.World, message: Message) -> Iterator[Successor]:
        if message.kind not in {REAUTHENTICATION, ORPHAN_REAUTHENTICATION} or message.refresh is None:
            yield from super()._arrived(rest, message)
            return
        is_orphan = message.kind == ORPHAN_REAUTHENTICATION
        as_refresh = message._replace(kind=ORPHAN if is_orphan else REFRESH)
        presented = message.refresh.cookies[NEW]
        decision = self._decide(rest, presented or 0, as_refresh)
        if is_as_refresh(self.rule, decision):
            step, after = self._presented(rest, as_refresh, self.releases[0], Refresh(None))
            yield f"reauthentication: {step}", after and after._replace(commits=())
        elif is_forced(self.rule, decision, rest.row.generation - (presented or 0)):
            row = begin(rest.row, rest.row.generation + 1, search._EPOCH + rest.now * search._UNIT)
            answer = Message(ANSWER, message.sent, Refresh(row.generation), Access(row.generation, rest.now))
            messages = rest.messages if is_orphan else (*rest.messages, answer)
            step = f"reauthentication: {presented} forces {row.generation}"
            yield step, rest._replace(row=row, commits=(), messages=messages)
        else:
            # Its commit waits for disk and standby, and so for all commits before it.
            yield f"reauthentication with {presented}", rest._replace(commits=())


def is_as_refresh(rule: Rule, decision: Decision) -> bool:
    """Return whether a refresh token is answered as a refresh would answer it."""
    if rule is Rule.ENDS:
        return decision is Decision.ROTATE or decision in ENDS_SESSION
    return rule is Rule.BUILT or (rule is Rule.ROTATES and decision is Decision.ROTATE)


def is_forced(rule: Rule, decision: Decision, behind: int) -> bool:
    """Return whether the next generation begins. ``behind``: how many generations the token is behind."""
    return decision is not Decision.REFUSE and (rule is Rule.ALWAYS or (rule is Rule.CURRENT and behind == 0))


def honest(rule: Rule, worlds: int, messages: int = 2) -> search.Result:
    """Search for a history that ends the session of a person who has no thief."""
    scale = Scale(messages=messages)
    return search.search(scale, worlds, Reauthentications(scale, rule))


class World(NamedTuple):
    """``owner``, ``thief``: the generation of the refresh token that each holds.

    ``losses``: how many responses to the owner may still be lost. ``is_proved``: whether the owner has authenticated
    again. ``is_recorded``: whether there was a security event in that reauthentication or since. ``broken``: the
    promise that was broken.
    """

    now: int = 1
    row: Row = Row(State(0, START))
    owner: int = 0
    thief: int = 0
    owner_is_next: bool = True
    losses: int = 1
    is_proved: bool = False
    is_recorded: bool = False
    broken: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        return self.row.key(self.now), self.row.behind(self.owner), self.row.behind(self.thief), *self[4:]


VOUCHED = "the token of the owner proves the theft, and the thief goes on with what the owner has proved"
QUIET = "a thief gets what the owner has proved, without a trace"


class Answer(NamedTuple):
    row: Row
    held: int
    is_served: bool
    is_recorded: bool
    """Whether there is a security event: a recovery, or the end of the session."""


def refreshed(row: Row, held: int, now: int) -> Answer:
    """Return what becomes of a refresh."""
    state, at = row.state, START + now * UNIT
    decision = decide(state, held, at, POLICY)
    if decision in ENDS_SESSION:
        return Answer(Row(replace(state, ended=True)), held, is_served=False, is_recorded=True)
    if decision is Decision.REFUSE:
        return Answer(row, held, is_served=False, is_recorded=False)
    if decision in BEGINS_GENERATION:
        row = Row(begin(state, state.generation + 1 if decision is Decision.ROTATE else held, at))
    elif decision is Decision.RECOVER:
        row = Row(recover(state, at))
    return Answer(row, row.state.generation, is_served=True, is_recorded=decision is Decision.RECOVER)


def reauthenticated(rule: Rule, row: Row, held: int, now: int) -> Answer:
    """Return what becomes of a reauthentication with the right factor."""
    state, at = row.state, START + now * UNIT
    decision = decide(state, held, at, POLICY)
    if is_as_refresh(rule, decision):
        return refreshed(row, held, now)
    if is_forced(rule, decision, state.generation - held):
        row = Row(begin(state, state.generation + 1, at))
        held = row.state.generation
    return Answer(row, held, is_served=decision is not Decision.REFUSE, is_recorded=False)


def steps(world: World, rule: Rule) -> Iterator[tuple[str, World]]:
    """Yield what can happen next, and the world after it."""
    later = world._replace(now=world.now + 1, owner_is_next=not world.owner_is_next)
    if not world.owner_is_next:
        yield "the thief waits", later
        given = refreshed(world.row, world.thief, world.now)
        after = later._replace(row=given.row, thief=given.held, is_recorded=later.is_recorded or given.is_recorded)
        if given.is_served and after.is_proved and not after.is_recorded:
            after = after._replace(broken=QUIET)
        yield from kept("the thief refreshes", after, given)
        return
    yield "the owner stays away", later
    given = refreshed(world.row, world.owner, world.now)
    yield from of_owner("the owner refreshes", later, given)
    given = reauthenticated(rule, world.row, world.owner, world.now)
    proves_theft = decide(world.row.state, world.owner, START + world.now * UNIT, POLICY) in ENDS_SESSION
    if given.is_served:
        later = later._replace(is_proved=True, is_recorded=False, broken=VOUCHED if proves_theft else "")
    yield from of_owner("the owner authenticates again", later, given)


def of_owner(step: str, later: Any, given: Answer) -> Iterator[tuple[str, Any]]:
    """Yield the worlds after the owner got this answer, or lost it. ``later`` is a world of any search."""
    after = later._replace(row=given.row, owner=given.held, is_recorded=later.is_recorded or given.is_recorded)
    yield from kept(step, after, given)
    if later.losses and given.is_served:
        yield f"{step}, and the response is lost", after._replace(owner=later.owner, losses=later.losses - 1)


def kept(step: str, after: Any, given: Answer) -> Iterator[tuple[str, Any]]:
    """Yield the worlds after somebody got this answer: they go away, or stay until the generation is acknowledged."""
    yield f"{step} once", after
    if given.is_served and given.held == given.row.state.generation:
        row = after.row._replace(state=replace(after.row.state, acknowledged=True))
        yield f"{step}, and stays for a while", after._replace(row=row)


def stolen(rule: Rule) -> tuple[int, list[str] | None, str]:
    """Search for a history that breaks a promise. Return the number of worlds, the history, and the promise."""
    return broken_by(World(), lambda world: steps(world, rule))


def broken_by(start: Any, successors: Callable[[Any], Iterator[tuple[str, Any]]]) -> tuple[int, list[str] | None, str]:
    """Search for a world that breaks a promise. Return the number of worlds, the history, and the promise."""
    found: list[str] = []

    def is_bad(world: Any) -> bool:
        found[:] = [world.broken]
        return bool(world.broken)

    worlds, history = breadth_first(start, successors, is_bad, lambda world: not world.row.state.ended)
    return worlds, history, "" if history is None else found[0]


def main() -> None:
    for rule in Rule:
        worlds, left, history = honest(rule, 3_000_000)
        found = "no honest session ends" if history is None else "; ".join(history)
        sys.stdout.write(f"{rule.value} (no thief): {worlds:,} worlds, {left:,} left, {found}\n\n")
        worlds, history, broken = stolen(rule)
        found = "nothing bad" if history is None else f"{broken}: {'; '.join(history)}"
        sys.stdout.write(f"{rule.value} (a thief): {worlds:,} worlds, {found}\n\n")


if __name__ == "__main__":
    main()
