"""Acknowledgements: the use of an access token proves that the client received the tokens of its generation.

A process collects them, writes each of them once, and writes them before it decides about a recovery.
"""

from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection

from tests.factories import UserFactory
from tests.tokens.service.holders import GRACE, STILL_TIME, Holder
from tests.tokens.service.statements import failing, statements
from tokens.models import RefreshToken
from tokens.service import acknowledgements
from tokens.service.issuing import IssuedTokens
from tokens.service.reauthentication import reauthenticate

pytestmark = pytest.mark.django_db


@pytest.fixture
def holder(user: Any, clock: Any) -> Holder:
    """A session at generation 0. Without it, a test would not notice that generation 0 counts as no generation."""
    return Holder(user)


@pytest.fixture
def used(holder: Holder, clock: Any) -> Holder:
    """A session at generation 1 whose access token was used later. The acknowledgement is noted, but not written.

    Without it, a test would not notice that noted acknowledgements are lost.
    """
    holder.refresh()
    clock.forward(STILL_TIME)
    use(holder.issued, clock)
    assert not holder.row.acknowledged
    return holder


def use(issued: IssuedTokens, clock: Any) -> None:
    """Use an access token, as the middleware notes it."""
    acknowledgements.note(issued.access, clock.now.timestamp())


def used_sessions(user: Any, clock: Any, count: int) -> list[Holder]:
    """Return so many sessions, the access tokens of which have all been used."""
    holders = [Holder(user) for _ in range(count)]
    clock.forward(STILL_TIME)
    for holder in holders:
        use(holder.issued, clock)
    return holders


def writes() -> int:
    """Write what was collected, and return how many UPDATE statements that took."""
    return sum(sql.startswith("UPDATE") for sql in statements(acknowledgements.flush))


class TestTheUseOfAnAccessToken:
    AGES = {
        "more than 90 seconds": ({}, 91, True),
        "exactly 90 seconds": ({}, 90, False),
        "more than the setting says": ({"ACKNOWLEDGE_AFTER": 40, "REUSE_GRACE": 5}, 41, True),
    }

    @pytest.mark.parametrize(("tokens", "age", "proves"), AGES.values(), ids=AGES)
    def test_long_after_it_was_issued_acknowledges_its_generation(self, holder, clock, settings, tokens, age, proves):
        settings.TOKENS = tokens
        other = Holder(holder.user)
        clock.forward(age)
        use(holder.issued, clock)
        assert acknowledgements.flush() == holder.row.acknowledged == proves
        assert not other.row.acknowledged

    def test_is_measured_from_its_own_iat_and_not_from_the_start_of_its_generation(self, holder, clock):
        holder.refresh()
        clock.forward(20)
        repeated = holder.refresh(holder.first)
        clock.forward(80)
        use(repeated, clock)
        assert not acknowledgements.flush()

    def test_without_a_generation_acknowledges_nothing(self, holder, clock):
        issued = reauthenticate(holder.user, holder.id)
        assert issued.access.generation is None
        clock.forward(STILL_TIME)
        use(issued, clock)
        assert not acknowledgements.flush()
        assert not holder.row.acknowledged

    def test_of_the_previous_generation_acknowledges_nothing(self, holder, clock):
        old = holder.issued
        holder.refresh()
        clock.forward(STILL_TIME)
        use(old, clock)
        acknowledgements.flush()
        assert not holder.row.acknowledged

    def test_by_a_request_is_written_when_the_feed_is_read_next(self, clock, signed_in):
        clock.forward(STILL_TIME)
        signed_in.get("/api/auth/me")
        assert not RefreshToken.objects.get().acknowledged
        clock.forward(1)
        with failing("UPDATE"):
            assert signed_in.get("/api/auth/me").status_code == 200, "a failure to write it rejects no request"
        assert not RefreshToken.objects.get().acknowledged
        clock.forward(1)
        signed_in.get("/api/auth/me")
        assert RefreshToken.objects.get().acknowledged


