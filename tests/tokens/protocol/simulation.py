"""A seeded simulation of many histories of one browser under hard conditions, and of an attacker with its cookies.

`ROWS` are the conditions, and `VARIANTS` the protocol and what is left of it without one of its parts.
"""

from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from tests.tokens.protocol.account import Account, ServerOfAccount
from tests.tokens.protocol.model import (
    ACCESS_LIFETIME,
    ACKNOWLEDGE_AFTER,
    GRACE,
    NEW,
    OLD,
    POLICY,
    REQUEST_LIFE,
    SAVED_WITHIN,
    WRITTEN_WITHIN,
    Attacker,
    Browser,
    Decide,
    Release,
    Server,
    World,
)
from tokens.protocol.rotation import RECOVERIES_OF_ONE_GENERATION, Decision, Policy, State, decide

HISTORIES = 1500
STEPS = 300
REQUESTS_AT_ONCE = 5
OUTAGE = 7200.0
"""The longest time for which the claims hook fails, in seconds."""
RENDERED = 0.2
"""The share of requests that a server-side renderer makes for the browser."""


def without_still_time(state: State, presented: int, now: datetime, policy: Policy) -> Decision:
    decision = decide(state, presented, now, policy)
    repeats_current = decision is Decision.REPEAT and presented == state.generation
    return Decision.ROTATE if repeats_current else decision


def without_recovery(state: State, presented: int, now: datetime, policy: Policy) -> Decision:
    decision = decide(state, presented, now, policy)
    return Decision.REUSE if decision in {Decision.RECOVER, Decision.EXHAUSTED} else decision


def within_grace(state: State, presented: int, now: datetime, policy: Policy) -> Decision:
    """Let Django's session stand for the first refresh token only within the grace of its first refresh."""
    decision = decide(state, presented, now, policy)
    return Decision.REFUSE if presented == 0 < state.generation and decision is not Decision.REPEAT else decision


Phases = tuple[tuple[float, tuple[Release, ...]], ...]
"""Until which share of a history which releases are running."""
BEFORE, WRITES_OLD, WRITES_NEW = Release.BEFORE, Release.WRITES_OLD, Release.WRITES_NEW
ONE_RELEASE: Phases = ((1.0, (WRITES_NEW,)),)
UPGRADE: Phases = (
    (0.1, (BEFORE,)),
    (0.25, (BEFORE, WRITES_OLD)),
    (0.3, (WRITES_OLD,)),
    (0.5, (WRITES_OLD, WRITES_NEW)),
    (0.55, (WRITES_NEW,)),
    (0.7, (WRITES_OLD, WRITES_NEW)),  # rolled back
    (0.75, (WRITES_OLD,)),
    (0.9, (WRITES_OLD, WRITES_NEW)),
    (1.0, (WRITES_NEW,)),
)
"""A rolling deployment of the new name of the refresh cookie: known first, then written, rolled back, written again."""
HASTY: Phases = ((0.1, (BEFORE,)), (0.9, (BEFORE, WRITES_NEW)), (1.0, (WRITES_NEW,)))
"""The new name is written while processes are running that do not know it."""

