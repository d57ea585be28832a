"""A credential of another package is the first refresh token of the session that it becomes: why it is nothing else.

Without a thief nobody is signed out by a lost response. With one, the session ends when the second of the two comes.
"""

import pytest

from tests.tokens.protocol.django_session_search import FOR_EVER, SIGNED_OUT, UNREPORTED
from tests.tokens.protocol.taken_over_search import FORKED, Rule, search


@pytest.mark.parametrize("stolen", [False, True], ids=["without a thief", "with a thief"])
def test_no_history_breaks_a_promise(stolen):
    worlds, history, broken = search(Rule.BUILT, stolen=stolen)
    assert (history, broken) == (None, "")
    assert worlds > 20


@pytest.mark.parametrize(
    ("rule", "stolen", "broken"),
    [
        (Rule.REFUSED, False, SIGNED_OUT),
        (Rule.REFUSED, True, UNREPORTED),
        (Rule.ANOTHER_SESSION, False, FORKED),
        (Rule.REPEATED, True, FOR_EVER),
    ],
    ids=["refused, without a thief", "refused, with a thief", "another session", "repeated for ever"],
)
def test_the_search_finds_a_history_if_the_credential_is_then(rule, stolen, broken):
    assert search(rule, stolen=stolen)[2] == broken
