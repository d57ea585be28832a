"""A refresh token that a sibling host can have planted counts only with the device token of its session."""

from dataclasses import replace
from typing import Any

import pytest

from tests.factories import UserFactory
from tests.tokens.service.holders import ELSEWHERE, STILL_TIME, Holder
from tests.tokens.service.statements import verbs
from tokens.conf import SCOPED
from tokens.protocol.rotation import Decision
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens
from tokens.service.refreshing import Refusal, choose_by_device, refresh

pytestmark = pytest.mark.django_db


def presented(holder: Holder, client: Client, *others: str) -> IssuedTokens | Refusal:
    return refresh(holder.token, {SCOPED}, client, others=others)


@pytest.fixture
def holder(user: Any, clock: Any) -> Holder:
    """A session in mode ``scoped`` that may be rotated by the single statement, which checks the device by itself."""
    found = Holder(user, mode=SCOPED)
    found.token = found.refresh(client=found.browser).refresh_token or ""
    clock.forward(STILL_TIME)
    return found


@pytest.mark.only_on("postgresql")
def test_a_rotation_is_one_statement(holder):
    assert verbs(lambda: presented(holder, holder.browser)) == ["UPDATE"]
    assert holder.row.generation == 2


@pytest.mark.only_on("postgresql")
def test_to_choose_among_several_cookies_takes_one_more(holder):
    other = Holder(UserFactory(), mode=SCOPED)
    assert verbs(lambda: presented(holder, holder.browser, other.token)) == ["SELECT", "UPDATE"]


@pytest.mark.parametrize("later", [0, STILL_TIME], ids=["a repeat", "a rotation"])
@pytest.mark.parametrize(
    "token", [None, "", "made-up", "another's"], ids=["missing", "empty", "made up", "another user's"]
)
def test_without_the_device_token_it_counts_as_if_it_had_not_come(holder, clock, later, token):
    if token == "another's":
        token = Holder(UserFactory(), mode=SCOPED).issued.device_token
    before = holder.row.generation
    clock.forward(later)
    answer = presented(holder, replace(ELSEWHERE, device_token=token))
    assert isinstance(answer, Refusal)
    assert (answer.cause, answer.definite, answer.foreign) == ("another device", False, True)
    assert (holder.row.generation, holder.row.revoked_reason) == (before, "")


def test_an_old_token_that_is_planted_elsewhere_does_not_end_the_session(holder):
    """Presented on its device it would be taken for theft."""
    holder.token = holder.first
    assert isinstance(presented(holder, ELSEWHERE), Refusal)
    assert holder.ending == ("", 0)


def test_an_old_token_on_its_device_ends_the_session(holder, clock):
    presented(holder, holder.browser)
    clock.forward(STILL_TIME)
    holder.token = holder.first
    answer = presented(holder, holder.browser)
    assert (isinstance(answer, Refusal), holder.ending[0]) == (True, Decision.REUSE.value.replace(" ", "_"))


def test_the_newest_session_of_the_device_is_taken(holder, clock):
    newer = Holder(holder.user, holder.browser, mode=SCOPED)
    for first, second in [(holder, newer), (newer, holder)]:
        answer = refresh(first.token, {SCOPED}, holder.browser, others=[second.token])
        assert isinstance(answer, IssuedTokens)
        assert answer.session.id == newer.id


def test_of_tokens_of_other_devices_the_first_is_taken(holder):
    other, elsewhere = Holder(UserFactory(), mode=SCOPED), Holder(UserFactory(), mode=SCOPED)
    for first, second in [(holder, other), (other, holder)]:
        assert choose_by_device([first.token, second.token], elsewhere.browser) == first.token


def test_of_two_tokens_of_one_session_the_first_is_taken(holder, clock):
    """A browser can have one under each name. The one under the new name counts, and the other may be too old."""
    assert isinstance(presented(holder, holder.browser, holder.first), IssuedTokens)
    assert holder.ending == ("", 0)
