"""Exhaustive breadth-first searches: a session that is idle, and is reopened by its refresh token and a factor.

A session is idle when it was not refreshed for its idle lifetime (LIFETIMES), and its absolute lifetime is not over. A
`Rule` says what becomes of a refresh token that is presented then, with a factor and without one. `honest` searches for
a history in which a person who has no thief is signed out, or cannot reopen the session with a factor. Its world is
that of `tests.tokens.protocol.search` with one more kind of message: a request with a factor, which also comes while
the session is not idle. `stolen` searches for a history in which a thief profits.

In `stolen` a session is idle after two units, or lacks a factor from any time on (`required_search`). A thief has a
copy of the tokens and no factor, or a factor and no token.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any, ClassVar

from tests.tokens.protocol import search
from tests.tokens.protocol.in_turns import Answer, World, answered, broken_by, kept, of_owner
from tests.tokens.protocol.search import NEW, ORPHAN, REFRESH, Message, Refresh, Rules, Scale, Successor
from tokens.protocol.rotation import BEGINS_GENERATION, ENDS_SESSION, Decision

PROOF, ORPHAN_PROOF = 10, 11
"""Two more kinds of messages: a refresh token together with a factor, and one whose browser has crashed."""


class Rule(Enum):
    """What becomes of the refresh token of an idle session."""

    BUILT = "with a factor it is answered as a refresh; without one it gets nothing, and proves a theft as ever"
    KEEPS = "the same as built, but without a factor it ends nothing"
    OLDER_ENDS = "the same as built, but without a factor each token but the current one ends the session"
    RECOVERS = "the same as built, but a recovery needs no factor"
    FORCES = "the same as built, but with a factor each token that ends nothing begins the next generation"
    ONLY_CURRENT = "the same as built, but only the current token reopens the session"
    ANY_TOKEN = "the same as built, but with a factor a token that proves a theft is passed over"
    TOKEN_ALONE = "it is answered as a refresh, with a factor or without one"
    FACTOR_ALONE = "the same as built, but a factor reopens the session without a token, too"


def decided(rule: Rule, decision: Decision, *, with_factor: bool) -> Decision:
    """Return what is decided about a refresh token of an idle session, of which a refresh would decide so otherwise."""
    is_previous = decision in {Decision.RECOVER, Decision.EXHAUSTED}
    if with_factor:
        if rule is Rule.ONLY_CURRENT and decision not in BEGINS_GENERATION:
            return Decision.REFUSE
        if rule is Rule.FORCES and decision not in ENDS_SESSION:
            return Decision.ROTATE
        return Decision.ROTATE if rule is Rule.ANY_TOKEN and decision in ENDS_SESSION else decision
    if rule is Rule.TOKEN_ALONE or (rule is Rule.RECOVERS and is_previous):
        return decision
    if rule is Rule.OLDER_ENDS and is_previous:
        return Decision.REUSE
    return decision if decision in ENDS_SESSION and rule is not Rule.KEEPS else Decision.REFUSE


class IdleSessions(Rules):
    """The world of an honest person whose session is idle when it was not refreshed for longer than the still time."""

    orphans: ClassVar = {**Rules.orphans, PROOF: ORPHAN_PROOF}

    def __init__(self, scale: Scale, rule: Rule) -> None:
        super().__init__(scale)
        self.rule = rule
        self.oldest = self.still + 1

    def _is_idle(self, world: search.World) -> bool:
        return search._EPOCH + world.now * search._UNIT >= world.row.since + self.oldest * search._UNIT

    def _refreshes(self, world: search.World, refresh: Refresh) -> Iterator[Message]:
        yield from super()._refreshes(world, refresh)
        yield Message(PROOF, world.now, refresh, None)

    def _arrived(self, rest: search.World, message: Message) -> Iterator[Successor]:
        if message.kind not in {PROOF, ORPHAN_PROOF} or message.refresh is None:
            yield from super()._arrived(rest, message)
            return
        is_orphan = message.kind == ORPHAN_PROOF
        as_refresh = message._replace(kind=ORPHAN if is_orphan else REFRESH)
        presented = message.refresh.cookies[NEW] or 0
        is_idle, decision = self._is_idle(rest), self._decide(rest, presented, as_refresh)
        if is_idle:
            decision = decided(self.rule, decision, with_factor=True)
        if decision is Decision.REFUSE:
            yield f"{presented} does not reopen the session", None
        elif is_idle and decision is Decision.ROTATE and presented != rest.row.generation:
            step = f"{presented} and a factor force {rest.row.generation + 1}"
            yield step, self._forced(rest, message, is_orphan=is_orphan)
        else:
            step, after = super()._presented(rest, as_refresh, self.releases[0], Refresh(None))
            # Its commit waits for disk and standby, and so for all commits before it.
            yield f"{'idle' if is_idle else 'not idle'}, with a factor: {step}", after and after._replace(commits=())

    def _presented(self, rest: search.World, message: Message, release: Any, held: Refresh) -> Successor:
        if message.refresh is None or not self._is_idle(rest):
            return super()._presented(rest, message, release, held)
        presented = message.refresh.tokens[0]
        decision = decided(self.rule, self._decide(rest, presented, message), with_factor=False)
        if decision is Decision.REFUSE:
            return f"idle: {presented} is refused", rest
        if decision in ENDS_SESSION:
            return f"idle: {presented} is {decision.value}", None
        return super()._presented(rest, message, release, held)


def honest(rule: Rule, worlds: int, messages: int = 2) -> search.Result:
    """Search for a history that signs out a person who has no thief, or keeps them from reopening their session."""
    scale = Scale(messages=messages)
    return search.search(scale, worlds, IdleSessions(scale, rule))


class Thief(Enum):
    TOKEN = "a thief with the tokens"
    FACTOR = "a thief with a factor"


REOPENED = "a thief uses the session without a token or without a factor"
FORGIVEN = "a token proves the theft while a factor is required, and the session goes on"
QUIET = "a thief gets what the owner has proved, without a trace"


def presented(rule: Rule, world: World, held: int, *, with_factor: bool) -> Answer:
    """Return what becomes of a refresh token, and whether its client is served."""
    decision = world.row.decision(held, world.now)
    if world.is_lacking:
        decision = decided(rule, decision, with_factor=with_factor)
    return answered(world.row, held, world.now, decision)


def steps(world: World, rule: Rule, thief: Thief) -> Iterator[tuple[str, World]]:
    """Yield what can happen next, and the world after it."""
    if world.is_required is False:
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
    proves_theft = world.row.decision(held, world.now) in ENDS_SESSION
    return proves_theft and not given.row.state.ended


def stolen(rule: Rule, thief: Thief = Thief.TOKEN) -> tuple[int, list[str] | None, str]:
    """Search for a history that breaks a promise. Return the number of worlds, the history, and the promise."""
    return broken_by(World(is_required=None), lambda world: steps(world, rule, thief))
