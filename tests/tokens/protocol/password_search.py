"""An exhaustive breadth-first search for a history in which a change of the password ends too much, or too little.

One user has two honest browsers. An attacker knows the first password. A trigger notes each change of the user, and
each of two processes reads the notes at any later time. Sign-ins with and without a rehash, changes of the password,
deactivations, refreshes and fail-overs interleave in every order. Each transaction is one step, because all of them
lock the user's row, or update it in one statement.

The decisions need rows, so the model has its own copies of them. Each copy names its original. Hashes stand for their
digests. `test_password_search` compares `same_password` with `tokens.service.auth_hash.is_same_password`.

In one way the model is harder than the real world: every sign-in may rehash, as in a deployment whose processes prefer
different hashers. In these ways it is easier:

- The numbers are limited (`Scale`).
- The response to a change of the password arrives. If a view of Django's saved the password, and a process has ended
  the session before the view's request was finished, the browser needs that response to stay signed in.
- The rejection of a parallel refresh of this browser arrives before it (`Rules.rejections_arrive_in_order`).
- A fail-over loses refreshes only, because on PostgreSQL every other commit waits for disk and standby.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from tests.tokens.protocol.in_turns import broken_by

ELSEWHERE = -1
"""The place of a sign-in in neither of the two browsers: that of the attacker, or of the owner."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the code does. Without one of them, the search finds a history that breaks a promise.

    The last one is an assumption about the network.
    """

    announces_rehashes: bool = True
    writes_only_over_the_verified_hash: bool = True
    decides_from_the_rows: bool = True
    replaces_an_ended_session: bool = True
    replaces_it_in_the_same_transaction: bool = True
    compares_at_opening: bool = True
    follows_a_rehash_of_the_new_password: bool = True
    rejections_arrive_in_order: bool = True


class Scale(NamedTuple):
    """How many there are in one history: new passwords, rehashes, and deactivations.

    ``requests`` are under way at the same time. ``others`` are live at the same time in the cookies of neither browser.
    """

    passwords: int = 2
    rehashes: int = 2
    deactivations: int = 1
    requests: int = 2
    others: int = 1
    fail_overs: bool = True
    processes: int = 2


MUTATED = Scale(deactivations=0, fail_overs=False, processes=1)
"""The scale in which each broken rule has a history."""


class Hash(NamedTuple):
    """A password hash: the password, and a number. Two hashes of one password differ in their salts.

    A session holds one in the place of its digest.
    """

    password: int
    number: int


NO_HASH = Hash(-1, 0)


class Session(NamedTuple):
    """``proven``: the password that was given in it last. ``saved``: what a fail-over makes of ``held``."""

    held: Hash
    proven: int
    saved: Hash

    @classmethod
    def opened(cls, held: Hash, proven: int) -> "Session":
        return cls(held, proven, held)


class Browser(NamedTuple):
    """``session`` is that of its cookies, or None. ``ended``: why it has ended, or empty.

    ``late``: whether a response is under way that deletes the cookies.
    """

    session: Session | None
    ended: str = ""
    late: bool = False

    @property
    def live(self) -> bool:
        return self.session is not None and not self.ended


class Phase(IntEnum):
    """What a request does next."""

    ANNOUNCE, WRITE, READ_BACK, OPEN, FOLLOW, REPLACE = range(6)


class Request(NamedTuple):
    """A sign-in, or the rest of a change by a view of Django's. ``place``: of the browser.

    ``user``: the hash in the object that has been read and verified. ``new``: the one that is to replace it.
    """

    phase: Phase
    place: int
    user: Hash
    new: Hash = NO_HASH


class Process(NamedTuple):
    """``noted``: whether there are notes that it has not read. ``found``: whether it is about to end sessions."""

    noted: bool = False
    found: bool = False


class World(NamedTuple):
    """``rehashes``: the pairs in the rows of `Rehash`. ``others``: the live sessions of no browser's cookies.

    ``passwords`` and ``hashes`` count what there has been so far. ``broken``: the promise that was broken.
    """

    stored: Hash = Hash(0, 0)
    is_active: bool = True
    rehashes: frozenset[tuple[Hash, Hash]] = frozenset()
    browsers: tuple[Browser, ...] = (Browser(Session.opened(Hash(0, 0), 0)),) * 2
    others: tuple[Session, ...] = ()
    requests: tuple[Request, ...] = ()
    processes: tuple[Process, ...] = ()
    passwords: int = 0
    hashes: int = 0
    deactivations: int = 0
    broken: str = ""


Outdated = Callable[[World, Session], str]
Successor = tuple[str, World | str]
"""The event, and the world after it, or the promise that it breaks, within this module."""

SIGNED_OUT = "an honest session ends although its password is the user's"
REFUSED = "a sign-in with the user's password is refused"
LOST = "the browser that has changed the password is signed out"
LEFT = "a session is left although its password is not the user's, or the user is not active"
UNDONE = "a rehash undoes a new password"

CHANGED, DISABLED = "password_changed", "user_disabled"


@lru_cache(maxsize=1 << 16)
def same_password(held: Hash, stored: Hash, rehashes: frozenset[tuple[Hash, Hash]]) -> bool:
    """Return whether a digest belongs to the user's password: `tokens.service.auth_hash.is_same_password`."""
    valid = {stored}
    while found := {old for old, new in rehashes if new in valid} - valid:
        valid |= found
    return held in valid


