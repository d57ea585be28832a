"""Forgetting a device signs no honest person out: the search examines every order of messages, and every loss."""

import pytest

from tests.tokens.protocol.device_search import all_successors, its_own, its_successor, search

pytestmark = pytest.mark.long


def test_no_history_with_a_forgotten_device_signs_an_honest_person_out():
    result = search(all_successors)
    assert result.history is None
    assert result.worlds > 200_000


@pytest.mark.parametrize("rule", [its_own, its_successor], ids=["of the cookie only", "and its successor only"])
def test_with_a_live_session_on_the_device(rule):
    """The search finds a history that signs an honest person out if fewer devices keep the cookies."""
    history = search(rule).history
    assert history is not None
    assert history[-1] == "answer a request"
