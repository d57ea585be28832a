"""A model of the rotation protocol: a server, a browser, an attacker, and the messages between them.

`World.refresh`, `use`, `crash` and `fail_over` add events, and `World.run` carries them out in order of time. The
caller, which is a seeded simulation or Hypothesis, chooses the delays and the losses. Times are seconds since the
login, as floats. Only `Server` converts them into the instants of `tokens.protocol.rotation`.

A refresh token is in one of two cookies, because the cookie gets a new name. A `Release` is a server process of one
release, and says which names it reads and which it writes. All processes share the session's row.

A fail-over loses the last commits of the server. Rotations, catching up and acknowledgements wait for neither disk nor
standby. A recovery and the end of the session wait for both, and so save all commits before them.

While the project's claims hook fails, the server writes nothing, and answers 503.
"""

import heapq
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple

from tokens.protocol.rotation import BEGINS_GENERATION, ENDS_SESSION, Decision, Policy, State, begin, decide, recover

LOGIN = datetime(2026, 1, 1, tzinfo=UTC)
GRACE = 30.0
ACKNOWLEDGE_AFTER = 90.0
ACCESS_LIFETIME = 600.0
REQUEST_LIFE = GRACE / 2
"""The longest time that an honest request takes, there and back."""
SAVED_WITHIN = 30.0
"""A browser saves its cookies with this delay. A crash loses the cookies that are newer."""
WRITTEN_WITHIN = 2.0
"""The server writes an acknowledgement with at most this delay."""
TYPED_WITHIN = 8.0
"""A person types a password in this time."""
LOST_BY_FAIL_OVER = 3.0
"""A fail-over loses the commits of this many seconds."""

POLICY = Policy(timedelta(seconds=GRACE), timedelta(seconds=ACKNOWLEDGE_AFTER), max_recoveries=8)

Decide = Callable[[State, int, datetime, Policy], Decision]


def instant(seconds: float) -> datetime:
    return LOGIN + timedelta(seconds=seconds)


NEW, OLD = "new", "old"
"""The names of the refresh cookie. Scripts cannot set the new one."""
PLANTED = -1
"""A refresh token of an attacker's session, which a script has put into a cookie of the victim's browser."""

Cookies = dict[str, int | None]
"""Refresh tokens by the name of their cookie. None in a response: the cookie is deleted."""


class Release(Enum):
    """A process by the names that it reads, the first one first, and the name that it writes."""

    BEFORE = (OLD,), OLD
    """The release before, which does not know the new name."""
    WRITES_OLD = (NEW, OLD), OLD
    WRITES_NEW = (NEW, OLD), NEW

    def presented(self, cookies: Cookies) -> int | None:
        """Return the refresh token that counts among the cookies of a request, or None."""
        return next((cookies[name] for name in self.value[0] if name in cookies), None)

    def changes(self, cookies: Cookies, refresh: int | None) -> Cookies:
        """Return the cookies that the response sets and deletes. ``cookies``: those of the request."""
        reads, writes = self.value
        if refresh is None:
            return {}
        return {writes: refresh} | {name: None for name in reads if name in cookies and name != writes}


class Access(NamedTuple):
    """An access token. Its ``iat`` is a whole second, as in a JWT, whereas `State.since` is exact."""

    generation: int
    iat: int


AT_LOGIN = Access(generation=0, iat=0)


class Answer(NamedTuple):
    """A response: a refresh token if the client may not have it, and an access token unless the request is refused."""

    refresh: int | None
    access: Access | None