VARIANTS: dict[str, Decide] = {
    "as designed": decide,
    "without the still time": without_still_time,
    "without recovery": without_recovery,
    "within the grace": within_grace,
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """How much goes wrong.

    ``lost``: the share of responses that are lost. ``crashes``, ``fail_overs``: the share of page loads with one.
    ``request_life``: the longest time of a request, there and back, in seconds. ``queued``: the request spends all of
    it in a queue of the server, before the server decides. ``phases``: which releases are running. ``planted``: the
    share of page loads before which a script plants an attacker's token under the old name of the refresh cookie.
    ``rehashes``, ``passwords``: the share of page loads with a sign-in elsewhere that rehashes the password, and with a
    change of the password in this browser. ``outages``: the share of page loads at which the claims hook begins to
    fail, for up to `OUTAGE`. ``asks_first``: whether the hook is asked before a generation begins. ``from_django``:
    whether Django's session stands for the first refresh token. ``again``: the share of requests that authenticate the
    user again. ``forces``: whether these begin a generation within the still time, too. ``idle_after``: for how long a
    session may not be refreshed until it is idle, in seconds. The person then reopens it.
    """

    lost: float = 0.1
    crashes: float = 0.0
    fail_overs: float = 0.0
    request_life: float = REQUEST_LIFE
    queued: bool = False
    phases: Phases = ONE_RELEASE
    planted: float = 0.0
    rehashes: float = 0.0
    passwords: float = 0.0
    outages: float = 0.0
    asks_first: bool = True
    from_django: bool = False
    again: float = 0.0
    forces: bool = False
    idle_after: float = float("inf")


AS_ABOVE = "as above"
QUEUED = "the same, all of it in the server's queue"
UPGRADED = "both, 30 % lost, a cookie renamed in a rolling deployment, and its old name planted by a script"
PASSWORDS = "both, 30 % lost, rehashes, and passwords changed in this browser"
HOOK_FAILS = "both, 30 % lost, and a claims hook that fails for up to two hours"
TOO_LATE = "a claims hook that is asked after the rotation, and fails for up to two hours"
FROM_DJANGO = "both, 30 % lost, and a sign-in of which only Django's session knows"
AGAIN = "both, 30 % lost, and one request in three authenticates the user again"
IDLE = "both, 30 % lost, and sessions that are idle after 15 minutes and reopened"
FORCED = "reauthentications that rotate within the still time"
HASTILY = "a cookie renamed while processes are running that do not know the new name"
ROWS = {
    AS_ABOVE: Conditions(),
    "40 % lost": Conditions(lost=0.4),
    "60 % lost": Conditions(lost=0.6),
    "crashes of the browser": Conditions(crashes=0.1),
    "fail-overs losing 3 s of rotations": Conditions(fail_overs=0.1),
    "both, and 30 % lost": Conditions(lost=0.3, crashes=0.1, fail_overs=0.1),
    "requests that live the whole grace": Conditions(request_life=GRACE),
    "requests that live twice the grace": Conditions(request_life=2 * GRACE),
    QUEUED: Conditions(request_life=2 * GRACE, queued=True),
    UPGRADED: Conditions(lost=0.3, crashes=0.1, fail_overs=0.1, phases=UPGRADE, planted=0.3),
    PASSWORDS: Conditions(lost=0.3, crashes=0.1, fail_overs=0.1, rehashes=0.1, passwords=0.05),
    FROM_DJANGO: Conditions(lost=0.3, crashes=0.1, fail_overs=0.1, from_django=True),
    AGAIN: Conditions(lost=0.3, crashes=0.1, fail_overs=0.1, again=0.3),
    IDLE: Conditions(lost=0.3, crashes=0.1, fail_overs=0.1, idle_after=900.0),
    FORCED: Conditions(again=0.3, forces=True),
    HASTILY: Conditions(phases=HASTY),
    HOOK_FAILS: Conditions(lost=0.3, crashes=0.1, fail_overs=0.1, outages=0.3),
    TOO_LATE: Conditions(outages=0.3, asks_first=False),
}


def seeded(row: str, number: int) -> Random:
    """Return the random numbers of one history. They are the same in every run."""
    return Random(f"{row} {number}")  # noqa: S311 (no secrets)


def live(random: Random, conditions: Conditions, decide: Decide) -> World:
    """Run the history of one browser: `STEPS` page loads, each of one to five parallel requests."""
    account = Account(random) if conditions.passwords else None
    asks_first = conditions.asks_first
    server = Server(decide, asks_first=asks_first) if account is None else ServerOfAccount(account, decide)
    server.forces, server.idle_after = conditions.forces, conditions.idle_after
    world = World(server, written_after=lambda: WRITTEN_WITHIN * random.random())
    browser = Browser(name=OLD if BEFORE in conditions.phases[0][1] else NEW, from_django=conditions.from_django)
    at_will = random.choice((0.0, 0.5, 1.0))  # refresh only at expiry, now and then, at every page load
    now = 0.0
    for step in range(STEPS):
        # Five seconds to an hour, evenly distributed over the orders of magnitude.
        now += 5 * 720 ** random.random()
        world.run(now)
        if world.ended or world.signed_out:
            break
        if random.random() < conditions.crashes:
            world.crash(browser, after=SAVED_WITHIN * random.random(), unsaved=SAVED_WITHIN * random.random())
        if random.random() < conditions.fail_overs:
            world.fail_over(after=conditions.request_life * random.random())
        if conditions.outages and random.random() < conditions.outages:
            server.hook_fails_until = now + OUTAGE * random.random()
        releases = next(releases for until, releases in conditions.phases if step < until * STEPS)
        if conditions.planted and random.random() < conditions.planted:
            browser.plant(now)
        if account is not None:
            if random.random() < conditions.rehashes:
                account.sign_in_elsewhere(world)
            if random.random() < conditions.passwords:
                account.change_password(world, there=conditions.request_life * random.random())
        _load_a_page(world, browser, random, conditions, at_will, releases)
    world.run(now + 10 * GRACE)
    return world


def _load_a_page(
    world: World,
    browser: Browser,
    random: Random,
    conditions: Conditions,
    at_will: float,
    releases: tuple[Release, ...],
) -> None:
    expired = world.now >= browser.access.iat + ACCESS_LIFETIME
    for _ in range(random.randint(1, REQUESTS_AT_ONCE)):
        life = conditions.request_life * random.random()
        there = life if conditions.queued else life * random.random()
        back = life - there
        lost = random.random() < conditions.lost
        # Without a choice no number is drawn, so that the other rows stay the same.
        answering = (releases[0],) * 2 if len(releases) == 1 else (random.choice(releases), random.choice(releases))
        if conditions.again and random.random() < conditions.again:
            world.refresh(browser, there, back, lost=lost, releases=answering, again=True)
            continue
        if not expired and random.random() >= at_will:
            world.use(browser.access, there)
        elif random.random() < RENDERED:
            world.refresh(browser, there, back / 2, lost=lost, rendered=back / 2, releases=answering)
        else:
            world.refresh(browser, there, back, lost=lost, releases=answering)


def signed_out(row: str, histories: int, variant: str = "as designed") -> int:
    """Return how many of so many honest people were signed out, or became the attacker."""
    worlds = (live(seeded(row, number), ROWS[row], VARIANTS[variant]) for number in range(histories))
    return sum(world.ended is not None or world.signed_out for world in worlds)


@dataclass(frozen=True, slots=True)
class Theft:
    """An attacker refreshes ``distance`` seconds after the owner. ``verified_here``: access tokens are used here.

    ``from_django``: whether both have only Django's session, which stands for the first refresh token.
    """

    distance: float
    verified_here: bool = True
    from_django: bool = False

    def generations(self, random: Random) -> int | None:
        """Return the generation after the theft in which the session ends, or None if it never does."""
        world = World(Server(), written_after=lambda: WRITTEN_WITHIN * random.random())
        owner = Browser(from_django=self.from_django)
        attacker = Attacker(owner, self.distance)
        now = 0.0
        for generation in range(1, 101):
            now += ACCESS_LIFETIME * (1 + random.random())
            self._refresh_both(world, owner, attacker, now)
            if world.ended:
                return generation
        return None

    def _refresh_both(self, world: World, owner: Browser, attacker: Attacker, now: float) -> None:
        parties = (owner, attacker) if attacker.distance > 0 else (attacker, owner)
        for party, at in zip(parties, (now, now + abs(attacker.distance)), strict=True):
            world.run(at)
            world.refresh(party, there=0.0, back=0.0)
            world.run(at)
            if self.verified_here:
                # Each party uses its new access token. The first use that can acknowledge comes after this time.
                world.use(party.access, there=ACKNOWLEDGE_AFTER + 2)


THEFTS = {f"refreshing {seconds} s behind the owner": float(seconds) for seconds in (35, 60, 85, 100, 200, 300)}
THEFTS |= {f"refreshing {seconds} s before the owner": -float(seconds) for seconds in (35, 300)}
INSIDE_THE_GRACE = {"refreshing 5 s behind": 5.0, "refreshing 20 s behind": 20.0, "refreshing 10 s before": -10.0}
FREEZES: dict[str, dict[str, Any]] = {
    "freezing the generation": {"every": 45.0},
    "freezing it as rarely as he can": {"every": ACKNOWLEDGE_AFTER - 1},
    "freezing one generation after another": {"every": 45.0, "patient": True},
}


def frozen_minutes(random: Random, *, every: float, patient: bool = False) -> float:
    """Return for how many minutes an attacker keeps a session by presenting the previous token again and again.

    The owner refreshes at every page load, and so never uses an access token for long enough to acknowledge it.
    ``patient``: the attacker pauses before one recovery too many, lets the generation rotate, and freezes the next.
    """
    world = World(Server())
    owner = Browser()
    shown = 0
    next_page, next_theft = 0.0, every
    while not world.ended:
        if next_page <= next_theft:
            world.run(next_page)
            world.refresh(owner, there=0.0, back=0.0)
            world.run(next_page)
            next_page += 15 + 45 * random.random()
            continue
        world.run(next_theft)
        world.refresh(Attacker(Browser(shown), every), there=0.0, back=0.0)
        world.run(next_theft)
        one_too_many = world.server.state.recovered == RECOVERIES_OF_ONE_GENERATION * POLICY.max_recoveries
        next_theft += 2 * ACKNOWLEDGE_AFTER if patient and one_too_many else every
        shown += patient and one_too_many
    return world.now / 60
