"""The rotation protocol: what a presented refresh token is answered with.

A session is one row. The row is at generation ``g``; a presented token carries its own generation ``n``.
`decide` compares the two, at one instant, and returns a `Decision`; `begin` and `recover` give the state that
the row has afterwards. Nothing here queries, reads a clock or knows Django: the caller carries the decision out
in one conditional update, and decides again if it lost the race.

====================================================  =======================================================
the session has ended (revoked, idle or expired)      REFUSE
``n > g``                                             CATCH_UP   begin generation ``n``
``n = g``, ``g > 0``, before since + acknowledge      REPEAT     without the refresh token: it is there already
``n = g``                                             ROTATE     begin generation ``g + 1``
``n = g - 1``, before since + grace                   REPEAT     parallel tabs, retries
``n = g - 1``, not acknowledged, recoveries left      RECOVER    since = now
``n = g - 1``, not acknowledged                       EXHAUSTED  end the session
otherwise                                             REUSE      end the session
====================================================  =======================================================

Why a repeat and a recovery are safe: tokens are derived (see `tokens.protocol.refresh_tokens`), so answering twice
gives the same successor twice, and a family of tokens never forks. Why they are needed: parallel requests, lost
responses and crashes make honest clients present a token twice (RFC 9700 section 4.14.2 ends such sessions).

With a grace of zero (strict) a token works once to the letter: there is no still time, no repeat, no recovery.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

RECOVERIES_OF_ONE_GENERATION = 4
"""How many times `Policy.max_recoveries` one generation may be recovered, lest a thief keep it from ever rotating."""


class Decision(Enum):
    """What to do with a presented refresh token; the value is the word that logs and events use."""

    REFUSE = "refused"
    CATCH_UP = "caught up"
    REPEAT = "repeated"
    ROTATE = "rotated"
    RECOVER = "recovered"
    EXHAUSTED = "recoveries exhausted"
    REUSE = "reuse detected"


ENDS_SESSION = frozenset({Decision.EXHAUSTED, Decision.REUSE})
BEGINS_GENERATION = frozenset({Decision.ROTATE, Decision.CATCH_UP})


@dataclass(frozen=True, slots=True)
class Policy:
    """The durations and the bound of the protocol.

    ``grace``: how long the generation before is answered without question. Zero: strict one-time use.
    ``acknowledge_after``: the still time, and how late after its ``iat`` an access token's use proves receipt.
    ``max_recoveries``: how many generations in a row may be recovered.
    """

    grace: timedelta
    acknowledge_after: timedelta
    max_recoveries: int

    @property
    def strict(self) -> bool:
        return not self.grace


@dataclass(frozen=True, slots=True)
class State:
    """What the row knows about its current generation.

    ``since``: when it began, or was last recovered. ``recovered``: how often it was recovered.
    ``recoveries``: how many generations in a row were, this one included. ``acknowledged``: somebody was seen
    using an access token of this generation, later than `Policy.acknowledge_after` after its ``iat``.
    ``ended``: revoked, idle-expired or expired.
    """

    generation: int
    since: datetime
    recovered: int = 0
    recoveries: int = 0
    acknowledged: bool = False
    ended: bool = False


def decide(state: State, presented: int, now: datetime, policy: Policy) -> Decision:
    """Decide what a token of generation ``presented`` is answered with at ``now``."""
    age = now - state.since
    if state.ended:
        return Decision.REFUSE
    if presented > state.generation:
        # Only a database that forgot its last commits is behind a token that it issued itself.
        return Decision.CATCH_UP
    if presented == state.generation:
        still = state.generation > 0 and age < policy.acknowledge_after and not policy.strict
        return Decision.REPEAT if still else Decision.ROTATE
    if presented < state.generation - 1 or policy.strict:
        return Decision.REUSE
    if age < policy.grace:
        return Decision.REPEAT
    if state.acknowledged:
        return Decision.REUSE
    return Decision.RECOVER if _recoveries_left(state, policy) else Decision.EXHAUSTED


def _recoveries_left(state: State, policy: Policy) -> bool:
    if state.recovered:
        return state.recovered < RECOVERIES_OF_ONE_GENERATION * policy.max_recoveries
    return state.recoveries < policy.max_recoveries


def begin(state: State, generation: int, now: datetime) -> State:
    """Return the state in which ``generation`` has just begun.

    The count of recoveries in a row starts again only if the generation before had needed none.
    """
    return State(generation, now, recoveries=state.recoveries if state.recovered else 0)


def recover(state: State, now: datetime) -> State:
    """Return the state after the current generation was sent once more; it counts once in the row of recoveries."""
    return replace(
        state,
        since=now,
        recovered=state.recovered + 1,
        recoveries=state.recoveries + (not state.recovered),
    )
