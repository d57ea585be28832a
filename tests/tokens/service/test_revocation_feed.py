"""The revocation feed: how a process learns of sessions that ended in another process, how soon, and at what cost."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone
from prometheus_client import REGISTRY

from tests.factories import UserFactory
from tests.tokens.service.holders import PATIENCE, STILL_TIME, AnotherProcess, Holder
from tests.tokens.service.statements import failing, query, statements
from tests.tokens.service.threads import in_thread, paused
from tokens.conf import token_settings
from tokens.database import transactions
from tokens.models import RefreshToken, Revocation
from tokens.service import acknowledgements
from tokens.service import revocation_feed as feed_module
from tokens.service.revocation_feed import LATE_COMMIT, MARGIN, REPLICA_RETRY_AFTER, FeedUnavailable, feed

pytestmark = pytest.mark.django_db

LAG = 1
LONGEST = 600 + MARGIN
"""Seconds. An access token that was issued before a revocation was read has expired after this time."""


@contextmanager
def reading(process: AnotherProcess) -> Iterator[None]:
    """Run the block while another thread is reading the feed for ``process``."""

    def read(pause: Callable[[], None]) -> None:
        def hold(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            pause()
            return execute(sql, params, many, context)

        with connection.execute_wrapper(hold):
            process.is_revoked(uuid4())

    with paused(read):
        process.forget_arrivals()
        yield


def committed_late(action: Callable[[], Any]) -> AbstractContextManager[None]:
    """Run the block between ``action`` in another thread's transaction and the commit of that transaction."""

    def work(pause: Callable[[], None]) -> None:
        with transaction.atomic():
            action()
            pause()

    return paused(work)


def end_elsewhere(*session_ids: UUID, created_at: Any = None) -> None:
    """Write revocations as another process does, so that the feed of this process does not know them."""
    now = created_at or timezone.now()
    Revocation.objects.bulk_create(Revocation(session_id=session_id, created_at=now) for session_id in session_ids)


class TestASessionThatEnded:
    def test_in_this_process_is_known_immediately(self, transactional_db, django_assert_num_queries):
        holder = Holder(UserFactory())
        assert not feed.is_revoked(holder.id)
        holder.end()
        with django_assert_num_queries(0):
            assert feed.is_revoked(holder.id)

    def test_in_a_transaction_that_was_rolled_back_has_not_ended(self, transactional_db):
        holder = Holder(UserFactory())
        with suppress(ZeroDivisionError), transaction.atomic():
            holder.end()
            raise ZeroDivisionError
        assert not feed.is_revoked(holder.id)
        assert not AnotherProcess().is_revoked(holder.id)

    @pytest.mark.parametrize("lag", [LAG, 60], ids=["by default", "as the setting says"])
    def test_in_another_process_is_looked_for_after_the_lag_and_not_before(
        self, elsewhere, holder, settings, lag, django_assert_num_queries
    ):
        other = Holder(holder.user)
        settings.TOKENS = {} if lag == LAG else {"REVOCATION_LAG": lag}
        elsewhere.forward(lag)
        elsewhere.is_revoked(holder.id)
        holder.end()
        elsewhere.forward(lag * 0.99)
        with django_assert_num_queries(0):
            assert not elsewhere.is_revoked(holder.id)
        elsewhere.forward(lag * 0.01)
        assert elsewhere.is_revoked(holder.id)
        assert not elsewhere.is_revoked(other.id)
        assert [elsewhere.knows_revoked(one.id) for one in (holder, other)] == [True, False]

    @pytest.mark.parametrize("ago", [0, LONGEST], ids=["just now", "while its access tokens may still be valid"])
    def test_is_known_to_a_process_that_starts_later(self, holder, ago):
        end_elsewhere(holder.id, created_at=timezone.now() - timedelta(seconds=ago))
        assert AnotherProcess().is_revoked(holder.id)

    def test_is_remembered_while_its_access_tokens_may_be_valid_whatever_ends_meanwhile(self, elsewhere, holder):
        holder.end()
        for later in (LAG, LAG, LAG, LONGEST - 2 * LAG - 1):
            elsewhere.forward(later)
            assert elsewhere.is_revoked(holder.id)
            Holder(holder.user).end()

    def test_is_forgotten_afterwards(self, elsewhere, user):
        for _ in range(20):
            Holder(user).end()
            elsewhere.forward(LAG)
            elsewhere.is_revoked(uuid4())
        assert len(elsewhere._revoked) == 20
        Revocation.objects.all().delete()
        elsewhere.forward(LONGEST)
        elsewhere.is_revoked(uuid4())
        assert not elsewhere._revoked

    def test_is_not_read_twice(self, elsewhere, user):
        """If no transaction is open, the cursor is after everything that was read."""
        Holder(user).end()
        elsewhere.forward(LAG)
        elsewhere.is_revoked(uuid4())
        assert elsewhere._cursor is not None
        assert feed_module._ask_primary(elsewhere._cursor)[0] >= elsewhere._cursor