class Server:
    """The session's row, the process that changes it, and the log of its commits.

    ``highest``: the highest generation of which a refresh token was issued. ``hook_fails_until``: until then the claims
    hook fails. ``asks_first``: whether the hook is asked before the commit. ``forces``: whether a reauthentication
    with the current token begins a generation within the still time, too. ``idle_after``: for how long a session may
    not be refreshed until it is idle.
    """

    __slots__ = (
        "asks_first",
        "decide",
        "forces",
        "highest",
        "hook_fails_until",
        "idle_after",
        "log",
        "noticed",
        "state",
    )

    def __init__(self, decide: Decide = decide, *, asks_first: bool = True) -> None:
        self.decide = decide
        self.asks_first = asks_first
        self.hook_fails_until = float("-inf")
        self.forces = False
        self.idle_after = float("inf")
        self.state = State(generation=0, since=LOGIN)
        # (when, state) of each commit. Only the first entry has waited for disk and standby.
        self.log = [(0.0, self.state)]
        self.noticed: set[int] = set()
        self.highest = 0

    def is_idle(self, now: float) -> bool:
        return now >= (self.state.since - LOGIN).total_seconds() + self.idle_after

    def answer(self, presented: int, now: float, *, with_factor: bool = False) -> tuple[Decision, Answer]:
        """Decide on a presented generation, carry the decision out, and return both the decision and the response."""
        state, at = self.state, instant(now)
        decision = self.decide(state, presented, at, POLICY)
        if self.is_idle(now) and not with_factor and decision not in ENDS_SESSION:
            return Decision.REFUSE, Answer(None, None)
        is_answered = decision is not Decision.REFUSE and decision not in ENDS_SESSION
        fails = is_answered and now < self.hook_fails_until
        if fails and self.asks_first:
            return decision, Answer(None, None)
        if decision in BEGINS_GENERATION:
            following = state.generation + 1 if decision is Decision.ROTATE else presented
            self._commit(begin(state, following, at), now, durable=False)
        elif decision is Decision.RECOVER:
            self._commit(recover(state, at), now, durable=True)
        elif decision in ENDS_SESSION:
            self._commit(replace(state, ended=True), now, durable=True)
        if fails or not is_answered:
            return decision, Answer(None, None)
        generation = self.state.generation
        there_already = decision is Decision.REPEAT and presented == generation
        return decision, Answer(None if there_already else generation, Access(generation, int(now)))

    def reauthenticate(self, presented: int, now: float) -> tuple[Decision, Answer]:
        """Answer a person who has authenticated again as a refresh. The commit waits for the standby."""
        if self.forces and presented == self.state.generation and not self.state.ended:
            self._commit(begin(self.state, presented + 1, instant(now)), now, durable=True)
            return Decision.ROTATE, Answer(presented + 1, Access(presented + 1, int(now)))
        answer = self.answer(presented, now, with_factor=True)
        self.log = [(now, self.state)]
        return answer

    def notices(self, access: Access, now: float) -> bool:
        """Return whether to acknowledge after this use of an access token. A process does so once per generation."""
        valid = now < access.iat + ACCESS_LIFETIME
        late = now > access.iat + ACKNOWLEDGE_AFTER
        if not (valid and late) or access.generation in self.noticed or access.generation != self.state.generation:
            return False
        self.noticed.add(access.generation)
        return True

    def acknowledge(self, generation: int, now: float) -> None:
        """Acknowledge with one conditional update: ``generation = ? AND NOT acknowledged``, and not ended."""
        state = self.state
        if state.generation == generation and not state.acknowledged and not state.ended:
            self._commit(replace(state, acknowledged=True), now, durable=False)

    def fail_over(self, now: float, lost: float) -> None:
        """Forget the commits of the last ``lost`` seconds, but none that waited for the standby."""
        while len(self.log) > 1 and self.log[-1][0] > now - lost:
            self.log.pop()
        self.state = self.log[-1][1]
        self.log = [(now, self.state)]

    def _commit(self, state: State, now: float, *, durable: bool) -> None:
        self.state = state
        self.highest = max(self.highest, state.generation)
        if durable:
            self.log.clear()
        self.log.append((now, state))


class Browser:
    """One cookie jar and the tabs that share it. ``life`` counts its crashes: older responses do not reach it.

    ``from_django``: whether it has Django's session, which stands for the first refresh token until there is a newer
    one.
    """

    __slots__ = ("access", "cookies", "from_django", "kept", "life", "saved")

    def __init__(
        self, refresh: int = 0, access: Access = AT_LOGIN, name: str = NEW, *, from_django: bool = False
    ) -> None:
        self.cookies: Cookies = {} if from_django else {name: refresh}
        self.from_django = from_django
        self.access = access
        # (since when, refresh cookies, access) of all cookies that the jar has held. The first entry is on disk.
        self.saved = [(float("-inf"), self.cookies, access)]
        # A tab may still use an access token after the jar has received another one.
        self.kept = [access]
        self.life = 0

    def receive(self, changes: Cookies, access: Access, now: float) -> None:
        """Store the tokens of a response. Responses arrive in any order, so a late one may overwrite a newer one."""
        self.cookies = changed(self.cookies, changes)
        self.access = access
        self.kept.append(access)
        self.saved.append((now, self.cookies, self.access))

    def plant(self, now: float) -> None:
        """Let a script plant an attacker's token under the old name. It cannot overwrite a cookie of the server."""
        if OLD not in self.cookies:
            self.cookies = {**self.cookies, OLD: PLANTED}
            self.saved.append((now, self.cookies, self.access))

    def crash(self, now: float, unsaved: float) -> None:
        """Lose the cookies of the last ``unsaved`` seconds, all tabs, and the responses that they wait for."""
        while len(self.saved) > 1 and self.saved[-1][0] > now - unsaved:
            self.saved.pop()
        _, self.cookies, self.access = self.saved[-1]
        self.saved = [(float("-inf"), self.cookies, self.access)]
        self.kept = [self.access]
        self.life += 1


