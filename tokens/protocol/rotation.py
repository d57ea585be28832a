"""The rotation protocol: what the server answers to a presented refresh token.

A session is one row. Its generation ``g`` is the number of rotations since the sign-in. Each refresh token contains the
generation ``n`` for which it was issued. `decide` compares the two and returns a `Decision`. `begin` and `recover`
return the state of the row afterwards. The caller carries the decision out in one conditional update. If another
request has changed the row meanwhile, the caller reads it and decides again.

======================================================  =======================================================
the session has ended (revoked, idle or expired)        REFUSE
``n > g``                                               CATCH_UP   begin generation ``n``
``n = g``, ``g > 0``, before since + acknowledge_after  REPEAT     without a refresh token: the client has it
``n = g``                                               ROTATE     begin generation ``g + 1``
``n = g - 1``, before since + grace                     REPEAT     parallel tabs, retries
``n < g``, the request took long to arrive              LATE       refuse; the session continues
``n = g - 1``, not acknowledged, recoveries left        RECOVER    since = now
``n = g - 1``, not acknowledged                         EXHAUSTED  end the session
otherwise                                               REUSE      end the session
the session is idle                                     IDLE       refuse, in the place of all that end nothing
======================================================  =======================================================

``since`` is when generation ``g`` began or was last recovered. ``grace`` and ``acknowledge_after`` are durations
of the `Policy`. A generation is acknowledged when one of its access tokens is used later than ``acknowledge_after``
after it was issued, which proves that the client received it.

Parallel requests, lost responses and crashes make honest clients present a token twice. RFC 9700 section 4.14.2 ends
such sessions. REPEAT and RECOVER keep them, and are safe: refresh tokens are derived
(`tokens.protocol.refresh_tokens`), so two answers contain the same successor, and there are never two different
current tokens of one session.

A proxy forwards an upload when it has the whole body. Its token may have been replaced meanwhile, which proves no
second holder. LATE gives no tokens, not even those of RECOVER, because they could overwrite newer ones in the browser.
The caller says which requests took long, and which were authenticated when they were sent. A client cannot say so. If a
request was not authenticated then, its token must have been current then, or must have been replaced less than
``grace`` before. Such a request would have got tokens if it had arrived at once.

A session is idle if it was not used for its idle lifetime and its level lets a factor reopen it (LIFETIMES). A refresh
token with a factor is then answered as by any refresh. Without a factor it gets nothing, and changes nothing unless it
proves a theft. A factor alone opens nothing. A generation that was current when the session became idle may not have
reached the client, so the one before it reopens the session too, and counts as recovered.

With a grace of zero (strict mode) a token works exactly once: nothing is repeated and nothing is recovered.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

RECOVERIES_OF_ONE_GENERATION = 4
"""One generation may be recovered at most this number multiplied by `Policy.max_recoveries`.

Without a limit an attacker could keep the session from ever rotating.
"""


class Decision(Enum):
    """What to do with a presented refresh token. The value is the word in logs, metrics and events."""

    REFUSE = "refused"
    CATCH_UP = "caught up"
    REPEAT = "repeated"
    ROTATE = "rotated"
    RECOVER = "recovered"
    LATE = "arrived late"
    IDLE = "idle"
    EXHAUSTED = "recoveries exhausted"
    REUSE = "reuse detected"


ENDS_SESSION = frozenset({Decision.EXHAUSTED, Decision.REUSE})
BEGINS_GENERATION = frozenset({Decision.ROTATE, Decision.CATCH_UP})


@dataclass(frozen=True, slots=True)
class Policy:
    """The durations and the limit of the protocol.

    ``grace``: for how long the previous generation is answered again. Zero is strict one-time use.
    ``acknowledge_after``: for how long a new generation is not rotated, and how long after its ``iat`` the use of an
    access token proves that it was received.
    ``max_recoveries``: how many generations in a row may be recovered.
    """

    grace: timedelta
    acknowledge_after: timedelta
    max_recoveries: int

    @property
    def strict(self) -> bool:
        """Whether each token works exactly once."""
        return not self.grace


@dataclass(frozen=True, slots=True)
class State:
    """The part of a session's row that the protocol reads.

    ``since``: when the current generation began, or was last recovered. ``recovered``: how often it was recovered.
    ``recoveries``: how many generations in a row were recovered, including this one.
    ``acknowledged``: whether an access token of this generation was used later than `Policy.acknowledge_after` after
    its ``iat``. ``ended``: whether the session is revoked or expired. ``idle``: whether it was not used for too long,
    and a factor would reopen it. It is not idle any more for a request that has proved one.
    """

    generation: int
    since: datetime
    recovered: int = 0
    recoveries: int = 0
    acknowledged: bool = False
    ended: bool = False
    idle: bool = False


def decide(
    state: State,
    presented: int,
    now: datetime,
    policy: Policy,
    *,
    late: bool = False,
    under_way: timedelta = timedelta(),
) -> Decision:
    """Return what to answer to a token of generation ``presented`` at the time ``now``.

    ``late``: whether the request took long to arrive, and was authenticated when it was sent. ``under_way``: how long a
    request took that took long to arrive, else zero.
    """
    if state.idle:
        decision = decide(replace(state, idle=False), presented, now, policy, late=late, under_way=under_way)
        return decision if decision in {Decision.REFUSE, *ENDS_SESSION} else Decision.IDLE
    age = now - state.since
    if state.ended:
        return Decision.REFUSE
    if presented > state.generation:
        # The database has lost its last commits (a failover or a restore): otherwise no such token would exist.
        return Decision.CATCH_UP
    if presented == state.generation:
        still = state.generation > 0 and age < policy.acknowledge_after and not policy.strict
        return Decision.REPEAT if still else Decision.ROTATE
    if policy.strict:
        return Decision.REUSE
    if presented == state.generation - 1 and age < policy.grace:
        return Decision.REPEAT
    if late or (presented == state.generation - 1 and age - under_way < policy.grace):
        return Decision.LATE
    if presented < state.generation - 1 or state.acknowledged:
        return Decision.REUSE
    return Decision.RECOVER if _recoveries_left(state, policy) else Decision.EXHAUSTED


def _recoveries_left(state: State, policy: Policy) -> bool:
    if state.recovered:
        return state.recovered < RECOVERIES_OF_ONE_GENERATION * policy.max_recoveries
    return state.recoveries < policy.max_recoveries


def begin(state: State, generation: int, now: datetime) -> State:
    """Return the state in which ``generation`` has just begun.

    The number of recoveries in a row starts at zero again if the previous generation was not recovered.
    """
    return State(generation, now, recoveries=state.recoveries if state.recovered else 0)


def recover(state: State, now: datetime) -> State:
    """Return the state after a recovery: the current generation was sent again, and counts once as recovered."""
    return replace(
        state,
        since=now,
        recovered=state.recovered + 1,
        recoveries=state.recoveries + (not state.recovered),
    )
