"""An exhaustive breadth-first search for a history in which a thief registers a key for a session that is not theirs.

The search covers one session, from the response to its sign-in on. The response offers the browser to register a key,
for a minute. The browser registers without cookies if the sign-in was reached from another site. Every message can be
lost, and the minute can end at any time. A thief may get a copy of the header with the offer, of an access token, and,
after the minute, of the refresh token, and sends whatever these allow.

`Rule` says what a registration requires, and to which requests the server offers the registration again. A history is
bad if the thief's key is registered, or if an honest browser whose registration was refused for the missing cookie
stays unbound after two further requests of its own site, whose messages all arrive.
"""

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from tests.tokens.protocol.in_turns import Result, breadth_first


class Required(Enum):
    """What a registration requires beside the offer."""

    NOTHING = "nothing"
    ANY_TOKEN = "an access or a refresh token"
    REFRESH_TOKEN = "a refresh token"


class Again(Enum):
    """Who is offered the registration again, with the next response."""

    NOBODY = "nobody"
    UNBOUND = "every client of an unbound session"
    REFUSED = "a client whose registration was refused for the missing cookie"


class Rule(NamedTuple):
    required: Required
    again: Again

    def accepts(self, *, refresh: bool, access: bool) -> bool:
        return refresh or self.required is Required.NOTHING or (access and self.required is Required.ANY_TOKEN)


OWNER, THIEF, UNBOUND = "owner", "thief", "the session stays unbound"
SIGNED_IN, OFFERED, REGISTER, DEFERRED = "signed in", "offered again", "registration", "refused"
"""The kinds of messages to and from the browser. `REGISTER` is the only request."""


class World(NamedTuple):
    """``bound_by``: whose key is registered. ``refused``: whether the browser has the cookie that says so.

    ``copied``: what the thief has copied.
    """

    bound_by: str = ""
    is_signed_in: bool = False
    refused: bool = False
    was_refused: bool = False
    in_time: bool = True
    copied: frozenset[str] = frozenset()
    messages: tuple[tuple[str, bool], ...] = ()
    """The kind of each message, and whether it has the cookies, or will have them."""
    visits: int = 2


HEADER, ACCESS, REFRESH = "header", "access token", "refresh token"


def start(*, from_another_site: bool) -> World:
    return World(messages=((SIGNED_IN, not from_another_site),))


def successors(world: World, rule: Rule) -> Iterator[tuple[str, World]]:
    """Yield what can happen next, and the world after it."""
    for place, (kind, has_cookies) in enumerate(world.messages):
        rest = world._replace(messages=world.messages[:place] + world.messages[place + 1 :])
        yield f"{kind}: is lost", rest
        yield f"{kind}: arrives", arrived(rest, kind, has_cookies, rule)
    if world.is_signed_in and world.visits:
        yield "the browser sends a request from its own site", visited(world, rule)
    if world.in_time:
        yield "a minute passes", world._replace(in_time=False)
        yield "the thief copies the header", world._replace(copied=world.copied | {HEADER})
    yield "the thief copies an access token", world._replace(copied=world.copied | {ACCESS})
    if not world.in_time:
        yield "the thief copies the refresh token", world._replace(copied=world.copied | {REFRESH})
    has_offer = (HEADER in world.copied and world.in_time) or (
        rule.again is Again.UNBOUND and {ACCESS, REFRESH} & world.copied and not world.bound_by
    )
    is_accepted = rule.accepts(refresh=REFRESH in world.copied, access=ACCESS in world.copied)
    if has_offer and is_accepted and not world.bound_by:
        yield "the thief registers a key", world._replace(bound_by=THIEF)


def arrived(rest: World, kind: str, has_cookies: bool, rule: Rule) -> World:
    if kind == SIGNED_IN:
        return _sent(rest._replace(is_signed_in=True), REGISTER, has_cookies)
    if kind == OFFERED:
        return _sent(rest._replace(refused=False), REGISTER, True)
    if kind == DEFERRED:
        return rest._replace(refused=True, was_refused=True)
    if rest.bound_by:
        return rest
    if rule.accepts(refresh=has_cookies, access=has_cookies):
        return rest._replace(bound_by=OWNER)
    # The header has expired, but the browser's own registration was sent at once.
    return _sent(rest, DEFERRED, False)


def visited(world: World, rule: Rule) -> World:
    """Let the browser send a request from its own site, whose response offers the registration again or does not."""
    world = world._replace(visits=world.visits - 1)
    is_offered = rule.again is Again.UNBOUND or (rule.again is Again.REFUSED and world.refused)
    return _sent(world, OFFERED, True) if is_offered and not world.bound_by else world


def _sent(world: World, kind: str, has_cookies: bool) -> World:
    return world._replace(messages=tuple(sorted((*world.messages, (kind, has_cookies)))))


def stays_unbound(world: World, rule: Rule) -> bool:
    """Return whether the browser has been refused, and two requests of its own site do not bind it."""
    if not world.was_refused or not world.refused:
        return False
    for _ in range(2):
        world = visited(world._replace(visits=1), rule)
        while world.messages:
            (kind, has_cookies), *others = world.messages
            world = arrived(world._replace(messages=tuple(others)), kind, has_cookies, rule)
    return world.bound_by != OWNER


def search(rule: Rule) -> Result:
    """Examine all reachable worlds, nearest first, until one is bad."""

    def following(world: World) -> Iterator[tuple[str, World]]:
        yield from successors(world, rule)
        if not world.copied and stays_unbound(world, rule):
            yield UNBOUND, world._replace(bound_by=UNBOUND)

    starts = [start(from_another_site=one) for one in (False, True)]
    return breadth_first(starts, following, lambda world: world.bound_by in {THIEF, UNBOUND})
