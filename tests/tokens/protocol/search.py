"""An exhaustive breadth-first search for a history that ends an honest session.

The search covers one cookie jar with a few messages under way, and every delay, loss, order, crash of the browser and
fail-over of the database. Time is counted in units, `Scale.grace` of which make one grace. Two worlds are treated as
one if no later event can depend on their difference (`Rules.key`): generations are counted relative to the server's,
and ages are cut off where nothing depends on them any more.

Each simplification makes the world harder than the real one. Access tokens never expire. Every tab keeps all tokens
that it received until the browser crashes. A use may acknowledge a moment early, because ``iat`` is rounded down. A
fail-over loses a whole unit of commits. Any number of responses may be lost, because recoveries are never exhausted.
The simulation shows the effect of the limits on recoveries. A refresh that fails because the claims hook does changes
nothing, and so is a request that is lost on its way.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import ClassVar, NamedTuple

from tests.tokens.protocol.model import NEW, OLD, Cookies, Release, changed
from tokens.protocol.rotation import BEGINS_GENERATION, ENDS_SESSION, Decision, Policy, State, begin, decide, recover

REFRESH, ORPHAN, USE, ANSWER, UPLOAD, FIRST, PAGE, ORPHAN_PAGE = range(8)
"""The kinds of messages: a refresh, one whose browser has crashed, a use of an access token, a response, an upload.

An upload is a refresh that arrives late, because a proxy collects its body first. A first request has no token of ours,
only Django's session, in which the access token of the sign-in is: the response carries it. A page is a request with
Django's session, to which the browser sends no refresh token, although it may have one.
"""
CURRENT = 8
"""The number of the server's generation in a key."""
DELETED = 255
"""Stands in a response for a cookie that it deletes."""

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_UNIT = timedelta(seconds=1)


class Scale(NamedTuple):
    """The durations in units, in the proportions of the defaults.

    ``renames``: whether the refresh cookie gets a new name, which some processes write and others do not. ``upload``:
    how long an upload may take. There are none by default, and at most one at a time. ``expired``: whether the access
    token of an upload had expired when it was sent. The browser then presents no token that it gets during the
    upload, because it gets an access token with it that outlives the upload. ``from_django``: whether the session
    begins with first requests, and Django's session stands for the first refresh token until the browser has a newer
    one. ``pages``: whether browsers send the refresh token to the auth API only. The last nine fields break the
    protocol.
    """

    grace: int = 2
    messages: int = 3
    fail_over: int = 1
    renames: bool = False
    upload: int = 0
    expired: bool = False
    from_django: bool = False
    pages: bool = False
    still_time_cut: int = 0
    acknowledged_early: int = 0
    repeat_sends_refresh: bool = False
    other_name_stays: bool = False
    uploads_are_not_late: bool = False
    first_sends_refresh: bool = False
    stands_within_grace: bool = False
    pages_recover: bool = False
    pages_end: bool = False


class Access(NamedTuple):
    generation: int
    iat: int


class Refresh(NamedTuple):
    """The refresh cookies by name. In a response `DELETED` deletes a cookie, and None leaves it as it is."""

    new: int | None
    old: int | None = None

    @classmethod
    def of(cls, cookies: Cookies, absent: int | None = None) -> "Refresh":
        return cls(*(absent if name in cookies and cookies[name] is None else cookies.get(name) for name in (NEW, OLD)))

    @property
    def cookies(self) -> Cookies:
        found = {NEW: self.new, OLD: self.old}
        return {name: None if token == DELETED else token for name, token in found.items() if token is not None}

    @property
    def tokens(self) -> list[int]:
        return [token for token in self if token not in {None, DELETED}]


class Jar(NamedTuple):
    """``accesses``: the oldest access token of each generation. A newer one cannot acknowledge it sooner."""

    refresh: Refresh
    accesses: tuple[Access, ...]


class Message(NamedTuple):
    """``sent``: when the request was sent. A refresh carries no access token, a use no refresh token."""

    kind: int
    sent: int
    refresh: Refresh | None
    access: Access | None


class World(NamedTuple):
    """``commits``: the commits that a fail-over may lose, as (when, the row before).

    ``before``: the jars that a crash may restore, newest first, as (when replaced, jar).
    """

    now: int
    row: State
    commits: tuple[tuple[int, State], ...]
    jar: Jar
    before: tuple[tuple[int, Jar], ...]
    messages: tuple[Message, ...]


Successor = tuple[str, World | None]
"""The event, and the world after it. None: the event ended the session."""


