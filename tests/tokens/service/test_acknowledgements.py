"""Acknowledgements: what the use of an access token proves, written seldom, lost never, and known before a recovery."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, OperationalError, connection
from django.test.utils import CaptureQueriesContext

from tests.browsers import login
from tests.factories import UserFactory
from tests.tokens.service.holders import GRACE, STILL_TIME, Holder
from tokens.models import RefreshToken
from tokens.service import acknowledgements
from tokens.service.feed import feed
from tokens.service.grants import Grant
from tokens.service.keeping import reauthenticate

pytestmark = pytest.mark.django_db

ACKNOWLEDGE_AFTER = 90


@pytest.fixture
def holder(user: Any, clock: Any) -> Holder:
    return Holder(user)


def use(grant: Grant, clock: Any) -> None:
    """Use an access token, as the middleware notes it."""
    acknowledgements.note(grant.access, clock.now.timestamp())


def writes() -> int:
    """Write what was collected; return how many rows were updated by it, or tried to."""
    with CaptureQueriesContext(connection) as captured:
        acknowledgements.flush()
    return sum(query["sql"].startswith("UPDATE") for query in captured)


@contextmanager
def down() -> Iterator[None]:
    def fail(*args: Any) -> Any:
        raise OperationalError("the connection is lost")

    with connection.execute_wrapper(fail):
        yield


class TestTheUseOfAnAccessToken:
    def test_long_after_it_was_minted_acknowledges_its_generation(self, holder, clock):
        clock.forward(ACKNOWLEDGE_AFTER + 1)
        use(holder.grant, clock)
        assert acknowledgements.flush()
        assert holder.row.acknowledged

    def test_soon_after_it_was_minted_proves_nothing(self, holder, clock):
        clock.forward(ACKNOWLEDGE_AFTER)
        use(holder.grant, clock)
        assert not acknowledgements.flush()
        assert not holder.row.acknowledged

    def test_is_measured_from_its_own_iat_not_from_its_generations_start(self, holder, clock):
        first = holder.token
        holder.refresh()
        clock.forward(20)
        repeated = holder.refresh(first)
        clock.forward(ACKNOWLEDGE_AFTER - 10)
        use(repeated, clock)
        assert not acknowledgements.flush()

    def test_follows_the_settings(self, holder, clock, settings):
        settings.TOKENS = {"ACKNOWLEDGE_AFTER": 40, "REUSE_GRACE": 5}
        clock.forward(41)
        use(holder.grant, clock)
        assert acknowledgements.flush()

    def test_without_a_generation_acknowledges_nothing(self, holder, clock):
        grant = reauthenticate(holder.user, holder.id)
        assert grant is not None
        assert grant.access.generation is None
        clock.forward(STILL_TIME)
        use(grant, clock)
        assert not acknowledgements.flush()
        assert not holder.row.acknowledged

    def test_of_the_generation_before_acknowledges_nothing(self, holder, clock):
        old = holder.grant
        holder.refresh()
        clock.forward(STILL_TIME)
        use(old, clock)
        acknowledgements.flush()
        assert not holder.row.acknowledged

    def test_of_one_session_acknowledges_no_other(self, holder, clock):
        other = Holder(holder.user)
        clock.forward(STILL_TIME)
        use(holder.grant, clock)
        acknowledgements.flush()
        assert holder.row.acknowledged
        assert not other.row.acknowledged

    def test_by_a_request_is_written_in_a_later_turn_of_the_feed(self, api, user, clock):
        login(api, user)
        clock.forward(STILL_TIME)
        api.get("/api/auth/me")
        assert not RefreshToken.objects.get().acknowledged
        clock.forward(1)
        api.get("/api/auth/me")
        assert RefreshToken.objects.get().acknowledged


class TestWriting:
    def test_is_done_once_for_a_session_and_generation(self, holder, clock):
        clock.forward(STILL_TIME)
        for _ in range(3):
            use(holder.grant, clock)
        assert writes() == 1
        for _ in range(3):
            use(holder.grant, clock)
            assert writes() == 0

    def test_is_done_once_more_for_the_next_generation(self, holder, clock):
        clock.forward(STILL_TIME)
        use(holder.grant, clock)
        writes()
        holder.refresh()
        assert not holder.row.acknowledged
        clock.forward(STILL_TIME)
        use(holder.grant, clock)
        assert writes() == 1
        assert holder.row.acknowledged

    def test_is_done_once_though_older_access_tokens_are_used_in_turn_with_the_newest(self, holder, clock):
        """A tab that has not heard of the refresh goes on with what it has."""
        old = holder.grant
        holder.refresh()
        clock.forward(STILL_TIME)
        written = 0
        for _ in range(5):
            use(holder.grant, clock)
            use(old, clock)
            written += writes()
        assert written == 1
        assert holder.row.acknowledged

    def test_takes_one_statement_for_many_sessions(self, user, clock):
        holders = [Holder(user) for _ in range(10)]
        clock.forward(STILL_TIME)
        for holder in holders:
            use(holder.grant, clock)
        assert writes() == 1
        assert all(holder.row.acknowledged for holder in holders)

    def test_takes_more_statements_for_very_many(self, user, clock, monkeypatch):
        monkeypatch.setattr(acknowledgements, "CHUNK", 3)
        holders = [Holder(user) for _ in range(7)]
        clock.forward(STILL_TIME)
        for holder in holders:
            use(holder.grant, clock)
        assert writes() == 3
        assert all(holder.row.acknowledged for holder in holders)

    def test_of_a_session_that_is_gone_is_no_error(self, holder, clock):
        clock.forward(STILL_TIME)
        use(holder.grant, clock)
        RefreshToken.objects.all().delete()
        assert acknowledgements.flush()

    def test_remembers_a_bounded_number(self, user, clock, monkeypatch):
        monkeypatch.setattr(acknowledgements, "REMEMBERED", 3)
        holders = [Holder(user) for _ in range(5)]
        clock.forward(STILL_TIME)
        for holder in holders:
            use(holder.grant, clock)
        writes()
        assert len(acknowledgements._written) == 3

    def test_fails_while_the_database_is_down_and_loses_nothing(self, user, clock):
        holders = [Holder(user) for _ in range(3)]
        clock.forward(STILL_TIME)
        for holder in holders:
            use(holder.grant, clock)
        with down(), pytest.raises(DatabaseError):
            acknowledgements.flush()
        assert not any(holder.row.acknowledged for holder in holders)
        assert writes() == 1
        assert all(holder.row.acknowledged for holder in holders)

    def test_that_failed_does_not_forget_a_newer_generation_noted_meanwhile(self, holder, clock):
        clock.forward(STILL_TIME)
        use(holder.grant, clock)
        newer = _next_generation(holder, clock)
        with connection.execute_wrapper(_noting(newer, clock)), pytest.raises(DatabaseError):
            acknowledgements.flush()
        acknowledgements.flush()
        assert holder.row.acknowledged

    def test_is_no_reason_to_refuse_a_request(self, api, user, clock):
        login(api, user)
        clock.forward(STILL_TIME)
        api.get("/api/auth/me")
        clock.forward(1)
        with connection.execute_wrapper(_only_updates_fail):
            assert api.get("/api/auth/me").status_code == 200
        clock.forward(1)
        api.get("/api/auth/me")
        assert RefreshToken.objects.get().acknowledged


class TestARecovery:
    """The generation before is presented: was the current one received?"""

    def test_is_refused_as_reuse_once_its_generation_is_acknowledged(self, holder, clock):
        first = holder.token
        holder.refresh()
        clock.forward(STILL_TIME)
        use(holder.grant, clock)
        acknowledgements.flush()
        assert holder.is_refused(first)
        assert holder.row.revoked_reason == RefreshToken.Reason.REUSE

    def test_is_refused_for_what_this_process_has_seen_and_not_yet_written(self, holder, clock):
        first = holder.token
        holder.refresh()
        clock.forward(STILL_TIME)
        use(holder.grant, clock)
        assert not holder.row.acknowledged
        assert holder.is_refused(first)
        assert holder.row.revoked_reason == RefreshToken.Reason.REUSE

    def test_is_granted_where_only_others_sessions_were_acknowledged(self, holder, clock):
        other, first = Holder(UserFactory()), holder.token
        lost = holder.present()
        clock.forward(STILL_TIME)
        use(other.grant, clock)
        assert isinstance(lost, Grant)
        assert holder.refresh(first).refresh_token == lost.refresh_token
        assert other.row.acknowledged

    def test_is_not_granted_while_what_was_seen_cannot_be_written(self, holder, clock):
        first = holder.token
        holder.refresh()
        clock.forward(STILL_TIME)
        use(holder.grant, clock)
        with connection.execute_wrapper(_only_updates_fail), pytest.raises(OperationalError):
            holder.present(first)
        assert holder.row.recovered == 0
        assert holder.is_refused(first)

    def test_that_was_granted_leaves_the_generation_to_be_acknowledged_later(self, holder, clock):
        first = holder.token
        holder.present()
        clock.forward(GRACE)
        holder.refresh(first)
        clock.forward(STILL_TIME)
        use(holder.grant, clock)
        acknowledgements.flush()
        assert holder.row.acknowledged
        assert holder.is_refused(first)


def test_what_one_process_noted_is_forgotten_by_a_new_one(holder, clock):
    clock.forward(STILL_TIME)
    use(holder.grant, clock)
    acknowledgements.forget()
    assert not acknowledgements.flush()


def test_nothing_to_write_is_no_statement(holder, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert not acknowledgements.flush()


def test_the_feed_asks_and_writes_in_one_turn(holder, clock):
    feed.is_revoked(uuid4())
    clock.forward(STILL_TIME)
    use(holder.grant, clock)
    feed.is_revoked(uuid4())
    assert holder.row.acknowledged


def _next_generation(holder: Holder, clock: Any) -> Grant:
    grant = holder.refresh()
    clock.forward(STILL_TIME)
    return grant


def _noting(grant: Grant, clock: Any) -> Any:
    """Fail, and let another thread note the use of a newer access token at that moment."""

    def wrapper(*args: Any) -> Any:
        use(grant, clock)
        raise OperationalError

    return wrapper


def _only_updates_fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    if sql.startswith("UPDATE"):
        raise OperationalError("canceling statement due to statement timeout")
    return execute(sql, params, many, context)
