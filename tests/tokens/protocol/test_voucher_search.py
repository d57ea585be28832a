"""What shows that a change of the account comes from the browser with the key: the search finds what is wrong.

It examines every order of messages, every loss, and the requests of two thieves.
"""

import pytest

from tests.tokens.protocol.voucher_search import COPIER, OBSERVER, REFUSED, WITHOUT_KEY, Rule, Views, search


def test_no_thief_changes_the_account_later_and_no_user_is_refused():
    worlds, history = search(Rule.EACH)
    assert history is None
    assert worlds > 3_000


@pytest.mark.parametrize(
    ("found", "end"),
    [
        pytest.param((Rule.TOKEN,), f"{OBSERVER} changes the account", id="an access token is enough"),
        pytest.param((Rule.RECENT,), REFUSED, id="a young access token is enough"),
        pytest.param((Rule.AFTER,), REFUSED, id="an access token from after a redirect is enough"),
        pytest.param((Rule.ASKED,), REFUSED, id="a redirect asks for the voucher"),
        pytest.param(
            (Rule.EVER,), f"{COPIER} changes the account", id="the voucher is valid for as long as the session"
        ),
        pytest.param((Rule.PASSWORD,), REFUSED, id="only the password counts"),
        pytest.param((Rule.EACH, Views.WHOLE), REFUSED, id="the access token of a view outlives the voucher"),
        pytest.param((Rule.EACH, Views.SOON), WITHOUT_KEY, id="the access token of a view outlives the one before"),
    ],
)
def test_the_search_finds_a_bad_history_if(found, end):
    history = search(*found).history
    assert history is not None
    assert history[-1] == end
