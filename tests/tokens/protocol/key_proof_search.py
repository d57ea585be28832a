"""An exhaustive breadth-first search for a history in which a thief changes an account by a session with a key.

A session that is bound to its device has no refresh token, so that another proof has to show that a change of the
account comes from the user's browser. If a request has none, the server asks for it: it redirects the request to
itself, and the browser signs with its key before it sends the request again. `Rule` says what the proof is.

The search covers one session. Time passes in steps, and a proof is good for `GOOD_FOR` steps. Each message can be lost.
Two thieves have no key. One sees access tokens, as a service does that verifies them, and sends requests of his own at
any time, also between two messages of the user. The other copies all cookies of the browser once.

A history is bad in three cases: a change by the first thief is accepted, a change by the second thief is accepted
although the user did not ask for a change in the steps before, or a user whose messages all arrive is refused.

``python -m tests.tokens.protocol.key_proof_search`` prints what it finds with each rule.
"""

import sys
from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

LAST, GOOD_FOR = 4, 1
"""The last step of time, and the number of steps for which a proof is good."""


class Rule(Enum):
    """What a change of the account requires beside a valid access token."""

    TOKEN = "nothing"
    RECENT = "an access token that was issued just now"
    AFTER = "an access token that is younger than the redirect, which the URL names"
    EACH = "a cookie that each refresh by the key sets"
    ASKED = "a cookie that a refresh by the key sets if the redirect has asked for it by a cookie"
    PASSWORD = "the password, which a user whose browser has a key should not have to give"


class Jar(NamedTuple):
    """The browser's cookies: when the access token and the proof were issued, and when a proof was asked for."""

    access: int | None = 0
    proof: int | None = None
    asked: int | None = None


class World(NamedTuple):
    """``sent``: what is on its way to the browser. ``redirected``: when a redirect was sent to the user, or thief.

    A token of the same step was issued before the thief's. ``seen``: the youngest access token that the first thief
    has. ``copy``: what the second thief has copied. ``wanted``: when the user last asked for a change.
    """

    now: int = 0
    jar: Jar = Jar()
    sent: tuple[str, Jar] | None = None
    redirected: int | None = None
    thiefs_redirect: int | None = None
    seen: int | None = None
    copy: Jar | None = None
    wanted: int | None = None
    accepted: str = ""


REDIRECT, COOKIES = "the redirect", "the new cookies"
OWNER, OBSERVER, COPIER = "the user", "the thief with an access token", "the thief with all cookies"


def is_good(time: int | None, now: int) -> bool:
    return time is not None and now - time <= GOOD_FOR


def accepts(rule: Rule, jar: Jar, redirected: int | None, now: int) -> bool:
    """Return whether the server carries out a change with these cookies."""
    if jar.access is None or rule is Rule.PASSWORD:
        return False
    if rule is Rule.RECENT:
        return is_good(jar.access, now)
    if rule is Rule.AFTER:
        return redirected is not None and is_good(redirected, now) and jar.access >= redirected
    return rule is Rule.TOKEN or is_good(jar.proof, now)


def refreshed(rule: Rule, jar: Jar, now: int) -> Jar:
    """Return the cookies that a refresh by the key sets."""
    is_proven = rule is Rule.EACH or (rule is Rule.ASKED and jar.asked == now)
    return Jar(now, now if is_proven else jar.proof)


def successors(world: World, rule: Rule) -> Iterator[tuple[str, World]]:
    """Yield what can happen next, and the world after it."""
    now, jar = world.now, world.jar
    if world.now < LAST:
        yield "time passes", world._replace(now=now + 1)
    if world.sent:
        kind, cookies = world.sent
        yield f"{kind} is lost", world._replace(sent=None)
        if kind == COOKIES:
            yield f"{kind} arrive", world._replace(sent=None, jar=cookies)
        else:
            yield f"{kind} arrives", _refreshes(obeyed(world), rule)
    else:
        yield "the access token expires, and the browser refreshes", _refreshes(world, rule)
        if jar.access is not None:
            yield "the user asks for a change", asked(world._replace(wanted=now), rule)
    if jar.access is not None and jar.access != world.seen:
        yield "a service sees the access token", world._replace(seen=jar.access)
    if world.copy is None:
        yield "the cookies are copied", world._replace(copy=jar)
    if world.seen is not None:
        forged = Jar(world.seen, None, now)
        if accepts(rule, forged, world.thiefs_redirect, now):
            yield "the thief with an access token changes the account", world._replace(accepted=OBSERVER)
        else:
            yield "the thief with an access token is redirected", world._replace(thiefs_redirect=now + 1)
    # A copy that is good because the user has just made a change of the account is the price of not asking twice.
    if world.copy and not is_good(world.wanted, now) and accepts(rule, world.copy, world.thiefs_redirect, now):
        yield "the thief with all cookies changes the account", world._replace(accepted=COPIER)


def asked(world: World, rule: Rule) -> World:
    """Let the server answer the user's request for a change."""
    if accepts(rule, world.jar, world.redirected, world.now):
        return world._replace(accepted=OWNER)
    return world._replace(redirected=world.now, sent=(REDIRECT, world.jar))


def obeyed(world: World) -> World:
    """Let the browser obey the redirect, which deletes the access token and asks for a proof."""
    return world._replace(jar=world.jar._replace(access=None, asked=world.now), wanted=world.now)


def _refreshes(world: World, rule: Rule) -> World:
    return world._replace(sent=(COOKIES, refreshed(rule, world.jar, world.now)))


def is_refused(world: World, rule: Rule) -> bool:
    """Return whether a user whose messages all arrive asks for a change and is refused twice."""
    if world.sent is None and world.jar.access is not None:
        for _ in range(2):
            world = asked(world, rule)
            if world.accepted:
                return False
            world = _refreshes(obeyed(world), rule)
            assert world.sent
            world = world._replace(jar=world.sent[1], sent=None)
        return not asked(world, rule).accepted
    return False


class Result(NamedTuple):
    worlds: int
    history: list[str] | None


REFUSED = "the user's change is refused"


def search(rule: Rule) -> Result:
    """Examine all reachable worlds, nearest first, until one is bad."""
    came_from: dict[World, tuple[str, World] | None] = {World(): None}
    todo = deque(came_from)
    while todo:
        world = todo.popleft()
        if world.accepted in {OBSERVER, COPIER} or (refused := is_refused(world, rule)):
            history = [REFUSED] if not world.accepted and refused else []
            while (before := came_from[world]) is not None:
                step, world = before
                history.append(step)
            return Result(len(came_from), history[::-1])
        if world.accepted:
            world = world._replace(accepted="")
        for step, after in successors(world, rule):
            if after not in came_from:
                came_from[after] = step, world
                todo.append(after)
    return Result(len(came_from), None)


def main() -> None:
    for rule in Rule:
        worlds, history = search(rule)
        sys.stdout.write(f"requires {rule.value}: {worlds:,} worlds, {history or 'no bad history'}\n")


if __name__ == "__main__":
    main()