def changed(cookies: Cookies, changes: Cookies) -> Cookies:
    """Return the cookies of a jar after a response."""
    return {name: token for name, token in (cookies | changes).items() if token is not None}


class Attacker(Browser):
    """An attacker with a copy of the jar, who refreshes ``distance`` seconds after the owner (before, if negative)."""

    __slots__ = ("distance",)

    def __init__(self, victim: Browser, distance: float) -> None:
        super().__init__(access=victim.access, from_django=victim.from_django)
        self.cookies = victim.cookies
        self.distance = distance


class World:
    """The server of one session, and the messages to and from it that have not arrived yet."""

    __slots__ = ("_events", "_number", "_written_after", "ended", "now", "server", "signed_out")

    def __init__(self, server: Server, written_after: Callable[[], float] = lambda: 0.0) -> None:
        self.server = server
        self.now = 0.0
        self.ended: Decision | None = None
        # Whether a server found no refresh token of the owner's in a request: the user is nobody, or the attacker.
        self.signed_out = False
        # (when, number, what to do, arguments). The number keeps events of the same instant in order.
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self._written_after = written_after

    def refresh(
        self,
        party: Browser,
        there: float,
        back: float,
        *,
        lost: bool = False,
        rendered: float | None = None,
        releases: tuple[Release, Release] = (Release.WRITES_NEW, Release.WRITES_NEW),
        again: bool = False,
    ) -> None:
        """Send the jar's refresh cookies. ``again``: in a request that authenticates the user again.

        ``rendered``: through a server-side renderer, which takes so many seconds. ``releases``: of the process that
        answers, and of the one that answers the renderer's second request.
        """
        self.later(there, self._presented, party, party.life, party.cookies, back, lost, rendered, releases, {}, again)

    def use(self, access: Access, there: float) -> None:
        """Send an ordinary request with an access token. Its response changes no cookie."""
        self.later(there, self._used, access)

    def crash(self, party: Browser, after: float, unsaved: float) -> None:
        self.later(after, lambda: party.crash(self.now, unsaved))

    def fail_over(self, after: float, lost: float = LOST_BY_FAIL_OVER) -> None:
        self.later(after, lambda: self.server.fail_over(self.now, lost))

    def run(self, until: float) -> None:
        """Carry out all events until this time. Nothing happens any more after the end of the session."""
        events = self._events
        while events and events[0][0] <= until and self.ended is None:
            self.now, _, act, arguments = heapq.heappop(events)
            act(*arguments)
        self.now = max(self.now, until)

    def run_to_next_event(self) -> None:
        self.run(self._events[0][0] if self._events else self.now)

    def later(self, delay: float, act: Callable[..., None], *arguments: Any) -> None:
        """Add an event that comes after so many seconds."""
        self._number += 1
        heapq.heappush(self._events, (self.now + delay, self._number, act, arguments))

    def _presented(
        self,
        party: Browser,
        life: int,
        cookies: Cookies,
        back: float,
        lost: bool,
        rendered: float | None,
        releases: tuple[Release, Release],
        held: Cookies,
        again: bool = False,
    ) -> None:
        release, following = releases
        presented = release.presented(cookies)
        if presented is None and party.from_django:
            presented = 0
        if presented is None or presented == PLANTED:
            self.signed_out = True
            return
        is_idle = self.server.is_idle(self.now) and not self.server.state.ended
        decision, answer = (self.server.reauthenticate if again else self.server.answer)(presented, self.now)
        if decision is Decision.REFUSE and is_idle and not again:
            # The person is asked for a factor, and reopens the session.
            self.later(TYPED_WITHIN, self._reopen, party, back, lost)
        else:
            self.signed_out |= decision is Decision.REFUSE
        if decision in ENDS_SESSION:
            self.ended = decision
        if answer.access is None:
            return
        # A renderer passes on all changes of the cookies that it has received.
        changes = held | release.changes(cookies, answer.refresh)
        if rendered is not None:
            # The renderer needs data before the browser has the cookies, so it uses the new tokens itself.
            self.later(rendered, self._used, answer.access)
            has = changed(cookies, changes)
            self.later(rendered, self._presented, party, life, has, back, lost, None, (following, following), changes)
        elif not lost:
            self.later(back, self._answered, party, life, changes, answer.access)

    def _reopen(self, party: Browser, back: float, lost: bool) -> None:
        self.refresh(party, 0.0, back, lost=lost, again=True)

    def _answered(self, party: Browser, life: int, changes: Cookies, access: Access) -> None:
        if party.life == life:
            party.receive(changes, access, self.now)

    def _used(self, access: Access) -> None:
        if self.server.notices(access, self.now):
            self.later(self._written_after(), self._written, access.generation)

    def _written(self, generation: int) -> None:
        self.server.acknowledge(generation, self.now)
