"""What other apps hear of security events: when they are committed, and without a way to break anything."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from tests.tokens.service.holders import GRACE, STILL_TIME, Holder
from tokens import sessions
from tokens.models import RefreshToken
from tokens.service.feed import feed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def heard() -> Iterator[list[Any]]:
    """The events that another app hears of, in order, and whether it was inside a transaction."""
    events: list[Any] = []

    def hear(*, event: Any, **kwargs: Any) -> None:
        events.append((event.kind, transaction.get_connection().in_atomic_block))

    sessions.happened.connect(hear)
    yield events
    sessions.happened.disconnect(hear)


@pytest.fixture
def deaf() -> Iterator[None]:
    """An app that fails at whatever it hears."""

    def fail(**kwargs: Any) -> None:
        raise RuntimeError("a bug")

    sessions.happened.connect(fail)
    yield
    sessions.happened.disconnect(fail)


def test_a_sign_in_is_heard_when_it_is_committed(user, heard):
    Holder(user)
    assert heard == [("signed_in", False), ("new_device", False)]


def test_it_is_heard_after_the_transaction_of_whoever_holds_one_open(user, heard):
    with transaction.atomic():
        Holder(user)
        assert heard == []
    assert [kind for kind, _ in heard] == ["signed_in", "new_device"]


def test_what_was_undone_is_not_heard(user, heard):
    with transaction.atomic():
        Holder(user)
        transaction.set_rollback(True)
    assert heard == []


def test_a_refresh_is_not_heard_and_a_recovery_is(user, clock, heard):
    holder = Holder(user)
    clock.forward(STILL_TIME)
    heard.clear()
    lost = holder.token
    holder.present()
    assert heard == []
    clock.forward(GRACE)
    holder.refresh(lost)
    assert heard == [("refresh_recovered", False)]


def test_an_end_is_heard_when_no_request_is_served_by_the_session_any_more(user):
    holder, known = Holder(user), []

    def look(*, event: Any, **kwargs: Any) -> None:
        known.append(feed.is_revoked(holder.id))

    sessions.happened.connect(look)
    try:
        holder.end()
    finally:
        sessions.happened.disconnect(look)
    assert known == [True]


def test_nobody_who_hears_of_it_can_break_it_or_keep_it_from_others(user, deaf, heard, caplog):
    holder = Holder(user)
    holder.end()
    assert holder.row.revoked_reason == RefreshToken.Reason.SIGNED_OUT
    assert [kind for kind, _ in heard] == ["signed_in", "new_device", "revoked"]
    assert [record.name for record in caplog.records if record.levelname == "ERROR"] == ["django.dispatch"] * 3
