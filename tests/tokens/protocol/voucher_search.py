"""An exhaustive breadth-first search for a history in which a thief changes an account by a session with a key.

A session that is bound to its device has no refresh token, so that something else has to show that a change of the
account comes from the user's browser. `Rule` says what it is.

The search covers one session. Time passes in steps, and an access token is valid for `LIFETIME` steps. If it has
expired, the browser refreshes before it sends a request, by its key, and at most once for each request. Each message
can be lost. Two thieves have no key. One sees access tokens, as a service does that verifies them. The other copies all
cookies of the browser once, and may see access tokens too.

A view can issue an access token, too: the user authenticates again, or goes back from an impersonation. It comes
without a voucher. `Views` says how long it is valid. The thieves can do the same.

A history is bad in four cases: the first thief changes the account, the second thief changes it after the access token
that he has copied has expired, a thief has a valid access token after all that came from the browser have expired, or a
user whose messages all arrive is refused.
"""

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from tests.tokens.protocol.in_turns import Result, breadth_first

LAST, LIFETIME = 5, 1
"""The last step of time, and the number of steps for which an access token is valid."""


class Rule(Enum):
    """What a change of the account requires beside a valid access token."""

    TOKEN = "nothing"
    RECENT = "an access token of the same step"
    AFTER = "an access token that is younger than a redirect, which the URL names"
    ASKED = "a voucher that a refresh by the key sets if a redirect has asked for it"
    EACH = "a voucher that each refresh by the key sets, and that is valid for as long as its access token"
    EVER = "a voucher that each refresh by the key sets, and that is valid for as long as the session"
    PASSWORD = "the password, which a user whose browser has a key should not have to give"


class Views(Enum):
    """For how long an access token is valid that a view issues."""

    WHOLE = "for as long as every access token"
    SOON = "for as long as every access token, but the browser signs before its next request"
    CAPPED = "until the access token expires that its request came with"


class Jar(NamedTuple):
    """The browser's cookies: when the access token and the voucher were issued."""

    access: int = 0
    voucher: int | None = None


class World(NamedTuple):
    """``sent``: the cookies that are on their way to the browser. ``redirected``: when the first thief was redirected.

    ``seen``: the youngest access token that a service has seen. ``copy``: what the second thief has copied.
    ``obtained``: the youngest access token that a view has given to a thief.
    """

    now: int = 0
    jar: Jar = Jar()
    sent: Jar | None = None
    redirected: int | None = None
    seen: int | None = None
    copy: Jar | None = None
    obtained: int | None = None
    changed_by: str = ""
    """Who has changed the account, or `REFUSED`."""


OBSERVER, COPIER = "the thief with an access token", "the thief with all cookies"
WITHOUT_KEY = "a thief uses the session without the key"


def stolen(world: World) -> list[int | None]:
    """Return when the access tokens of the thieves were issued."""
    return [world.seen, world.obtained, world.copy and world.copy.access]


def is_valid(issued: int | None, now: int) -> bool:
    return issued is not None and now - issued <= LIFETIME


def accepts(rule: Rule, jar: Jar, redirected: int | None, now: int) -> bool:
    """Return whether the server carries out a change with these cookies. ``redirected``: when the client last was."""
    if not is_valid(jar.access, now):
        return False
    return {
        Rule.TOKEN: True,
        Rule.RECENT: jar.access == now,
        # A token of the same step was issued before a redirect.
        Rule.AFTER: redirected is not None and jar.access > redirected,
        Rule.ASKED: is_valid(jar.voucher, now),
        Rule.EACH: is_valid(jar.voucher, now),
        Rule.EVER: jar.voucher is not None,
        Rule.PASSWORD: False,
    }[rule]


def refreshed(rule: Rule, jar: Jar, now: int) -> Jar:
    """Return the cookies after a refresh by the key that no redirect has asked for."""
    return Jar(now, now if rule in {Rule.EACH, Rule.EVER} else jar.voucher)


def is_carried_out(rule: Rule, jar: Jar, now: int) -> bool:
    """Return whether the user's request for a change is carried out, if all its messages arrive."""
    has_refreshed = not is_valid(jar.access, now)
    if has_refreshed:
        jar = refreshed(rule, jar, now)
    if accepts(rule, jar, None, now):
        return True
    # The redirect deletes the access token. The browser has refreshed for this request already, or it does now.
    return rule in {Rule.AFTER, Rule.ASKED} and not has_refreshed


def successors(world: World, rule: Rule, views: Views) -> Iterator[tuple[str, World]]:
    """Yield what can happen next, and the world after it."""
    now, jar = world.now, world.jar
    if now < LAST:
        yield "time passes", world._replace(now=now + 1)
    if world.sent is None:
        yield "the browser refreshes", world._replace(sent=refreshed(rule, jar, now))
    else:
        yield "the new cookies are lost", world._replace(sent=None)
        yield "the new cookies arrive", world._replace(sent=None, jar=world.sent)
    if jar.access != world.seen:
        yield "a service sees the access token", world._replace(seen=jar.access)
    if world.copy is None:
        yield "the cookies are copied", world._replace(copy=jar)
    if views is Views.WHOLE and is_valid(jar.access, now) and world.sent is None:
        yield "a view issues an access token to the browser", world._replace(jar=jar._replace(access=now))
    if views is not Views.CAPPED and any(is_valid(token, now) for token in stolen(world)):
        yield "a view issues an access token to a thief", world._replace(obtained=now)
    if is_valid(world.obtained, now) and not any(
        is_valid(token, now) for token in stolen(world._replace(obtained=None))
    ):
        yield WITHOUT_KEY, world._replace(changed_by=WITHOUT_KEY)
    if world.seen is not None:
        yield "the thief is redirected", world._replace(redirected=now)
        if accepts(rule, Jar(world.seen), world.redirected, now):
            yield f"{OBSERVER} changes the account", world._replace(changed_by=OBSERVER)
    if world.copy is not None and not is_valid(world.copy.access, now):
        latest = max(world.copy.access, world.seen or 0)
        if accepts(rule, Jar(latest, world.copy.voucher), world.redirected, now):
            yield f"{COPIER} changes the account", world._replace(changed_by=COPIER)


REFUSED = "the user's change is refused"


def search(rule: Rule, views: Views = Views.CAPPED) -> Result:
    """Examine all reachable worlds, nearest first, until one is bad."""

    def is_refused(world: World) -> bool:
        return not is_carried_out(rule, world.jar, world.now)

    def following(world: World) -> Iterator[tuple[str, World]]:
        yield from successors(world, rule, views)
        if is_refused(world):
            yield REFUSED, world._replace(changed_by=REFUSED)

    first = World(jar=refreshed(rule, Jar(), 0))
    return breadth_first([first], following, lambda world: bool(world.changed_by))
