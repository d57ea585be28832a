"""A small world for the rotation protocol: a server, a browser, a thief, and what is under way between them.

`World.run` carries out, in order of time, the events that `World.refresh`, `use`, `crash` and `fail_over` put
there; whoever calls them chooses the delays and the losses (a seeded simulation, or Hypothesis). Times are
seconds since the login, as floats; only `Server` turns them into the instants of `tokens.rotation`.

A fail-over loses a suffix of the server's commits: rotations, catching up and acknowledgements wait for neither
disk nor standby, a recovery and the end of the session wait for both, and so save all commits before them.

`Ledger` answers as the server should by other means, for tests that compare the two.
"""

import heapq
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, NamedTuple

from tokens.rotation import BEGINS_GENERATION, ENDS_SESSION, Decision, Policy, State, begin, decide, recover

LOGIN = datetime(2026, 1, 1, tzinfo=UTC)
GRACE = 30.0
ACKNOWLEDGE_AFTER = 90.0
ACCESS_LIFETIME = 600.0
REQUEST_LIFE = GRACE / 2
"""How long an honest request lives, there and back."""
SAVED_WITHIN = 30.0
"""How late a browser saves its cookies: a crash loses what came after."""
WRITTEN_WITHIN = 2.0
"""How late the server writes an acknowledgement."""
LOST_BY_FAIL_OVER = 3.0

POLICY = Policy(timedelta(seconds=GRACE), timedelta(seconds=ACKNOWLEDGE_AFTER), max_recoveries=8)

Decide = Callable[[State, int, datetime, Policy], Decision]


def instant(seconds: float) -> datetime:
    return LOGIN + timedelta(seconds=seconds)


class Access(NamedTuple):
    """An access token; its ``iat`` is a whole second, as in a JWT, though `State.since` is exact."""

    generation: int
    iat: int


AT_LOGIN = Access(generation=0, iat=0)


class Answer(NamedTuple):
    """What the server sends: a refresh token only if the client may lack it, an access token unless it refuses."""

    refresh: int | None
    access: Access | None


class Server:
    """The row, the process in front of it, and the log of its commits."""

    __slots__ = ("decide", "log", "noticed", "policy", "state")

    def __init__(self, policy: Policy = POLICY, decide: Decide = decide) -> None:
        self.policy = policy
        self.decide = decide
        self.state = State(generation=0, since=LOGIN)
        # (when, state) of each commit; the first entry waited for disk and standby, the others did not.
        self.log = [(0.0, self.state)]
        self.noticed: set[int] = set()

    def answer(self, presented: int, now: float) -> tuple[Decision, Answer]:
        """Decide on a presented generation, and carry the decision out."""
        state, at = self.state, instant(now)
        decision = self.decide(state, presented, at, self.policy)
        if decision in BEGINS_GENERATION:
            following = state.generation + 1 if decision is Decision.ROTATE else presented
            self._commit(begin(state, following, at), now, durable=False)
        elif decision is Decision.RECOVER:
            self._commit(recover(state, at), now, durable=True)
        elif decision in ENDS_SESSION:
            self._commit(replace(state, ended=True), now, durable=True)
        if decision is Decision.REFUSE or decision in ENDS_SESSION:
            return decision, Answer(None, None)
        generation = self.state.generation
        there_already = decision is Decision.REPEAT and presented == generation
        return decision, Answer(None if there_already else generation, Access(generation, int(now)))

    def notices(self, access: Access, now: float) -> bool:
        """Whether this use of an access token is to be written down: a process notices each generation once."""
        valid = now < access.iat + ACCESS_LIFETIME
        late = now > access.iat + self.policy.acknowledge_after.total_seconds()
        if not (valid and late) or access.generation in self.noticed or access.generation != self.state.generation:
            return False
        self.noticed.add(access.generation)
        return True

    def acknowledge(self, generation: int, now: float) -> None:
        """The one conditional update: ``generation = ? AND NOT acknowledged``, of a session that has not ended."""
        state = self.state
        if state.generation == generation and not state.acknowledged and not state.ended:
            self._commit(replace(state, acknowledged=True), now, durable=False)

    def fail_over(self, now: float, lost: float) -> None:
        """Forget the commits of the last ``lost`` seconds, back to one that waited for the standby."""
        while len(self.log) > 1 and self.log[-1][0] > now - lost:
            self.log.pop()
        self.state = self.log[-1][1]
        self.log = [(now, self.state)]

    def _commit(self, state: State, now: float, *, durable: bool) -> None:
        self.state = state
        if durable:
            self.log.clear()
        self.log.append((now, state))


class Browser:
    """One cookie jar and the tabs that share it. ``life`` tells a browser from the same one after a crash."""

    __slots__ = ("access", "kept", "life", "refresh", "saved")

    def __init__(self, refresh: int = 0, access: Access = AT_LOGIN) -> None:
        self.refresh = refresh
        self.access = access
        # (since when, refresh, access) of what the jar held; the first entry is on disk.
        self.saved = [(float("-inf"), refresh, access)]
        # A tab may use an access token that it was given though the jar has another one by now.
        self.kept = [access]
        self.life = 0

    def receive(self, answer: Answer, now: float) -> None:
        """Take what came, in the order in which it came: a late answer overwrites a newer one."""
        if answer.access is None:
            return
        if answer.refresh is not None:
            self.refresh = answer.refresh
        self.access = answer.access
        self.kept.append(answer.access)
        self.saved.append((now, self.refresh, self.access))

    def crash(self, now: float, unsaved: float) -> None:
        """Lose the cookies of the last ``unsaved`` seconds, the tabs, and the answers that they waited for."""
        while len(self.saved) > 1 and self.saved[-1][0] > now - unsaved:
            self.saved.pop()
        _, self.refresh, self.access = self.saved[-1]
        self.saved = [(float("-inf"), self.refresh, self.access)]
        self.kept = [self.access]
        self.life += 1