class Search:
    """Computes what can happen next in a world."""

    def __init__(self, scale: Scale, rules: Rules) -> None:
        self.scale, self.rules = scale, rules

    def successors(self, world: World) -> Iterator[tuple[str, World]]:
        """Yield each event, and the world after it."""
        for event, after in self._events(world):
            if isinstance(after, str):
                yield event, world._replace(broken=after)
            else:
                yield event, after._replace(broken=LEFT) if _is_left(after) else _sorted(after)

    def _events(self, world: World) -> Iterator[Successor]:
        for index, process in enumerate(world.processes):
            if process.found:
                yield "a process ends the outdated sessions", self._decided(world, index)
            elif process.noted:
                yield "a process reads the notes", self._read(world, index)
        if len(world.requests) < self.scale.requests:
            yield from self._begun(world)
        for index, request in enumerate(world.requests):
            left = world.requests[:index] + world.requests[index + 1 :]
            yield from self._continued(world._replace(requests=left), request)
        yield from self._changed_elsewhere(world)
        for place, browser in enumerate(world.browsers):
            yield from self._used(world, place, browser)
        for session in world.others:
            yield "a session elsewhere is refreshed", self._refreshed_elsewhere(world, session)
        if self.scale.fail_overs and (lost := _failed_over(world)):
            yield "the last refreshes are lost in a fail-over", lost

    # What the processes do: `tokens.service.user_changes.end_outdated`.

    def _read(self, world: World, index: int) -> World:
        """Read the notes, and look without a lock whether a session is to be ended."""
        sessions = [browser.session for browser in world.browsers if browser.live]
        found = any(session and self._noted_as_outdated(world, session) for session in (*sessions, *world.others))
        return _with_process(world, index, Process(found=found))

    def _decided(self, world: World, index: int) -> World | str:
        process = world.processes[index]
        return self._ended(_with_process(world, index, process._replace(found=False)), self._noted_as_outdated)

    def _ended(self, world: World, outdated: Outdated, *, but: int = ELSEWHERE) -> World | str:
        """End the outdated sessions under the user's lock, but not that of the browser ``but``."""
        browsers = list(world.browsers)
        for place, browser in enumerate(browsers):
            if browser.session and browser.live and place != but and (why := outdated(world, browser.session)):
                if why == CHANGED and browser.session.proven == world.stored.password:
                    return SIGNED_OUT
                browsers[place] = browser._replace(ended=why)
        others = tuple(session for session in world.others if not outdated(world, session))
        ended = {session.proven for session in set(world.others) - set(others)}
        if world.is_active and world.stored.password in ended:
            return SIGNED_OUT
        return _saved(world._replace(browsers=tuple(browsers), others=others))

    def _noted_as_outdated(self, world: World, session: Session) -> str:
        return _outdated(world, session) if self.rules.decides_from_the_rows else CHANGED

    # What requests do.

    def _begun(self, world: World) -> Iterator[Successor]:
        if world.is_active:
            may_rehash = world.hashes < self.scale.rehashes
            # The owner signs in again in a browser that has lost its session. Elsewhere it may be the attacker.
            places = [place for place, browser in enumerate(world.browsers) if not browser.live and not browser.late]
            for place in (*places, ELSEWHERE):
                if place == ELSEWHERE and len(world.others) == self.scale.others:
                    continue
                yield "verify a password", _with_request(world, Request(Phase.OPEN, place, world.stored))
                if may_rehash:
                    more, new = _hashed(world)
                    yield (
                        "verify a password, and hash it anew",
                        _with_request(more, Request(Phase.ANNOUNCE, place, world.stored, new)),
                    )
        if world.passwords == self.scale.passwords:
            return
        for place, browser in enumerate(world.browsers):
            is_busy = any(request.place == place for request in world.requests)
            if browser.session is None or browser.ended == DISABLED or not world.is_active or is_busy:
                continue
            # An access token outlives its session, so the view runs. The owner gives it the current password.
            after = _new_password(world)
            request = Request(Phase.FOLLOW, place, after.stored)
            yield "a view of Django's saves a new password", _saved(_with_request(after, request))
            if browser.live and not _outdated(world, browser.session):
                yield "change the password under the lock", self._changed_account(world, place)

    def _changed_account(self, world: World, place: int) -> World:
        """Change the password in one transaction: `change_account`, `tokens.sessions.revoke_others`."""
        world = _new_password(world)
        browsers = [browser._replace(ended=CHANGED) if browser.live else browser for browser in world.browsers]
        browsers[place] = Browser(Session.opened(world.stored, world.stored.password), late=browsers[place].late)
        return _saved(world._replace(browsers=tuple(browsers), others=()))

    def _continued(self, rest: World, request: Request) -> Iterator[Successor]:
        phase, place, user, new = request
        if phase == Phase.ANNOUNCE:
            # `tokens.web.receivers.announce_rehash`
            if self.rules.writes_only_over_the_verified_hash and rest.stored != user:
                yield "find another hash than the verified one", _with_request(rest, request._replace(phase=Phase.OPEN))
                return
            if self.rules.announces_rehashes:
                rest = rest._replace(rehashes=rest.rehashes | {(rest.stored, new)})
            yield "announce the rehash", _saved(_with_request(rest, request._replace(phase=Phase.WRITE)))
        elif phase == Phase.WRITE:
            if rest.stored == user or not self.rules.writes_only_over_the_verified_hash:
                if rest.stored.password != new.password:
                    yield "write the rehash", UNDONE
                    return
                rest = _noted(_saved(rest._replace(stored=new)))
            yield "write the rehash, or not", _with_request(rest, request._replace(phase=Phase.READ_BACK))
        elif phase == Phase.READ_BACK:
            # `tokens.web.receivers.follow_user`
            read = new if rest.stored == new else user
            yield "read the hash back", _with_request(rest, Request(Phase.OPEN, place, read))
        elif phase == Phase.OPEN:
            yield "open a session, or not", self._opened(rest, place, user)
        elif phase == Phase.FOLLOW:
            yield from self._followed(rest, place, user)
        elif phase == Phase.REPLACE:
            yield "replace the session in another transaction", self._opened(rest, place, rest.stored, proven=user)

    def _opened(self, rest: World, place: int, user: Hash, *, proven: Hash | None = None) -> World | str:
        """Open a session: `tokens.service.opening.open_session`, `tokens.service.users.lock_authenticated`."""
        same = same_password(user, rest.stored, rest.rehashes) or not self.rules.compares_at_opening
        if not rest.is_active or not same:
            return REFUSED if rest.is_active and user.password == rest.stored.password else rest
        session = Session.opened(rest.stored, (proven or user).password)
        if place == ELSEWHERE:
            return _saved(rest._replace(others=(*rest.others, session)))
        browser = rest.browsers[place]
        others = rest.others
        if browser.session and browser.live:
            others = (*others, browser.session)
        return _saved(_with_browser(rest._replace(others=others), place, Browser(session, late=browser.late)))

    def _followed(self, rest: World, place: int, new: Hash) -> Iterator[Successor]:
        """Keep or replace the session after a view: `tokens.service.user_changes.follow_password_change`."""
        event, browser = "follow the change", rest.browsers[place]
        rehashes = rest.rehashes if self.rules.follows_a_rehash_of_the_new_password else frozenset()
        if not rest.is_active or browser.ended == DISABLED or not same_password(new, rest.stored, rehashes):
            is_lost = rest.is_active and browser.ended != DISABLED and new.password == rest.stored.password
            yield event, LOST if is_lost else rest
            return
        if browser.session is None or browser.session.held == rest.stored:
            yield event, rest
            return
        after = self._ended(rest, _outdated, but=place)
        if isinstance(after, str):
            yield event, after
        elif browser.live:
            kept = browser._replace(session=Session.opened(rest.stored, rest.stored.password))
            yield event, _with_browser(after, place, kept)
        elif not self.rules.replaces_an_ended_session:
            yield event, LOST
        elif self.rules.replaces_it_in_the_same_transaction:
            yield event, self._opened(after, place, rest.stored)
        else:
            yield event, _with_request(after, Request(Phase.REPLACE, place, rest.stored))

    # What others do, and what the browsers do.

    def _changed_elsewhere(self, world: World) -> Iterator[Successor]:
        if world.passwords < self.scale.passwords:
            yield "staff or SQL writes a new password", _saved(_new_password(world))
        if world.is_active and world.deactivations < self.scale.deactivations:
            after = world._replace(is_active=False, deactivations=world.deactivations + 1)
            yield "the user is deactivated", _saved(_noted(after))
        if not world.is_active:
            yield "the user is activated", _saved(world._replace(is_active=True))

    def _used(self, world: World, place: int, browser: Browser) -> Iterator[Successor]:
        if browser.late:
            after = _with_browser(world, place, Browser(None))
            is_lost = browser.session and browser.live and browser.session.proven == world.stored.password
            yield "a late response deletes the cookies", LOST if is_lost and world.is_active else after
        if browser.session is None:
            return
        if not browser.live:
            yield "a refresh is refused", self._refused(world, place, browser)
        elif why := _outdated(world, browser.session):
            if why == CHANGED and browser.session.proven == world.stored.password:
                yield "a refresh ends the session", SIGNED_OUT
                return
            yield "a refresh ends the session", _saved(self._refused(world, place, browser._replace(ended=why)))
        else:
            kept = browser._replace(session=self._renewed(world, browser.session))
            yield "refresh", _with_browser(world, place, kept)

    def _renewed(self, world: World, session: Session) -> Session:
        """Return the session with the digest of the user's hash. The commit waits for nothing."""
        return Session(world.stored, session.proven, session.saved if self.scale.fail_overs else world.stored)

    def _refused(self, world: World, place: int, browser: Browser) -> World:
        """Delete the cookies of a browser, unless a response that comes after this one may set them again."""
        if any(request.place == place and request.phase >= Phase.FOLLOW for request in world.requests):
            is_late = not self.rules.rejections_arrive_in_order
            return _with_browser(world, place, browser._replace(late=is_late))
        return _with_browser(world, place, Browser(None))

    def _refreshed_elsewhere(self, world: World, session: Session) -> World | str:
        others = list(world.others)
        others.remove(session)
        if why := _outdated(world, session):
            is_honest = why == CHANGED and session.proven == world.stored.password
            return SIGNED_OUT if is_honest else _saved(world._replace(others=tuple(others)))
        return world._replace(others=(*others, self._renewed(world, session)))


