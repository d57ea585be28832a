"""An exhaustive search: an owner and a thief who both have Django's session, which stands for the first refresh token.

A sign-in outside of our middleware leaves it (`tokens.web.django.outside_middleware`). A `Rule` says what the server
answers to a request that has Django's session and neither a valid access token nor a refresh token. `search` looks for
a history in which one of the promises is broken that the constants name.

In mode ``scoped`` browsers send the refresh token to the auth API only: the owner opens a page, and its script
refreshes if the page is anonymous. The thief asks for what suits him. He can also send a refresh token that he has made
up, so that nobody knows whether he holds a newer one.
"""

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, NamedTuple

from tests.tokens.protocol.in_turns import ROUNDS, START, Answer, Row, broken_by, kept, refreshed
from tokens.protocol.rotation import ENDS_SESSION, Decision, State


class Rule(Enum):
    """For how long Django's session stands for the first refresh token."""

    WITHIN_GRACE = "within the grace of the first refresh"
    BUILT = "at any time, where browsers would send a newer refresh token; there it also ends the session"
    NEVER_ENDS = "at any time, where browsers would send a newer refresh token, and it ends nothing"
    PAGES_END = "at any time, and it ends the session"


class Kind(Enum):
    """``API``: where browsers send the refresh token. ``PAGE``: where they do not. ``MADE_UP``: with a made-up one."""

    API = "by the auth API"
    PAGE = "by a page"
    MADE_UP = "with a made-up token"


def answer(rule: Rule, row: Row, held: int | None, now: int, kind: Kind) -> Answer:
    """Return what becomes of a request. ``held``: the generation of the client's refresh token, if it has one."""
    presented = held if kind is Kind.API else None
    if presented is None and not _is_presented(rule, row.decision(0, now), kind):
        return Answer(row, held)
    given = refreshed(row, presented or 0, now)
    return given if given.is_served else given._replace(held=held)


def _is_presented(rule: Rule, decision: Decision, kind: Kind) -> bool:
    if decision in {Decision.ROTATE, Decision.REPEAT}:
        return True  # It is the first refresh, or within its grace.
    if rule is Rule.BUILT:
        # With a made-up token, Django's session is still asked, but it ends nothing.
        return kind is Kind.API or (kind is Kind.MADE_UP and decision is Decision.RECOVER)
    if rule is Rule.NEVER_ENDS:
        return kind is not Kind.PAGE and decision not in ENDS_SESSION
    return rule is Rule.PAGES_END


class World(NamedTuple):
    """``owner``, ``thief``: the generation of the refresh token that each holds. None: only Django's session.

    ``losses``: how many responses to the owner may still be lost. ``is_recorded``: whether there was a security event
    since the thief was served. ``rounds``: in how many rounds both were served. ``broken``: which promise was broken.
    """

    now: int = 0
    row: Row = Row(State(0, START))
    owner: int | None = None
    thief: int | None = None
    owner_is_next: bool = True
    losses: int = 1
    thief_was_served: bool = False
    owner_was_served_since: bool = False
    is_recorded: bool = False
    rounds: int = 0
    broken: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        held = (None if n is None else self.row.behind(n) for n in (self.owner, self.thief))
        return self.row.key(self.now), self.row.behind(0), *held, *self[4:]


SIGNED_OUT = "an honest person is signed out"
UNREPORTED = "a thief goes on, and the owner who is turned away is not told"
QUIET = "a thief reads without a trace"
FOR_EVER = "a thief is served as often as the owner, for ever"

AnswerTo = Callable[[Row, int | None, int, Kind], Answer]


def steps(world: World, answer: AnswerTo, *, scoped: bool, stolen: bool) -> Iterator[tuple[str, World]]:
    """Yield what can happen next, and the world after it. ``stolen``: whether there is a thief."""
    later = world._replace(now=world.now + 1, owner_is_next=not world.owner_is_next)
    if not world.owner_is_next:
        yield "the thief waits", later
        for kind in Kind:
            if stolen and (scoped or kind is not Kind.PAGE):
                given = answer(world.row, world.thief, world.now, kind)
                yield from kept(f"the thief comes {kind.value}", _of_thief(later, given), given)
        return
    yield "the owner stays away", later
    given = answer(world.row, world.owner, world.now, Kind.PAGE if scoped else Kind.API)
    if scoped and not given.is_served:
        given = answer(given.row, world.owner, world.now, Kind.API)
    yield from kept("the owner comes", _of_owner(later, given, given.held), given)
    if world.losses and given.is_served:
        lost = _of_owner(later, given, world.owner)._replace(losses=world.losses - 1)
        yield "the owner comes, and the response is lost", lost


def _of_owner(later: World, given: Answer, held: int | None) -> World:
    broken = given.broken
    if not given.is_served and not later.thief_was_served:
        broken = SIGNED_OUT
    elif not given.is_served and not given.row.state.ended:
        broken = UNREPORTED
    is_recorded = later.is_recorded or given.is_recorded
    if given.is_served and later.thief_was_served and not is_recorded:
        broken = broken or QUIET
    return later._replace(
        row=given.row,
        owner=held,
        owner_was_served_since=later.thief_was_served and given.is_served,
        is_recorded=is_recorded,
        broken=broken,
    )


def _of_thief(later: World, given: Answer) -> World:
    after = later._replace(row=given.row, thief=given.held, is_recorded=later.is_recorded or given.is_recorded)
    if not given.is_served:
        return after
    rounds = min(later.rounds + later.owner_was_served_since, ROUNDS)
    return after._replace(
        thief_was_served=True,
        owner_was_served_since=False,
        rounds=rounds,
        broken=given.broken or (FOR_EVER if rounds == ROUNDS else ""),
    )


def search_for(answer: AnswerTo, *, scoped: bool, stolen: bool) -> tuple[int, list[str] | None, str]:
    """Search for a history that breaks a promise. Return the number of worlds, the history, and the promise."""
    return broken_by(World(), lambda world: steps(world, answer, scoped=scoped, stolen=stolen))


def search(rule: Rule, *, scoped: bool, stolen: bool) -> tuple[int, list[str] | None, str]:
    """Search for a history that breaks a promise with a rule. ``scoped``, ``stolen``: see `steps`."""
    return search_for(lambda *request: answer(rule, *request), scoped=scoped, stolen=stolen)