class Rules:
    """Computes what can happen next in a world. ``orphans``: what a request is after its browser has crashed."""

    orphans: ClassVar = {REFRESH: ORPHAN, PAGE: ORPHAN_PAGE}

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self.request_life = scale.grace // 2
        self.saved_within = scale.grace
        self.still = 3 * scale.grace - scale.still_time_cut
        self.acknowledge = 3 * scale.grace - scale.acknowledged_early
        self.releases = (Release.WRITES_NEW, Release.WRITES_OLD) if scale.renames else (Release.WRITES_NEW,)
        self.oldest = self.still  # No later event depends on a greater age of a generation.
        self.policy = Policy(scale.grace * _UNIT, self.still * _UNIT, max_recoveries=1_000_000)

    def start(self) -> World:
        """Return the world some time after the login, when the browser has saved its cookies.

        If the session begins with first requests, it is the world just after the login.
        """
        if self.scale.from_django:
            return World(0, State(0, _EPOCH), (), Jar(Refresh(None), ()), (), ())
        return World(self.acknowledge, State(0, _EPOCH), (), Jar(Refresh(0), (Access(0, 0),)), (), ())

    def successors(self, world: World) -> Iterator[Successor]:
        for step, after in self._steps(world):
            if after is not None and any(message.kind == USE for message in after.messages):
                # A use that cannot acknowledge anything any more makes no difference.
                lowest = _lowest(after)
                left = (m for m in after.messages if m.kind != USE or m.access is None or m.access.generation >= lowest)
                after = after._replace(messages=tuple(left))
            yield step, after

    def _steps(self, world: World) -> Iterator[Successor]:
        now, messages = world.now, world.messages
        if all(now < message.sent + self._life(message) for message in messages):
            commits = tuple(commit for commit in world.commits if now < commit[0] + self.scale.fail_over)
            before = tuple(old for old in world.before if now < old[0] + self.saved_within)
            yield "a unit of time passes", world._replace(now=now + 1, commits=commits, before=before)
        if len(messages) < self.scale.messages:
            for request in self._requests(world):
                yield f"send {_name(request)}", world._replace(messages=(*messages, request))
        for index, message in enumerate(messages):
            if message in messages[:index]:
                continue  # It makes no difference which of two equal messages is next.
            rest = world._replace(messages=messages[:index] + messages[index + 1 :])
            yield f"lose {_name(message)}", rest
            yield from self._arrived(rest, message)
        yield from self._crashed(world)
        for index, (_, row) in enumerate(world.commits):
            yield f"fail-over to {row.generation}", world._replace(row=row, commits=world.commits[:index])

    def _requests(self, world: World) -> Iterator[Message]:
        if world.jar.refresh.new is None and self.scale.from_django:
            # Django's session stands for the refresh token until there is one.
            yield Message(FIRST, world.now, None, None)
            if world.jar.accesses:
                yield from self._refreshes(world, Refresh(0))
                yield from self._uses(world)
            return
        has_access = any(m.kind == UPLOAD and m.refresh != world.jar.refresh for m in world.messages)
        if not (self.scale.expired and has_access):
            yield from self._refreshes(world, world.jar.refresh)
        yield from self._uses(world)

    def _refreshes(self, world: World, refresh: Refresh) -> Iterator[Message]:
        yield Message(REFRESH, world.now, refresh, None)
        if self.scale.upload and all(message.kind != UPLOAD for message in world.messages):
            yield Message(UPLOAD, world.now, refresh, None)
        if self.scale.pages and world.row.generation <= 2:  # Later on no page is answered.
            yield Message(PAGE, world.now, Refresh(0), None)

    def _uses(self, world: World) -> Iterator[Message]:
        for access in world.jar.accesses:
            # A use that arrives too early to acknowledge anything makes no difference.
            if world.now + self.request_life >= access.iat + self.acknowledge:
                yield Message(USE, world.now, None, access)

    def _life(self, message: Message) -> int:
        return self.scale.upload if message.kind == UPLOAD else self.request_life

    def _arrived(self, rest: World, message: Message) -> Iterator[Successor]:
        if message.kind == USE and message.access is not None:
            generation, iat = message.access
            if generation == rest.row.generation and rest.now >= iat + self.acknowledge:
                yield f"acknowledge {generation}", rest._replace(row=replace(rest.row, acknowledged=True))
        elif message.kind == FIRST:
            refresh = Refresh(0) if self.scale.first_sends_refresh else None
            answer = Message(ANSWER, message.sent, refresh, Access(0, 0))
            yield "hand over", rest._replace(messages=(*rest.messages, answer))
        elif message.kind == ANSWER and message.access is not None:
            refresh = rest.jar.refresh
            if message.refresh is not None:
                refresh = Refresh.of(changed(refresh.cookies, message.refresh.cookies))
            oldest = {
                access.generation: access for access in sorted((message.access, *rest.jar.accesses), reverse=True)
            }
            jar = Jar(refresh, tuple(oldest.values()))
            yield f"receive {_name(message)}", rest._replace(jar=jar, before=((rest.now, rest.jar), *rest.before))
            if (
                message.refresh is not None
                and self._decide(rest, message.refresh.tokens[0], message) is not Decision.REPEAT
            ):
                # A server-side renderer has the token before the browser and uses it. A repeat would only delay it.
                for release in self.releases:
                    yield self._presented(rest, message, release, message.refresh)
        elif message.refresh is not None:
            for release in self.releases:
                yield self._presented(rest, message, release, Refresh(None))

    def _decide(self, world: World, presented: int, message: Message) -> Decision:
        late = message.kind == UPLOAD and world.now > message.sent + self.request_life
        late &= not self.scale.uploads_are_not_late
        under_way = (world.now - message.sent) * _UNIT if late else timedelta()
        late &= not self.scale.expired
        now = _EPOCH + world.now * _UNIT
        return decide(world.row, presented, now, self.policy, late=late, under_way=under_way)

    def _presented(self, rest: World, message: Message, release: Release, held: Refresh) -> Successor:
        """Return the world after a request with the cookies of a message. ``held``: changes that a renderer has."""
        cookies = changed({}, message.refresh.cookies) if message.refresh else {}
        presented = release.presented(cookies)
        if presented is None:
            return "no refresh token is presented", None
        row, now = rest.row, _EPOCH + rest.now * _UNIT
        decision = self._decide(rest, presented, message)
        step = f"{presented} is {decision.value}"
        if self.scale.stands_within_grace and presented == 0 < row.generation and decision is not Decision.REPEAT:
            return "Django's session stands for no refresh token any more", None
        is_page = message.kind in {PAGE, ORPHAN_PAGE}
        if decision is Decision.LATE or (is_page and self._is_anonymous(decision)):
            return step, rest
        if decision in ENDS_SESSION:
            return step, None
        commits = rest.commits
        if decision in BEGINS_GENERATION:
            commits = (*commits, (rest.now, row))
            row = begin(row, row.generation + 1 if decision is Decision.ROTATE else presented, now)
        elif decision is Decision.RECOVER:
            commits = ()  # a recovery waits for disk and standby, and so for all commits before it
            row = recover(row, now)
        there_already = decision is Decision.REPEAT and presented == row.generation
        changes = release.changes(
            cookies, None if there_already and not self.scale.repeat_sends_refresh else row.generation
        )
        if self.scale.other_name_stays:
            changes = {name: token for name, token in changes.items() if token is not None}
        changes = held.cookies | changes
        refresh = Refresh.of(changes, DELETED) if changes else None
        # The response to an upload comes at once, so that all of its time is on the way there.
        sent = rest.now - self.request_life if message.kind == UPLOAD else message.sent
        answer = Message(ANSWER, sent, refresh, Access(row.generation, rest.now))
        messages = rest.messages if message.kind in {ORPHAN, ORPHAN_PAGE} else (*rest.messages, answer)
        return step, rest._replace(row=row, commits=commits, messages=messages)

    def _forced(self, rest: World, message: Message, *, is_orphan: bool) -> World:
        """Return the world after a request that begins the next generation, whatever the protocol decides."""
        row = begin(rest.row, rest.row.generation + 1, _EPOCH + rest.now * _UNIT)
        answer = Message(ANSWER, message.sent, Refresh(row.generation), Access(row.generation, rest.now))
        return rest._replace(row=row, messages=rest.messages if is_orphan else (*rest.messages, answer))

    def _is_anonymous(self, decision: Decision) -> bool:
        """Return whether a page gets no tokens. The browser may have a newer refresh token, which it has not sent."""
        if decision is Decision.RECOVER:
            return not self.scale.pages_recover
        return decision in ENDS_SESSION and not self.scale.pages_end

    def _crashed(self, world: World) -> Iterator[Successor]:
        left = tuple(
            message._replace(kind=self.orphans.get(message.kind, message.kind))
            for message in world.messages
            if message.kind not in {ANSWER, UPLOAD, FIRST}  # The proxy does not forward a part of a body.
        )
        for _, jar in ((world.now, world.jar), *world.before):
            yield f"crash, back to {jar.refresh.tokens}", world._replace(jar=jar, before=(), messages=left)

    def key(self, world: World) -> bytes:
        """Return all that can matter later, in a few dozen bytes, because millions of worlds must fit into memory."""
        now, to_key = world.now, CURRENT - world.row.generation
        relative = now, to_key, _lowest(world), self.acknowledge
        current = _key_of_jar(world.jar, *relative)
        before: dict[tuple[int, ...], int] = {}
        for replaced, jar in world.before:
            before.setdefault(_key_of_jar(jar, *relative), now - replaced)
        before.pop(current, None)
        key = [*_key_of_row(world.row, now, to_key, self.oldest), len(world.commits), len(before), len(current)]
        key += current
        for when, row in world.commits:
            key += (now - when, *_key_of_row(row, now, to_key, self.oldest))
        for content, age in sorted(before.items()) if before else ():
            key += (age, len(content), *content)
        for message in sorted([_key_of_message(message, *relative) for message in world.messages]):
            key += message
        return bytes(key)