@pytest.mark.only_on("postgresql")
class TestARevocationThatCommitsLate:
    """Its transaction began first, but others have been committed and read before it is committed."""

    @pytest.mark.parametrize("has_started", [True, False], ids=["a process that has read", "a new process"])
    def test_is_not_missed_and_neither_are_the_others(self, transactional_db, has_started):
        user, process = UserFactory(), AnotherProcess()
        late, *others = (Holder(user) for _ in range(4))
        if has_started:
            process.is_revoked(late.id)
        with committed_late(late.end):
            for other in others:
                other.end()
                process.forward(LAG)
                assert process.is_revoked(other.id)
            assert process.is_revoked(others[0].id)
            assert not process.is_revoked(late.id)
        process.forward(LAG)
        assert process.is_revoked(late.id)

    def test_is_not_missed_by_a_process_that_starts_ten_minutes_after_it_was_written(self, transactional_db):
        """A process that starts does not know the id of the transaction, but only when the revocation was written."""
        late = Holder(UserFactory())
        end_elsewhere(late.id, created_at=timezone.now() - LATE_COMMIT)
        assert AnotherProcess().is_revoked(late.id)


class TestAFlood:
    """More revocations than a process keeps in memory. Until they expire, each check queries the database."""

    LIMIT = 5

    @pytest.fixture(autouse=True)
    def _low_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lower the limit. With the real one, no test would reach it."""
        monkeypatch.setattr(feed_module, "FLOOD", self.LIMIT)

    @pytest.fixture
    def flooded(self, elsewhere: AnotherProcess) -> AnotherProcess:
        """A process with one revocation too many. Without it, a test would not notice that a flood is ignored."""
        end_elsewhere(*(uuid4() for _ in range(self.LIMIT + 1)))
        elsewhere.forward(LAG)
        return elsewhere

    def test_is_answered_by_the_database(self, flooded, holder, django_assert_num_queries):
        live = Holder(holder.user)
        holder.end()
        assert flooded.is_revoked(holder.id)
        assert not flooded._revoked
        with django_assert_num_queries(2):
            assert flooded.is_revoked(holder.id)
            assert not flooded.is_revoked(live.id)

    def test_includes_a_session_whose_row_is_gone(self, flooded, holder):
        holder.user.delete()
        assert flooded.is_revoked(holder.id)

    def test_shows_a_session_that_ends_meanwhile_immediately(self, flooded, holder):
        assert not flooded.is_revoked(holder.id)
        holder.end()
        assert flooded.is_revoked(holder.id)

    def test_may_come_bit_by_bit(self, elsewhere, holder):
        for _ in range(self.LIMIT + 1):
            end_elsewhere(uuid4())
            elsewhere.forward(LAG)
            elsewhere.is_revoked(uuid4())
        assert not elsewhere._revoked
        holder.end()
        assert elsewhere.is_revoked(holder.id)

    def test_may_be_caused_by_this_process_itself(self, transactional_db):
        user = UserFactory()
        live, *ended = (Holder(user) for _ in range(self.LIMIT + 2))
        feed.is_revoked(uuid4())
        for holder in ended:
            holder.end()
        assert feed.is_revoked(ended[0].id)
        assert not feed.is_revoked(live.id)

    def test_is_not_reached_by_exactly_the_limit(self, elsewhere, django_assert_num_queries):
        ended = [uuid4() for _ in range(self.LIMIT)]
        end_elsewhere(*ended)
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(ended[0])
        with django_assert_num_queries(0):
            assert all(elsewhere.is_revoked(session_id) for session_id in ended)

    def test_passes(self, transactional_db, clock, flooded, django_assert_num_queries):
        holder = Holder(UserFactory())
        flooded.is_revoked(holder.id)
        for _ in range(3):
            clock.forward(LONGEST)
            flooded.forward(LONGEST)
            flooded.is_revoked(holder.id)
        with django_assert_num_queries(0):
            assert not flooded.is_revoked(holder.id)
        holder.end()
        flooded.forward(LAG)
        assert flooded.is_revoked(holder.id)

    def test_that_passes_leaves_nothing_unread(self, clock, flooded, holder):
        flooded.is_revoked(holder.id)
        clock.forward(2 * LONGEST - 60)
        flooded.forward(2 * LONGEST - 60)
        holder.end()
        clock.forward(60)
        flooded.forward(60)
        assert flooded.is_revoked(holder.id)


@pytest.fixture(params=["running", "started meanwhile"])
def cut_off(request: pytest.FixtureRequest, elsewhere: AnotherProcess) -> AnotherProcess:
    """A process that has to read the feed now: one that has read it before, or one that has just started.

    Without both of them, a test would miss that one of the two answers before it has read anything.
    """
    if request.param != "running":
        return AnotherProcess()
    elsewhere.forward(LAG)
    return elsewhere


class TestAFeedThatCannotBeRead:
    def test_leaves_access_tokens_valid_and_is_tried_once_a_lag(self, cut_off, holder):
        with failing() as failed:
            assert not cut_off.is_revoked(holder.id)
            once = len(failed)
            for _ in range(10):
                assert not cut_off.is_revoked(holder.id)
            assert len(failed) == once > 0
            cut_off.forward(LAG)
            cut_off.is_revoked(holder.id)
        assert len(failed) == 2 * once

    def test_is_caught_up_with_when_it_can_be_read_again(self, cut_off, holder):
        holder.end()
        with failing():
            assert not cut_off.is_revoked(holder.id)
        cut_off.forward(LAG)
        assert cut_off.is_revoked(holder.id)

    def test_is_logged_with_the_kind_of_the_error(self, cut_off, caplog):
        caplog.set_level(logging.INFO, "tokens")
        with failing():
            cut_off.is_revoked(uuid4())
        assert 'event="feed unreadable" error=OperationalError' in caplog.messages

    def test_does_not_clear_what_was_read_before(self, elsewhere, holder):
        holder.end()
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(holder.id)
        elsewhere.forward(LAG)
        with failing():
            assert elsewhere.is_revoked(holder.id)

    @pytest.mark.only_on("postgresql")
    def test_is_queried_with_a_short_timeout_that_applies_to_this_query_only(self, transactional_db):
        sent = statements(lambda: AnotherProcess().is_revoked(uuid4()))
        assert sent[0] == "BEGIN"
        assert sent[1].startswith("SET LOCAL statement_timeout = ")
        assert query("SHOW statement_timeout") == ("0",)


class TestAFeedThatCannotBeReadInStrictMode:
    @pytest.fixture(autouse=True)
    def _strict(self, settings: Any) -> None:
        """Reject access tokens while the feed cannot be read. By default they stay valid."""
        settings.TOKENS = {"REVOCATION_STRICT": True}

    def test_rejects_access_tokens_until_it_can_be_read_again(self, cut_off, holder):
        with failing():
            for _ in range(2):
                with pytest.raises(FeedUnavailable):
                    cut_off.is_revoked(holder.id)
        cut_off.forward(LAG)
        assert not cut_off.is_revoked(holder.id)


@pytest.mark.only_on("postgresql")
class TestALock:
    """While another transaction holds a lock, a request waits for a moment, but not longer."""

    @pytest.fixture(autouse=True)
    def _short_wait(self, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        """Shorten the moment. With the real one, these tests would take seconds."""
        monkeypatch.setattr(transactions, "TIMEOUT_MS", 50)

    def test_on_the_table_makes_the_feed_unreadable(self):
        process, holder = AnotherProcess(), Holder(UserFactory())
        process.is_revoked(holder.id)
        holder.end()
        process.forward(LAG)
        with committed_late(lambda: query("LOCK TABLE tokens_revocation")):
            assert not process.is_revoked(holder.id)
        process.forward(LAG)
        assert process.is_revoked(holder.id)

    def test_on_a_session_delays_its_acknowledgement_but_not_the_feed(self, clock):
        """The row is locked while the commit that ends the session waits for a standby, however long that takes."""
        user, process = UserFactory(), AnotherProcess()
        locked, ended = Holder(user), Holder(user)
        process.is_revoked(ended.id)
        clock.forward(STILL_TIME)
        acknowledgements.note(locked.issued.access, clock.now.timestamp())
        ended.end()
        process.forward(LAG)
        with committed_late(lambda: RefreshToken.objects.select_for_update().get(id=locked.id)):
            process.is_revoked(ended.id)
            process.forward(LAG)
            assert process.is_revoked(ended.id)
        assert acknowledgements.flush()
        assert locked.row.acknowledged


@pytest.mark.usefixtures("transactional_db")
class TestParallelRequests:
    @pytest.mark.parametrize("strict", [False, True], ids=["not strict", "strict"])
    def test_use_the_last_answer_while_one_of_them_reads_the_feed(self, settings, django_assert_num_queries, strict):
        settings.TOKENS = {"REVOCATION_STRICT": strict}
        process, holder = AnotherProcess(), Holder(UserFactory())
        holder.end()
        assert process.is_revoked(holder.id)
        process.forward(LAG)
        with reading(process), django_assert_num_queries(0):
            assert process.is_revoked(holder.id)
            assert not process.is_revoked(uuid4())

    @pytest.mark.parametrize("has_started", [True, False], ids=["a process that has read", "a new process"])
    def test_wait_for_the_one_that_reads_if_the_last_answer_is_old_or_missing(self, monkeypatch, has_started):
        """For example a page that sends six requests after a minute without any."""
        monkeypatch.setattr(feed_module, "TIMEOUT_MS", PATIENCE * 1000)
        process, holder = AnotherProcess(), Holder(UserFactory())
        if has_started:
            process.is_revoked(holder.id)
            process.forward(60)
        holder.end()
        answers: list[bool] = []

        def work() -> None:
            sent = statements(lambda: answers.append(process.is_revoked(holder.id)))
            assert sent == [], "only one of them reads the feed"

        with ExitStack() as others, reading(process):
            process.forward(0.1)
            for _ in range(5):
                others.enter_context(in_thread(work))
            process.wait_for_arrivals(5)
            assert answers == []
        assert answers == [True] * 5

    def test_do_not_wait_for_long(self, monkeypatch):
        monkeypatch.setattr(feed_module, "TIMEOUT_MS", 10)
        process, holder = AnotherProcess(), Holder(UserFactory())
        holder.end()
        assert process.is_revoked(holder.id)
        process.forward(60)
        with reading(process):
            assert process.is_revoked(holder.id)

    def test_that_waited_in_vain_do_not_all_try_again(self):
        """While the database is down, no request waits for more than one attempt beside its own."""
        attempts: list[float] = []
        process, access = AnotherProcess(), Holder(UserFactory()).issued.access
        acknowledgements.note(access, access.issued_at + STILL_TIME)  # It is to be written after a read.

        def fail(*arguments: Any) -> Any:
            attempts.append(process.now)
            process.forward(5)  # The time until a connection attempt fails.
            raise OperationalError

        def work() -> None:
            with connection.execute_wrapper(fail):
                process.is_revoked(uuid4())

        def first(pause: Callable[[], None]) -> None:
            def hold(*arguments: Any) -> Any:
                pause()
                return fail(*arguments)

            with connection.execute_wrapper(hold):
                process.is_revoked(uuid4())

        with ExitStack() as others, paused(first):
            process.forget_arrivals()
            for _ in range(5):
                process.forward(LAG)  # Each comes later than the previous one, and all wait.
                others.enter_context(in_thread(work))
                process.wait_for_arrivals(1)
        assert len(attempts) == 2


class TestADatabaseThatWasRestored:
    """Its transaction ids and rows are those of an earlier time."""

    @pytest.mark.parametrize("has_news", [True, False], ids=["news", "no news"])
    def test_is_read_from_the_start_and_then_from_there(self, elsewhere, holder, has_news):
        other = Holder(holder.user)
        assert elsewhere._cursor is not None
        elsewhere._cursor += 1_000_000
        if has_news:
            other.end()
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(other.id) == has_news
        assert not elsewhere.is_revoked(holder.id)
        holder.end()
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(holder.id)

    def test_is_not_assumed_when_nothing_is_new(self, elsewhere):
        elsewhere.forward(LAG)
        sent = statements(lambda: elsewhere.is_revoked(uuid4()))
        assert sent
        assert not [text for text in sent if "created_at" in text], "The recent ones are not loaded again."


class Replicated:
    """A router as of a project that reads revocations from a replica."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "replica" if model is Revocation else None