def _outdated(world: World, session: Session) -> str:
    """Return why a session is not valid any more, or an empty string: `tokens.service.user_changes._outdated`."""
    if not world.is_active:
        return DISABLED
    return "" if same_password(session.held, world.stored, world.rehashes) else CHANGED


def _is_left(world: World) -> bool:
    """Return whether all notes are read, and yet a session is live that should not be."""
    if any(process.noted or process.found for process in world.processes):
        return False
    sessions = [browser.session for browser in world.browsers if browser.live]
    live = [session for session in (*sessions, *world.others) if session]
    return any(session.proven != world.stored.password or not world.is_active for session in live)


def _new_password(world: World) -> World:
    password = world.passwords + 1
    return _noted(world._replace(stored=Hash(password, 0), passwords=password))


def _hashed(world: World) -> tuple[World, Hash]:
    return world._replace(hashes=world.hashes + 1), Hash(world.stored.password, world.hashes + 1)


def _noted(world: World) -> World:
    return world._replace(processes=tuple(process._replace(noted=True) for process in world.processes))


def _saved(world: World) -> World:
    """Return the world after a commit that waits for disk and standby, and so for all commits before it."""
    return _with_all(world, lambda session: session._replace(saved=session.held))


def _failed_over(world: World) -> World | None:
    """Return the world without the last refreshes, or None if there are none."""
    after = _with_all(world, lambda session: session._replace(held=session.saved))
    return None if after is world else after


