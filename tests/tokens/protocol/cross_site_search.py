"""Exhaustive breadth-first searches: what a page of another site, and a thief, can do by requests that rotate.

A page of another site, or a sibling host, starts navigations and fetches of the user's browser, and cancels them at any
step before the response has arrived. A `Rule` says what the server answers to such a request if its access token has
expired. `foreign_page` searches for a history in which the session of a user ends although nobody has stolen anything.
`thief` searches for a history in which somebody with a copy of the cookies, who can send any header, is not found.

Time passes in units. An access token lives for two units, and the grace is shorter than one. Every message arrives or
is lost before the next unit, so that no answer is a repetition that depends on being quick. The network loses one
response of its own, fewer than the session survives.
"""

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from typing import Any, NamedTuple

from tests.tokens.protocol.in_turns import POLICY, ROUNDS, START, UNIT, Result, Row, acknowledged, breadth_first
from tokens.protocol.rotation import BEGINS_GENERATION, ENDS_SESSION, Decision, State, begin, decide, recover

ACCESS_LIFETIME = 2
"""Units for which an access token lives."""
MESSAGES = 2
"""So many messages may be under way when another request is sent."""


class Rule(Enum):
    """The answer to a request from elsewhere that has a refresh token, and no valid access token."""

    ROTATES = "rotates, as any other request does"
    SERVES = "is served without a rotation"
    NOT_COUNTED = "rotates, and neither its recovery nor one that it makes necessary is counted"
    PAGE = "a navigation gets a page that refreshes by a request with keepalive; anything else gets nothing"
    PAGE_WITHOUT_KEEPALIVE = "a navigation gets a page that refreshes; anything else gets nothing"
    PAGE_AND_FETCHES = "a navigation gets a page that refreshes by a request with keepalive; anything else rotates"


PAGES = {Rule.PAGE, Rule.PAGE_WITHOUT_KEEPALIVE, Rule.PAGE_AND_FETCHES}


class Answer(NamedTuple):
    """``refresh``: the generation of the refresh token in the response. ``is_served``: whether it shows the user."""

    decision: Decision | None = None
    refresh: int | None = None
    is_served: bool = False
    page: bool = False


def answer(rule: Rule, row: Row, presented: int, now: int, *, foreign: bool, navigation: bool) -> tuple[Row, Answer]:
    """Return the row after a request without a valid access token, and the answer."""
    if foreign and rule in PAGES and not (rule is Rule.PAGE_AND_FETCHES and not navigation):
        return row, Answer(page=navigation)
    state, at = row.state, START + now * UNIT
    decision = decide(state, presented, at, POLICY)
    if decision in ENDS_SESSION:
        return Row(replace(state, ended=True), row.foreign), Answer(decision)
    if decision is Decision.REFUSE:
        return row, Answer(decision)
    if foreign and rule is Rule.SERVES:
        return row, Answer(decision, is_served=True)
    if decision in BEGINS_GENERATION:
        row = Row(begin(state, state.generation + 1, at), foreign)
    elif decision is Decision.RECOVER:
        is_counted = not ((row.foreign or foreign) and rule is Rule.NOT_COUNTED)
        row = Row(recover(state, at) if is_counted else replace(state, since=at), row.foreign)
    return row, Answer(decision, row.state.generation, is_served=True)


NAVIGATION, FETCH, REFRESH, PAGE, COOKIES = "navigation", "fetch", "refresh by the page", "page", "cookies"
"""The kinds of messages: three requests and two responses."""


class Message(NamedTuple):
    """``foreign``: whether its Sec-Fetch-Site says so. ``cancellable``: whether the other page can cancel it.

    ``carries``: the generation of its refresh token. ``of_page``: whether the page waits for it, to go on.
    """

    kind: str
    foreign: bool
    cancellable: bool
    carries: int
    of_page: bool = False


class World(NamedTuple):
    """``access``: the generation of the browser's access token, and when it was issued."""

    now: int = 0
    row: Row = Row(State(0, START))
    refresh: int = 0
    access: tuple[int, int] = (0, 0)
    messages: tuple[Message, ...] = ()
    losses: int = 1

    @property
    def is_expired(self) -> bool:
        return self.now - self.access[1] >= ACCESS_LIFETIME

    @property
    def key(self) -> tuple[Any, ...]:
        """All that can matter later: generations and times relative to those of the row and of now."""
        behind, (generation, issued) = self.row.behind, self.access
        age = min(self.now - issued, ACCESS_LIFETIME)
        messages = tuple((*message[:3], behind(message.carries), message.of_page) for message in self.messages)
        return self.row.key(self.now), behind(self.refresh), behind(generation), age, messages, self.losses


