"""The signal about security events: it is sent after the commit, and a receiver that fails breaks nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction

from tests.tokens.service.holders import GRACE, STILL_TIME, Holder
from tokens import sessions
from tokens.models import RefreshToken
from tokens.service.revocation_feed import feed

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def connected(receiver: Any) -> Iterator[None]:
    """Connect a receiver to the signal for the length of the block."""
    sessions.happened.connect(receiver)
    try:
        yield
    finally:
        sessions.happened.disconnect(receiver)


@pytest.fixture
def received() -> Iterator[list[Any]]:
    """What a receiver gets: for each event its kind, and whether a transaction was open.

    Without the second, a test would not notice that the signal is sent before the commit.
    """
    events: list[Any] = []

    def receive(*, event: Any, **kwargs: Any) -> None:
        events.append((event.kind, transaction.get_connection().in_atomic_block))

    with connected(receive):
        yield events


def test_a_sign_in_is_sent_after_its_commit(user, received):
    Holder(user)
    assert received == [("signed_in", False), ("new_device", False)]


@pytest.mark.parametrize("is_undone", [False, True], ids=["committed", "undone"])
def test_an_event_in_the_callers_transaction_is_sent_after_that_transaction_unless_it_is_undone(
    user, received, is_undone
):
    with transaction.atomic():
        Holder(user)
        assert received == []
        transaction.set_rollback(is_undone)
    assert received == ([] if is_undone else [("signed_in", False), ("new_device", False)])


def test_a_refresh_sends_nothing_and_a_recovery_sends_an_event(user, clock, received):
    holder = Holder(user)
    clock.forward(STILL_TIME)
    received.clear()
    holder.present()
    assert received == []
    clock.forward(GRACE)
    holder.refresh()
    assert received == [("refresh_recovered", False)]


def test_the_end_of_a_session_is_sent_when_its_access_tokens_are_already_rejected(user):
    holder, known = Holder(user), []

    def look(**kwargs: Any) -> None:
        known.append(feed.is_revoked(holder.id))

    with connected(look):
        holder.end()
    assert known == [True]


@pytest.fixture
def broken() -> Iterator[None]:
    """A receiver that always fails. It is connected before `received`, so Django calls it first."""

    def fail(**kwargs: Any) -> None:
        raise RuntimeError("a bug")

    with connected(fail):
        yield


def test_a_receiver_that_fails_neither_undoes_the_event_nor_keeps_it_from_others(user, broken, received, caplog):
    holder = Holder(user)
    holder.end()
    assert holder.row.revoked_reason == RefreshToken.Reason.SIGNED_OUT
    assert [kind for kind, _ in received] == ["signed_in", "new_device", "revoked"]
    assert [record.name for record in caplog.records if record.levelname == "ERROR"] == ["django.dispatch"] * 3