class TestWriting:
    def test_is_done_once_for_each_generation_of_a_session(self, holder, clock):
        for _ in range(2):
            holder.refresh()
            assert not holder.row.acknowledged
            clock.forward(STILL_TIME)
            for _ in range(3):
                use(holder.issued, clock)
            assert writes() == 1
            assert holder.row.acknowledged
            for _ in range(3):
                use(holder.issued, clock)
                assert writes() == 0

    def test_is_done_once_even_if_older_access_tokens_are_used_in_turn_with_the_newest(self, holder, clock):
        """For example a tab that has not noticed the refresh and keeps using its access token."""
        old = holder.issued
        holder.refresh()
        clock.forward(STILL_TIME)
        written = 0
        for _ in range(5):
            use(holder.issued, clock)
            use(old, clock)
            written += writes()
        assert written == 1
        assert holder.row.acknowledged

    @pytest.mark.parametrize(
        ("count", "chunk", "updates"), [(10, acknowledgements.CHUNK, 1), (7, 3, 3)], ids=["many", "very many"]
    )
    def test_takes_one_statement_for_many_sessions_and_more_for_very_many(
        self, user, clock, monkeypatch, count, chunk, updates
    ):
        monkeypatch.setattr(acknowledgements, "CHUNK", chunk)
        holders = used_sessions(user, clock, count)
        assert writes() == updates
        assert all(holder.row.acknowledged for holder in holders)

    def test_of_a_session_that_is_gone_is_no_error(self, used):
        RefreshToken.objects.all().delete()
        assert acknowledgements.flush()

    def test_remembers_a_limited_number(self, user, clock, monkeypatch):
        monkeypatch.setattr(acknowledgements, "REMEMBERED", 3)
        used_sessions(user, clock, 5)
        writes()
        assert len(acknowledgements._written) == 3

    def test_fails_while_the_database_is_down_and_loses_nothing(self, user, clock):
        holders = used_sessions(user, clock, 3)
        with failing(), pytest.raises(DatabaseError):
            acknowledgements.flush()
        assert not any(holder.row.acknowledged for holder in holders)
        assert writes() == 1
        assert all(holder.row.acknowledged for holder in holders)

    def test_that_fails_does_not_lose_a_newer_generation_noted_meanwhile(self, used, clock):
        newer = used.refresh()
        clock.forward(STILL_TIME)

        def fail(*arguments: Any) -> Any:
            use(newer, clock)
            raise OperationalError

        with connection.execute_wrapper(fail), pytest.raises(DatabaseError):
            acknowledgements.flush()
        acknowledgements.flush()
        assert used.row.acknowledged


class TestARecovery:
    """The previous token is presented. Whether that is a recovery depends on whether the current one was received."""

    @pytest.mark.parametrize("is_written", [True, False], ids=["written", "not written"])
    def test_is_rejected_as_reuse_if_its_generation_was_acknowledged_even_if_not_written_yet(self, used, is_written):
        if is_written:
            acknowledgements.flush()
        assert used.is_refused(used.first)
        assert used.row.revoked_reason == RefreshToken.Reason.REUSE

    def test_is_granted_if_only_other_sessions_were_acknowledged(self, holder, clock):
        other, lost = Holder(UserFactory()), holder.granted()
        clock.forward(STILL_TIME)
        use(other.issued, clock)
        assert holder.granted().refresh_token == lost.refresh_token
        assert other.row.acknowledged

    def test_is_not_granted_while_the_acknowledgements_cannot_be_written(self, used):
        with failing("UPDATE"), pytest.raises(OperationalError):
            used.present(used.first)
        assert used.row.recovered == 0
        assert used.is_refused(used.first)

    def test_that_was_granted_lets_the_generation_be_acknowledged_later(self, holder, clock):
        holder.present()
        clock.forward(GRACE)
        holder.refresh(holder.first)
        clock.forward(STILL_TIME)
        use(holder.issued, clock)
        acknowledgements.flush()
        assert holder.row.acknowledged
        assert holder.is_refused(holder.first)


def test_nothing_to_write_is_no_statement(holder):
    assert statements(acknowledgements.flush) == []
    assert not acknowledgements.flush()