def steps(world: World, rule: Rule, *, history: bool = False) -> Iterator[tuple[str, World]]:
    """Yield what can happen next without a thief, and the world after it.

    ``history``: whether the other page can go back to a page of ours in the history of its tab. Browsers then send the
    Sec-Fetch-Site of the first visit.
    """
    if not world.messages:
        yield "time passes", world._replace(now=world.now + 1)
    if len(world.messages) < MESSAGES:
        for kind in (NAVIGATION, FETCH):
            yield f"the other page starts a {kind}", _sent(world, kind, foreign=True, cancellable=True)
        yield "the user goes to a page", _sent(world, NAVIGATION)
        if history:
            yield "the other page goes back in the history", _sent(world, NAVIGATION, cancellable=True)
    for place, message in enumerate(world.messages):
        rest = world._replace(messages=world.messages[:place] + world.messages[place + 1 :])
        yield f"{message.kind} arrives", _arrived(rest, message, rule)
        if message.cancellable:
            yield f"the other page cancels the {message.kind}", rest
        if world.losses:
            lost = rest._replace(losses=rest.losses - 1)
            yield f"the network loses the {message.kind}", _gone_on(lost) if message.of_page else lost
    if any(message.of_page for message in world.messages):
        left = tuple(message._replace(of_page=False) for message in world.messages)
        yield "the other page leads the tab away", world._replace(messages=left)


def _sent(world: World, kind: str, *, foreign: bool = False, cancellable: bool = False, of_page: bool = False) -> World:
    message = Message(kind, foreign, cancellable, world.refresh, of_page)
    return world._replace(messages=(*world.messages, message))


def _gone_on(world: World) -> World:
    """The page goes on to the same URL, in the tab that the other page controls."""
    return _sent(world, NAVIGATION, cancellable=True)


def _arrived(rest: World, message: Message, rule: Rule) -> World:
    if message.kind == PAGE:
        return _sent(rest, REFRESH, cancellable=rule is Rule.PAGE_WITHOUT_KEEPALIVE, of_page=True)
    if message.kind == COOKIES:
        rest = rest._replace(refresh=message.carries, access=(message.carries, rest.now))
        return _gone_on(rest) if message.of_page else rest
    if not rest.is_expired and message.kind != REFRESH:
        generation, issued = rest.access
        is_late = rest.now > issued and generation == rest.row.state.generation
        return rest._replace(row=acknowledged(rest.row)) if is_late else rest
    is_navigation = message.kind == NAVIGATION
    row, given = answer(rule, rest.row, message.carries, rest.now, foreign=message.foreign, navigation=is_navigation)
    rest = rest._replace(row=row)
    if given.page or given.refresh is not None:
        kind = PAGE if given.page else COOKIES
        back = Message(kind, message.foreign, message.cancellable, given.refresh or 0, message.of_page)
        return rest._replace(messages=(*rest.messages, back))
    return rest


class Theft(NamedTuple):
    """A round is two units: the owner comes, a unit passes, and the thief comes. ``rounds``: in how many both did.

    ``trace``: whether anything was found since the thief was served: a recovery, or the end of the session.
    """

    now: int = ACCESS_LIFETIME
    row: Row = Row(State(0, START))
    owner: int = 0
    thief: int = 0
    owner_is_next: bool = True
    thief_was_served: bool = False
    owner_was_served_since: bool = False
    trace: bool = False
    rounds: int = 0

    @property
    def key(self) -> tuple[Any, ...]:
        return self.row.key(self.now), self.row.behind(self.owner), self.row.behind(self.thief), *self[4:]


def steps_of_theft(theft: Theft, rule: Rule) -> Iterator[tuple[str, Theft]]:
    later = theft._replace(now=theft.now + 1, owner_is_next=not theft.owner_is_next)
    if theft.owner_is_next:
        yield "the owner stays away", later
        row, given = answer(rule, theft.row, theft.owner, theft.now, foreign=False, navigation=True)
        came = later._replace(row=row, owner=theft.owner if given.refresh is None else given.refresh)
        came = came._replace(owner_was_served_since=theft.thief_was_served, trace=theft.trace or is_trace(given))
        yield "the owner comes once", came
        yield "the owner comes, and stays for a while", came._replace(row=acknowledged(row))
        return
    yield "the thief waits", later
    for foreign, navigation in ((False, True), (True, True), (True, False)):
        row, given = answer(rule, theft.row, theft.thief, theft.now, foreign=foreign, navigation=navigation)
        came = later._replace(row=row, thief=theft.thief if given.refresh is None else given.refresh)
        if given.is_served:
            both = theft.owner_was_served_since or not theft.thief_was_served
            rounds = min(theft.rounds + both, ROUNDS)
            came = came._replace(thief_was_served=True, owner_was_served_since=False, rounds=rounds)
        came = came._replace(trace=theft.trace or is_trace(given))
        claims = "another site" if foreign else "our site"
        yield f"the thief claims to come from {claims} by a {NAVIGATION if navigation else FETCH}", came


def is_trace(given: Answer) -> bool:
    """Return whether an answer is recorded as a security event."""
    return given.decision in {Decision.RECOVER, *ENDS_SESSION}


def foreign_page(rule: Rule, *, history: bool = False) -> Result:
    """Search for a history in which the session ends without a thief. ``history``: see `steps`."""
    return breadth_first(
        [World()], lambda world: steps(world, rule, history=history), lambda world: world.row.state.ended
    )


def thief(rule: Rule) -> Result:
    """Search for a history in which a thief reads without a trace, or is served as often as the owner for ever."""

    def is_bad(theft: Theft) -> bool:
        is_quiet = theft.thief_was_served and theft.owner_was_served_since and not theft.trace
        return not theft.row.state.ended and (is_quiet or theft.rounds == ROUNDS)

    return breadth_first(
        [Theft()], lambda theft: steps_of_theft(theft, rule), is_bad, lambda theft: not theft.row.state.ended
    )