class Thief(Browser):
    """Somebody with a copy of the jar, who refreshes ``distance`` seconds behind the owner (before, if negative)."""

    __slots__ = ("distance",)

    def __init__(self, victim: Browser, distance: float) -> None:
        super().__init__(victim.refresh, victim.access)
        self.distance = distance


class World:
    """One session's server, and the messages that are under way to it and back."""

    __slots__ = ("_events", "_number", "_written_after", "ended", "now", "server")

    def __init__(self, server: Server, written_after: Callable[[], float] = lambda: 0.0) -> None:
        self.server = server
        self.now = 0.0
        self.ended: Decision | None = None
        # (when, number, what to do, arguments); the number keeps events of the same instant in order.
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self._written_after = written_after

    def refresh(
        self, party: Browser, there: float, back: float, *, lost: bool = False, rendered: float | None = None
    ) -> None:
        """Send the jar's refresh token; ``rendered``: by way of a server-side renderer that takes so long."""
        self._later(there, self._presented, party, party.life, party.refresh, back, lost, rendered, None)

    def use(self, access: Access, there: float) -> None:
        """Send an ordinary request with an access token; what it is answered with changes no cookie."""
        self._later(there, self._used, access)

    def crash(self, party: Browser, after: float, unsaved: float) -> None:
        self._later(after, lambda: party.crash(self.now, unsaved))

    def fail_over(self, after: float, lost: float = LOST_BY_FAIL_OVER) -> None:
        self._later(after, lambda: self.server.fail_over(self.now, lost))

    def run(self, until: float) -> None:
        """Let time pass; it stands still once the session has ended."""
        events = self._events
        while events and events[0][0] <= until and self.ended is None:
            self.now, _, act, arguments = heapq.heappop(events)
            act(*arguments)
        self.now = max(self.now, until)

    def run_to_next_event(self) -> None:
        self.run(self._events[0][0] if self._events else self.now)

    def _later(self, delay: float, act: Callable[..., None], *arguments: Any) -> None:
        self._number += 1
        heapq.heappush(self._events, (self.now + delay, self._number, act, arguments))

    def _presented(
        self,
        party: Browser,
        life: int,
        presented: int,
        back: float,
        lost: bool,
        rendered: float | None,
        held: int | None,
    ) -> None:
        decision, answer = self.server.answer(presented, self.now)
        if decision in ENDS_SESSION:
            self.ended = decision
        # A renderer passes on the newest refresh token that it was sent itself.
        answer = Answer(held if answer.refresh is None else answer.refresh, answer.access)
        if answer.access is None:
            return
        if rendered is not None:
            # The page needs its data before the browser has the cookies: the renderer uses the new tokens itself.
            self._later(rendered, self._used, answer.access)
            has = presented if answer.refresh is None else answer.refresh
            self._later(rendered, self._presented, party, life, has, back, lost, None, answer.refresh)
        elif not lost:
            self._later(back, self._answered, party, life, answer)

    def _answered(self, party: Browser, life: int, answer: Answer) -> None:
        if party.life == life:
            party.receive(answer, self.now)

    def _used(self, access: Access) -> None:
        if self.server.notices(access, self.now):
            self._later(self._written_after(), self._written, access.generation)

    def _written(self, generation: int) -> None:
        self.server.acknowledge(generation, self.now)


class Entry(NamedTuple):
    what: str
    generation: int
    at: float


class Ledger:
    """A reference without a state: what was committed, in order, from which every answer is counted anew."""

    def __init__(self) -> None:
        self.entries = [Entry("begun", 0, 0.0)]
        self.safe = 1  # so many of them are on the standby

    def chapters(self) -> list[list[Entry]]:
        """The entries of each generation since the login, the current one's last."""
        chapters: list[list[Entry]] = []
        for entry in self.entries:
            if entry.what == "begun":
                chapters.append([])
            chapters[-1].append(entry)
        return chapters

    def verdict(self, n: int, now: float) -> Decision:
        *earlier, current = self.chapters()
        g = current[0].generation
        recoveries = [entry for entry in current if entry.what == "recovered"]
        since = recoveries[-1].at if recoveries else current[0].at
        if "ended" in (entry.what for entry in current):
            return Decision.REFUSE
        match g - n:
            case 0:
                return Decision.REPEAT if g and now - since < ACKNOWLEDGE_AFTER else Decision.ROTATE
            case 1 if now - since < GRACE:
                return Decision.REPEAT
            case 1 if "acknowledged" not in (entry.what for entry in current):
                row = sum(1 for _ in takewhile(lambda chapter: "recovered" in {e.what for e in chapter}, earlier[::-1]))
                left = len(recoveries) < 4 * 8 if recoveries else row < 8
                return Decision.RECOVER if left else Decision.EXHAUSTED
            case behind:
                return Decision.CATCH_UP if behind < 0 else Decision.REUSE

    def write(self, what: str, generation: int, at: float) -> None:
        self.entries.append(Entry(what, generation, at))
        if what in {"recovered", "ended"}:
            self.safe = len(self.entries)

    def fail_over(self, now: float, lost: float) -> None:
        kept = [e for place, e in enumerate(self.entries) if place < self.safe or e.at <= now - lost]
        self.entries, self.safe = kept, len(kept)