def _with_all(world: World, change: Callable[[Session], Session]) -> World:
    """Return the world with a change of the sessions that a fail-over would change, or the same object."""
    sessions = [browser.session for browser in world.browsers]
    if all(session is None or session.held == session.saved for session in (*sessions, *world.others)):
        return world
    browsers = tuple(one._replace(session=one.session and change(one.session)) for one in world.browsers)
    return world._replace(browsers=browsers, others=tuple(map(change, world.others)))


def _with_process(world: World, index: int, process: Process) -> World:
    return world._replace(processes=(*world.processes[:index], process, *world.processes[index + 1 :]))


def _with_request(world: World, request: Request) -> World:
    return world._replace(requests=(*world.requests, request))


def _with_browser(world: World, place: int, browser: Browser) -> World:
    return world._replace(browsers=(*world.browsers[:place], browser, *world.browsers[place + 1 :]))


def _sorted(world: World) -> World:
    """Return one of the worlds that differ only in the order of things."""
    return world._replace(
        others=tuple(sorted(set(world.others))),
        requests=tuple(sorted(world.requests)),
        processes=tuple(sorted(world.processes)),
    )


def search(scale: Scale, rules: Rules) -> tuple[int, list[str] | None, str]:
    """Search for a history that breaks a promise. Return the number of worlds, the history, and the promise."""
    start = World(processes=(Process(),) * scale.processes)
    return broken_by(start, Search(scale, rules).successors, goes_on=lambda world: True)