# The parts of a key. The same jars and messages come in many worlds.


def _key_of_row(row: State, now: int, to_key: int, oldest: int) -> tuple[int, ...]:
    age = min(now - (row.since - _EPOCH) // _UNIT, oldest)
    return row.generation + to_key, age, row.acknowledged, row.generation == 0


@lru_cache(maxsize=1 << 16)
def _key_of_jar(jar: Jar, now: int, to_key: int, lowest: int, acknowledge: int) -> tuple[int, ...]:
    accesses = [_key_of_access(access, now, to_key, lowest, acknowledge) for access in jar.accesses]
    return *_key_of_refresh(jar.refresh, to_key), *(n for access in accesses for n in access if n)


@lru_cache(maxsize=1 << 16)
def _key_of_message(message: Message, now: int, to_key: int, lowest: int, acknowledge: int) -> tuple[int, ...]:
    kind, sent, refresh, access = message
    of_access = _key_of_access(access, now, to_key, lowest, acknowledge) if access else (0, 0)
    return kind, now - sent, *_key_of_refresh(refresh or Refresh(None), to_key), *of_access


def _key_of_access(access: Access, now: int, to_key: int, lowest: int, acknowledge: int) -> tuple[int, int]:
    matters = access.generation >= lowest
    return (access.generation + to_key, min(now - access.iat, acknowledge)) if matters else (0, 0)


def _key_of_refresh(refresh: Refresh, to_key: int) -> tuple[int, ...]:
    return tuple(0 if n is None else n if n == DELETED else max(n + to_key, 1) for n in refresh)


def _lowest(world: World) -> int:
    """Return the first generation whose acknowledgement would change anything, now or after a fail-over."""
    return min(row.generation + row.acknowledged for row in (world.row, *(row for _, row in world.commits)))


class Result(NamedTuple):
    """``left``: the number of worlds that were found but not examined. Zero: the search was exhaustive."""

    worlds: int
    left: int
    history: list[str] | None


def search(scale: Scale, worlds: int, rules: Rules | None = None) -> Result:
    """Examine all reachable worlds, nearest first, until so many are known or an honest session has ended."""
    rules = rules or Rules(scale)
    start = rules.start()
    came_from: dict[bytes, bytes | None] = {rules.key(start): None}
    todo = deque([(rules.key(start), start)])
    while todo and len(came_from) < worlds:
        key, world = todo.popleft()
        for step, successor in rules.successors(world):
            if successor is None:
                return Result(len(came_from), len(todo), [*_history(rules, came_from, key), step])
            successor_key = rules.key(successor)
            if successor_key not in came_from:
                came_from[successor_key] = key
                todo.append((successor_key, successor))
    return Result(len(came_from), len(todo), None)


def _history(rules: Rules, came_from: dict[bytes, bytes | None], last: bytes) -> list[str]:
    keys = [last]
    while (key := came_from[keys[-1]]) is not None:
        keys.append(key)
    world, history = rules.start(), []
    for key in reversed(keys[:-1]):
        step, world = next(
            (step, to) for step, to in rules.successors(world) if to is not None and rules.key(to) == key
        )
        history.append(step)
    return history


@lru_cache(maxsize=1 << 12)
def _name(message: Message) -> str:
    access = "" if message.access is None else f"access token {message.access.generation}"
    refresh = "" if message.refresh is None else f"refresh token {message.refresh.tokens}"
    return " and ".join(filter(None, (refresh, access)))
