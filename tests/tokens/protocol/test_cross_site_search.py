"""What a request from another site may do: the searches examine every order of messages, cancellation and claim."""

from datetime import timedelta

import pytest

from tests.tokens.protocol.cross_site_search import Answer, Rule, answer, foreign_page, thief
from tests.tokens.protocol.in_turns import START, Row
from tokens.protocol.rotation import State

BUILT = Rule.PAGE
WITH_A_LOSS = State(1, START - timedelta(days=1), recovered=1, recoveries=1)


def test_no_page_of_another_site_ends_a_session_however_often_it_cancels():
    result = foreign_page(BUILT)
    assert result.history is None
    assert result.worlds > 1000


def test_a_page_that_can_go_back_in_the_history_to_a_page_of_ours_is_the_limit():
    history = foreign_page(BUILT, history=True).history
    assert history is not None
    assert history.count("the other page goes back in the history") >= 2


def test_every_thief_is_found():
    result = thief(BUILT)
    assert result.history is None
    assert result.worlds > 50


@pytest.mark.parametrize("presented", [0, 1, 2], ids=["the one before", "the current one", "one that was lost"])
@pytest.mark.parametrize("navigation", [True, False], ids=["a navigation", "a fetch"])
def test_a_thief_who_claims_to_come_from_another_site_learns_and_gets_nothing(presented, navigation):
    row = Row(WITH_A_LOSS)
    found = answer(BUILT, row, presented, 0, foreign=True, navigation=navigation)
    assert found == (row, Answer(page=navigation))


@pytest.mark.parametrize(
    "rule", [Rule.ROTATES, Rule.PAGE_WITHOUT_KEEPALIVE, Rule.PAGE_AND_FETCHES], ids=lambda rule: rule.value
)
def test_the_search_finds_a_page_that_ends_a_session_if_a_request_from_elsewhere(rule):
    history = foreign_page(rule).history
    assert history is not None
    assert len([step for step in history if "cancels" in step]) >= 2


@pytest.mark.parametrize("rule", [Rule.SERVES, Rule.NOT_COUNTED], ids=lambda rule: rule.value)
def test_the_search_finds_a_thief_who_is_never_found_if_a_request_from_elsewhere(rule):
    history = thief(rule).history
    assert history is not None
    assert any("another site" in step for step in history)
