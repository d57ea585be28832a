"""What proves that a change of the account comes from the browser with the key: the search finds what is wrong.

It examines every order of messages, every loss, and the requests of two thieves.
"""

import pytest

from tests.tokens.protocol.key_proof_search import REFUSED, Rule, search

BY_TOKEN, BY_COPY = (
    "the thief with an access token changes the account",
    "the thief with all cookies changes the account",
)


def test_no_thief_changes_the_account_and_no_user_is_refused():
    worlds, history = search(Rule.ASKED)
    assert history is None
    assert worlds > 100_000


@pytest.mark.parametrize(
    ("rule", "end"),
    [
        pytest.param(Rule.TOKEN, BY_TOKEN, id="an access token is enough"),
        pytest.param(Rule.RECENT, BY_TOKEN, id="a young access token is enough"),
        pytest.param(Rule.AFTER, BY_TOKEN, id="an access token from after the redirect is enough"),
        pytest.param(Rule.EACH, BY_COPY, id="every refresh sets the proof"),
        pytest.param(Rule.PASSWORD, REFUSED, id="only the password counts"),
    ],
)
def test_the_search_finds_a_bad_history_if(rule, end):
    history = search(rule).history
    assert history is not None
    assert history[-1] == end
