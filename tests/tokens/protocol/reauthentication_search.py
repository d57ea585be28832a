"""Exhaustive breadth-first searches: a signed-in person authenticates again, and the request carries a refresh token.

A `Rule` says what becomes of the refresh token. `honest` searches for a history that ends the session of a person who
has no thief, by the world of `tests.tokens.protocol.search` with one more kind of message. It can be lost, delayed and
overtaken like any other. `stolen` searches for a history in which a thief with a copy of the tokens profits from the
reauthentication of the owner.

In `stolen` a reauthentication within the still time, when nothing rotates, is left out. The thief has no factor, so
that he can refresh only. A thief with nothing but an access token can do neither: the server cannot make a refresh
token without the secret of the sign-in.
"""

from collections.abc import Iterator
from enum import Enum
from typing import ClassVar

from tests.tokens.protocol import search
from tests.tokens.protocol.in_turns import Answer, Row, World, broken_by, kept, of_owner, refreshed
from tests.tokens.protocol.search import NEW, ORPHAN, REFRESH, Message, Refresh, Rules, Scale, Successor
from tokens.protocol.rotation import ENDS_SESSION, Decision

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
            step = f"reauthentication: {presented} forces {rest.row.generation + 1}"
            yield step, self._forced(rest, message, is_orphan=is_orphan)._replace(commits=())
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


VOUCHED = "the token of the owner proves the theft, and the thief goes on with what the owner has proved"
QUIET = "a thief gets what the owner has proved, without a trace"


def reauthenticated(rule: Rule, row: Row, held: int, now: int) -> Answer:
    """Return what becomes of a reauthentication with the right factor."""
    decision = row.decision(held, now)
    if is_as_refresh(rule, decision):
        return refreshed(row, held, now)
    if is_forced(rule, decision, row.state.generation - held):
        row = row.next_generation(now)
        held = row.state.generation
    return Answer(row, held, is_served=decision is not Decision.REFUSE)


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
    proves_theft = world.row.decision(world.owner, world.now) in ENDS_SESSION
    if given.is_served:
        later = later._replace(is_proved=True, is_recorded=False, broken=VOUCHED if proves_theft else "")
    yield from of_owner("the owner authenticates again", later, given)


def stolen(rule: Rule) -> tuple[int, list[str] | None, str]:
    """Search for a history that breaks a promise. Return the number of worlds, the history, and the promise."""
    return broken_by(World(), lambda world: steps(world, rule))