@contextmanager
def read(**times: int) -> Iterator[None]:
    """Within, the feed is read so often from the primary, and so often from the replica."""

    def count(database: str) -> float:
        return REGISTRY.get_sample_value("latchkey_feed_reads_total", {"answered_by": database}) or 0

    before = {database: count(database) for database in ("primary", "replica")}
    yield
    assert {database: count(database) - before[database] for database in before} == {"primary": 0, **times}


@pytest.mark.only_on("postgresql")
class TestAReplica:
    """Here it is the same database. `tests.scale.test_replica` reads from a real one."""

    @pytest.fixture
    def lags(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
        """What it answers next when it is asked how far it is behind. An exception is raised.

        A database that is no replica does not know, and nothing would be read from it.
        """
        answers: list[Any] = []

        def replication_lag(alias: str) -> Any:
            assert alias == "replica"
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(feed_module, "replication_lag", replication_lag)
        settings.DATABASE_ROUTERS = [f"{__name__}.{Replicated.__name__}"]
        connections["replica"] = connection
        yield answers
        del connections["replica"]

    def test_that_is_up_to_date_is_read_instead_of_the_primary(self, lags, holder):
        process = AnotherProcess()
        lags += [timedelta(0)] * 2
        with read(replica=2):
            assert not process.is_revoked(holder.id)
            holder.end()
            process.forward(LAG)
            assert process.is_revoked(holder.id)

    def test_that_does_not_answer_is_not_asked_for_a_while(self, lags):
        process = AnotherProcess()
        lags += [OperationalError(), timedelta(0)]
        with read(primary=2, replica=1):
            for later in (0, REPLICA_RETRY_AFTER - LAG, LAG):
                process.forward(later)
                process.is_revoked(uuid4())


def test_revocations_are_kept_longer_than_any_access_token_is_valid():
    assert timedelta(seconds=LONGEST) > token_settings().access_lifetime
