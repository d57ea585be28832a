"""An exhaustive search: an owner and a thief who both have a refresh token of another package, which becomes a session.

A `Rule` says what the server answers to that old token (`tokens.web.operations.taking_over`). `search` looks for a
history in which one of the promises is broken that `django_session_search` names, or `FORKED`. Who has got a refresh
token of ours presents it from then on. The thief can still present the old one instead.
"""

from enum import Enum

from tests.tokens.protocol.django_session_search import Kind, search_for
from tests.tokens.protocol.in_turns import Answer, Row, refreshed

FORKED = "one old token has become two sessions"


class Rule(Enum):
    """What the old token is, after it was presented for the first time."""

    BUILT = "the refresh token of generation 0"
    REFUSED = "refused, and the session goes on"
    ANOTHER_SESSION = "the beginning of another session"
    REPEATED = "answered with the current refresh token, for ever"


def answer(rule: Rule, row: Row, held: int | None, now: int, kind: Kind) -> Answer:
    """Return what becomes of a request. ``held``: the generation of the client's refresh token, if it has one."""
    presented = held if kind is Kind.API else None
    if presented is None and row.state.generation > 0:
        if rule is Rule.REFUSED:
            return Answer(row, held)
        if rule is Rule.REPEATED:
            # It counts as recorded, so that the search goes on to what else is wrong with this rule.
            return Answer(row, row.state.generation, is_served=True, is_recorded=True)
        if rule is Rule.ANOTHER_SESSION:
            return Answer(row, held, is_served=True, broken=FORKED)
    given = refreshed(row, presented or 0, now)
    return given if given.is_served else given._replace(held=held)


def search(rule: Rule, *, stolen: bool) -> tuple[int, list[str] | None, str]:
    """Search for a history that breaks a promise. Return the number of worlds, the history, and the promise."""
    return search_for(lambda *request: answer(rule, *request), scoped=False, stolen=stolen)
