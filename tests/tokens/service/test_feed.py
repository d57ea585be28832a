"""The revocation feed: what one process hears of sessions that ended in another, how soon, and at what price."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from threading import Event, Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import tokens.database
from accounts.models import User
from tests.browsers import login
from tests.factories import UserFactory
from tests.tokens.service.holders import STILL_TIME, AnotherProcess, Holder
from tokens.conf import token_settings
from tokens.models import RefreshToken, Revocation
from tokens.service import acknowledgements
from tokens.service import feed as feed_module
from tokens.service.feed import LATE_COMMIT, MARGIN, FeedUnavailable, RevocationFeed, feed

Queries = Callable[[int], AbstractContextManager[Any]]

pytestmark = pytest.mark.django_db

LAG = 1
LONGEST = 600 + MARGIN
"""Seconds after which no access token can be good that was minted before a revocation was seen."""
PATIENCE = 30.0
"""Seconds after which something that should have happened will not."""


@pytest.fixture
def elsewhere(db: None) -> AnotherProcess:
    """A process that has answered before, and hears of nothing that this one does but through the database."""
    process = AnotherProcess()
    process.is_revoked(uuid4())
    return process


@pytest.fixture
def holder(user: Any) -> Holder:
    return Holder(user)


@contextmanager
def unreadable() -> Iterator[list[str]]:
    """Let every statement fail, as while the database is down; gives those that were tried."""
    tried: list[str] = []

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        tried.append(sql)
        raise OperationalError("the connection is lost")

    with connection.execute_wrapper(fail):
        yield tried


@contextmanager
def reading(process: RevocationFeed) -> Iterator[None]:
    """Let another thread be in the middle of asking the database for ``process``."""
    asking, go_on = Event(), Event()

    def hold(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asking.set()
        assert go_on.wait(PATIENCE)
        return execute(sql, params, many, context)

    def work() -> None:
        with connection.execute_wrapper(hold):
            process.is_revoked(uuid4())

    with in_thread(work):
        assert asking.wait(PATIENCE)
        try:
            yield
        finally:
            go_on.set()


@contextmanager
def in_thread(work: Callable[[], None]) -> Iterator[None]:
    """Do this in a thread with a connection of its own; what fails there fails the test."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(PATIENCE)
    assert not thread.is_alive()
    assert not errors, errors


def end_unheard(*session_ids: UUID, created_at: Any = None) -> None:
    """Write revocations as another process does."""
    now = created_at or timezone.now()
    Revocation.objects.bulk_create(Revocation(session_id=session_id, created_at=now) for session_id in session_ids)


class TestASessionThatEnded:
    def test_in_this_process_is_known_at_once(self, transactional_db, django_assert_num_queries):
        holder = Holder(UserFactory())
        assert not feed.is_revoked(holder.id)
        holder.end()
        with django_assert_num_queries(0):
            assert feed.is_revoked(holder.id)

    def test_in_a_transaction_that_was_undone_has_not_ended(self, transactional_db):
        holder, process = Holder(UserFactory()), AnotherProcess()
        with suppress(ZeroDivisionError), transaction.atomic():
            holder.end()
            raise ZeroDivisionError
        assert not feed.is_revoked(holder.id)
        assert not process.is_revoked(holder.id)

    def test_in_another_process_is_known_after_the_lag(self, elsewhere, holder):
        other = Holder(holder.user)
        holder.end()
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(holder.id)
        assert not elsewhere.is_revoked(other.id)

    def test_is_not_asked_for_before_the_lag(self, elsewhere, holder, django_assert_num_queries):
        elsewhere.forward(LAG)
        elsewhere.is_revoked(holder.id)
        holder.end()
        elsewhere.forward(LAG * 0.99)
        with django_assert_num_queries(0):
            assert not elsewhere.is_revoked(holder.id)
        elsewhere.forward(LAG * 0.01)
        assert elsewhere.is_revoked(holder.id)

    def test_follows_the_lag_of_the_settings(self, elsewhere, holder, settings, django_assert_num_queries):
        settings.TOKENS = {"REVOCATION_LAG": 60}
        holder.end()
        elsewhere.forward(59)
        with django_assert_num_queries(0):
            assert not elsewhere.is_revoked(holder.id)
        elsewhere.forward(1)
        assert elsewhere.is_revoked(holder.id)

    def test_is_known_to_a_process_that_has_just_started(self, holder):
        holder.end()
        assert AnotherProcess().is_revoked(holder.id)

    def test_is_known_to_one_that_starts_when_its_access_tokens_may_still_live(self, holder):
        end_unheard(holder.id, created_at=timezone.now() - timedelta(seconds=LONGEST))
        assert AnotherProcess().is_revoked(holder.id)

    def test_is_remembered_whatever_ends_after_it(self, elsewhere, holder):
        holder.end()
        for _ in range(5):
            elsewhere.forward(LAG)
            assert elsewhere.is_revoked(holder.id)
            Holder(holder.user).end()

    def test_is_remembered_while_an_access_token_of_it_may_live(self, elsewhere, holder):
        holder.end()
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(holder.id)
        elsewhere.forward(LONGEST - 1)
        assert elsewhere.is_revoked(holder.id)

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

    def test_is_not_asked_for_twice(self, elsewhere, user):
        """Where nothing is under way, what was read is behind the cursor."""
        Holder(user).end()
        elsewhere.forward(LAG)
        elsewhere.is_revoked(uuid4())
        assert elsewhere._cursor is not None
        assert feed_module._ask_primary(elsewhere._cursor)[0] >= elsewhere._cursor


class TestAUser:
    def test_who_is_deleted_is_signed_out_though_the_rows_are_gone(self, elsewhere, holder):
        holder.user.delete()
        assert not RefreshToken.objects.exists()
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(holder.id)

    def test_who_is_deleted_with_others_is_signed_out(self, elsewhere, holder):
        get_user_model()._default_manager.filter(pk=holder.user.pk).delete()
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(holder.id)

    @pytest.mark.parametrize("how", ["save", "save_of_one_field", "update", "bulk_update"])
    def test_who_is_switched_off_is_signed_out(self, elsewhere, holder, how):
        other, user = Holder(UserFactory()), holder.user
        user.is_active = False
        match how:
            case "save":
                user.save()
            case "save_of_one_field":
                user.save(update_fields=["is_active"])
            case "update":
                User.objects.filter(pk=user.pk).update(is_active=False)
            case _:
                User.objects.bulk_update([user], ["is_active"])
        assert holder.row.revoked_reason == RefreshToken.Reason.USER_DISABLED
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(holder.id)
        assert not elsewhere.is_revoked(other.id)

    def test_who_is_saved_without_being_switched_off_is_not(self, elsewhere, holder):
        holder.user.save()
        User.objects.update(is_active=True)
        elsewhere.forward(LAG)
        assert not elsewhere.is_revoked(holder.id)


@pytest.mark.only_on("postgresql")
class TestARevocationThatCommitsLate:
    """Its transaction began first, and others have committed and been read before it commits."""

    @contextmanager
    def _open_revocation(self, holder: Holder) -> Iterator[None]:
        """The session's end is written, and not committed before this is left."""
        written, commit = Event(), Event()

        def work() -> None:
            with transaction.atomic():
                holder.end()
                written.set()
                assert commit.wait(PATIENCE)

        with in_thread(work):
            assert written.wait(PATIENCE)
            try:
                yield
            finally:
                commit.set()

    def test_is_not_missed(self, transactional_db):
        user, process = UserFactory(), AnotherProcess()
        late, early = Holder(user), Holder(user)
        process.is_revoked(late.id)
        with self._open_revocation(late):
            for other in (early, Holder(user), Holder(user)):
                other.end()
                process.forward(LAG)
                assert process.is_revoked(other.id)
            assert not process.is_revoked(late.id)
        process.forward(LAG)
        assert process.is_revoked(late.id)

    def test_is_not_missed_by_a_process_that_started_meanwhile(self, transactional_db):
        user, process = UserFactory(), AnotherProcess()
        late, early = Holder(user), Holder(user)
        with self._open_revocation(late):
            early.end()
            assert process.is_revoked(early.id)
            assert not process.is_revoked(late.id)
        process.forward(LAG)
        assert process.is_revoked(late.id)

    def test_is_not_missed_however_late(self, transactional_db):
        """A process that starts does not know the transaction's id, only when the revocation was written."""
        late, process = Holder(UserFactory()), AnotherProcess()
        end_unheard(late.id, created_at=timezone.now() - LATE_COMMIT)
        assert process.is_revoked(late.id)

    def test_does_not_make_the_feed_lose_what_it_has_read(self, transactional_db):
        user, process = UserFactory(), AnotherProcess()
        late, early = Holder(user), Holder(user)
        process.is_revoked(late.id)
        with self._open_revocation(late):
            early.end()
            for _ in range(3):
                process.forward(LAG)
                assert process.is_revoked(early.id)


class TestAFlood:
    LIMIT = 5

    @pytest.fixture(autouse=True)
    def _little_is_a_flood(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(feed_module, "FLOOD", self.LIMIT)

    def test_is_answered_by_the_database(self, elsewhere, holder, django_assert_num_queries):
        living = Holder(holder.user)
        holder.end()
        end_unheard(*(uuid4() for _ in range(self.LIMIT)))
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(holder.id)
        assert not elsewhere._revoked
        with django_assert_num_queries(2):
            assert elsewhere.is_revoked(holder.id)
            assert not elsewhere.is_revoked(living.id)

    def test_refuses_a_session_whose_row_is_gone(self, elsewhere, holder):
        end_unheard(*(uuid4() for _ in range(self.LIMIT + 1)))
        holder.user.delete()
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(holder.id)

    def test_shows_a_session_that_ends_meanwhile_at_once(self, elsewhere, holder):
        end_unheard(*(uuid4() for _ in range(self.LIMIT + 1)))
        elsewhere.forward(LAG)
        assert not elsewhere.is_revoked(holder.id)
        holder.end()
        assert elsewhere.is_revoked(holder.id)

    def test_may_come_in_drops(self, elsewhere, holder):
        for _ in range(self.LIMIT + 1):
            end_unheard(uuid4())
            elsewhere.forward(LAG)
            elsewhere.is_revoked(uuid4())
        assert not elsewhere._revoked
        holder.end()
        assert elsewhere.is_revoked(holder.id)

    def test_of_this_processs_own_making_is_one_too(self, transactional_db):
        user = UserFactory()
        holders = [Holder(user) for _ in range(self.LIMIT + 2)]
        feed.is_revoked(uuid4())
        for holder in holders[1:]:
            holder.end()
        assert feed.is_revoked(holders[1].id)
        assert not feed.is_revoked(holders[0].id)

    def test_of_just_as_many_as_may_be_kept_is_none(self, elsewhere, django_assert_num_queries):
        ended = [uuid4() for _ in range(self.LIMIT)]
        end_unheard(*ended)
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(ended[0])
        with django_assert_num_queries(0):
            assert all(elsewhere.is_revoked(session_id) for session_id in ended)

    def test_passes(self, transactional_db, clock, django_assert_num_queries):
        elsewhere, holder = AnotherProcess(), Holder(UserFactory())
        end_unheard(*(uuid4() for _ in range(self.LIMIT + 1)))
        elsewhere.forward(LAG)
        elsewhere.is_revoked(holder.id)
        for _ in range(3):
            clock.forward(LONGEST)
            elsewhere.forward(LONGEST)
            elsewhere.is_revoked(holder.id)
        with django_assert_num_queries(0):
            assert not elsewhere.is_revoked(holder.id)
        holder.end()
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(holder.id)

    def test_that_passes_leaves_nothing_unread(self, elsewhere, holder, clock):
        end_unheard(*(uuid4() for _ in range(self.LIMIT + 1)))
        elsewhere.forward(LAG)
        elsewhere.is_revoked(holder.id)
        clock.forward(2 * LONGEST - 60)
        elsewhere.forward(2 * LONGEST - 60)
        holder.end()
        clock.forward(60)
        elsewhere.forward(60)
        assert elsewhere.is_revoked(holder.id)


class TestAnUnreadableFeed:
    def test_leaves_access_tokens_good_until_they_expire(self, elsewhere, holder):
        elsewhere.forward(LAG)
        with unreadable() as tried:
            assert not elsewhere.is_revoked(holder.id)
        assert tried

    def test_is_no_reason_to_forget_what_was_read(self, elsewhere, holder):
        holder.end()
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(holder.id)
        elsewhere.forward(LAG)
        with unreadable():
            assert elsewhere.is_revoked(holder.id)

    def test_is_asked_once_a_lag(self, elsewhere, holder):
        elsewhere.forward(LAG)
        with unreadable() as tried:
            for _ in range(10):
                elsewhere.is_revoked(holder.id)
            once = len(tried)
            elsewhere.forward(LAG)
            elsewhere.is_revoked(holder.id)
        assert once > 0
        assert len(tried) == 2 * once

    def test_is_asked_once_a_lag_by_a_process_that_has_just_started(self, holder):
        process = AnotherProcess()
        with unreadable() as tried:
            assert not process.is_revoked(holder.id)
            once = len(tried)
            assert not process.is_revoked(holder.id)
        assert len(tried) == once > 0

    def test_tells_all_that_it_missed_when_it_is_back(self, elsewhere, holder):
        holder.end()
        elsewhere.forward(LAG)
        with unreadable():
            assert not elsewhere.is_revoked(holder.id)
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(holder.id)

    def test_tells_a_process_that_started_meanwhile_all_when_it_is_back(self, holder):
        holder.end()
        process = AnotherProcess()
        with unreadable():
            assert not process.is_revoked(holder.id)
        process.forward(LAG)
        assert process.is_revoked(holder.id)

    @pytest.mark.only_on("postgresql")
    def test_is_asked_with_a_short_timeout_that_is_the_questions_alone(self, transactional_db):
        process = AnotherProcess()
        with CaptureQueriesContext(connection) as captured:
            process.is_revoked(uuid4())
        sent = [query["sql"] for query in captured]
        assert sent[0] == "BEGIN"
        assert sent[1].startswith("SET LOCAL statement_timeout = ")
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("0",)


class TestAnUnreadableFeedWhenStrict:
    @pytest.fixture(autouse=True)
    def _strict(self, settings: Any) -> None:
        settings.TOKENS = {"REVOCATION_STRICT": True}

    def test_refuses_access_tokens(self, elsewhere, holder):
        assert not elsewhere.is_revoked(holder.id)
        elsewhere.forward(LAG)
        with unreadable():
            for _ in range(2):
                with pytest.raises(FeedUnavailable):
                    elsewhere.is_revoked(holder.id)

    def test_refuses_them_in_a_process_that_has_just_started(self, holder):
        process = AnotherProcess()
        with unreadable():
            for _ in range(2):
                with pytest.raises(FeedUnavailable):
                    process.is_revoked(holder.id)

    def test_takes_them_again_when_it_is_back(self, elsewhere, holder):
        elsewhere.forward(LAG)
        with unreadable(), pytest.raises(FeedUnavailable):
            elsewhere.is_revoked(holder.id)
        elsewhere.forward(LAG)
        assert not elsewhere.is_revoked(holder.id)

    def test_is_answered_to_the_client_with_503(self, api, user, clock):
        login(api, user)
        clock.forward(LAG)
        with unreadable():
            response = api.get("/api/auth/me")
        assert response.status_code == 503
        assert "Retry-After" in response
        assert not response.cookies
        clock.forward(LAG)
        assert api.get("/api/auth/me").status_code == 200

    def test_is_no_feed_that_somebody_else_is_reading_just_now(self, transactional_db):
        process, holder = AnotherProcess(), Holder(UserFactory())
        process.is_revoked(holder.id)
        process.forward(LAG)
        with reading(process):
            assert not process.is_revoked(holder.id)


@pytest.mark.only_on("postgresql")
class TestASlowDatabase:
    """A table or row that somebody has locked: the request that asks waits for a moment, and no longer."""

    @contextmanager
    def _locked(self, statement: str) -> Iterator[None]:
        locked, release = Event(), Event()

        def work() -> None:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement)
                locked.set()
                assert release.wait(PATIENCE)

        with in_thread(work):
            assert locked.wait(PATIENCE)
            try:
                yield
            finally:
                release.set()

    def test_that_does_not_answer_is_one_that_cannot_be_read(self, transactional_db, monkeypatch):
        monkeypatch.setattr(tokens.database, "HURRY_MS", 50)
        process, holder = AnotherProcess(), Holder(UserFactory())
        process.is_revoked(holder.id)
        holder.end()
        process.forward(LAG)
        with self._locked("LOCK TABLE tokens_revocation"):
            assert not process.is_revoked(holder.id)
        process.forward(LAG)
        assert process.is_revoked(holder.id)

    def test_that_holds_back_an_acknowledgement_does_not_hold_back_the_feed(self, transactional_db, monkeypatch, clock):
        """A row stays locked while the commit that ends its session waits for a standby, however long."""
        monkeypatch.setattr(tokens.database, "HURRY_MS", 50)
        user, process = UserFactory(), AnotherProcess()
        locked, ended = Holder(user), Holder(user)
        process.is_revoked(ended.id)
        clock.forward(STILL_TIME)
        acknowledgements.note(locked.grant.access, clock.now.timestamp())
        ended.end()
        process.forward(LAG)
        with self._locked("SELECT 1 FROM tokens_refreshtoken WHERE id = '%s' FOR UPDATE" % locked.id):  # noqa: S608, UP031
            process.is_revoked(ended.id)
            process.forward(LAG)
            assert process.is_revoked(ended.id)
        assert acknowledgements.flush()
        assert locked.row.acknowledged


class TestCallersAtOnce:
    def test_use_the_last_answer_while_one_of_them_asks(self, transactional_db, django_assert_num_queries):
        process, holder = AnotherProcess(), Holder(UserFactory())
        holder.end()
        assert process.is_revoked(holder.id)
        process.forward(LAG)
        with reading(process), django_assert_num_queries(0):
            assert process.is_revoked(holder.id)
            assert not process.is_revoked(uuid4())

    def test_wait_for_the_one_who_asks_where_the_last_answer_is_old(self, transactional_db, monkeypatch):
        """A page that sends six requests at once, after a minute without any."""
        monkeypatch.setattr(feed_module, "HURRY_MS", PATIENCE * 1000)
        process, holder, answers = AnotherProcess(), Holder(UserFactory()), list[bool]()
        process.is_revoked(holder.id)
        holder.end()
        process.forward(60)

        def work() -> None:
            answers.append(process.is_revoked(holder.id))

        with reading(process):
            others = [in_thread(work) for _ in range(5)]
            for other in others:
                other.__enter__()
            _let_them_wait()
        for other in others:
            other.__exit__(None, None, None)
        assert answers == [True] * 5

    def test_do_not_wait_for_ever(self, transactional_db, monkeypatch):
        monkeypatch.setattr(feed_module, "HURRY_MS", 10)
        process, holder = AnotherProcess(), Holder(UserFactory())
        holder.end()
        assert process.is_revoked(holder.id)
        process.forward(60)
        with reading(process):
            assert process.is_revoked(holder.id)

    def test_of_a_process_that_has_just_started_wait_for_its_first_answer(self, transactional_db):
        process, holder, answers = AnotherProcess(), Holder(UserFactory()), list[bool]()
        holder.end()
        with reading(process):
            waiting = Thread(target=lambda: answers.append(process.is_revoked(holder.id)))
            waiting.start()
            waiting.join(0.05)
            assert not answers
        waiting.join(PATIENCE)
        assert answers == [True]

    def test_who_waited_for_the_first_answer_do_not_ask_again(self, transactional_db):
        process, asked = AnotherProcess(), list[int]()

        def work() -> None:
            with CaptureQueriesContext(connection) as captured:
                process.is_revoked(uuid4())
            asked.append(len(captured))

        with reading(process):
            process.forward(0.1)
            others = [in_thread(work) for _ in range(5)]
            for other in others:
                other.__enter__()
        for other in others:
            other.__exit__(None, None, None)
        assert asked == [0] * 5

    def test_who_waited_in_vain_do_not_each_try_again(self, transactional_db):
        """A database that is down lets nobody wait for more than one attempt beside his own."""
        attempts = list[float]()
        process = AnotherProcess()

        def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            attempts.append(process.now)
            process.forward(5)  # A connection that is not answered.
            raise OperationalError

        def work() -> None:
            with connection.execute_wrapper(fail):
                process.is_revoked(uuid4())

        asking, go_on = Event(), Event()

        def first() -> None:
            def hold(*arguments: Any) -> Any:
                asking.set()
                assert go_on.wait(PATIENCE)
                return fail(*arguments)

            with connection.execute_wrapper(hold):
                process.is_revoked(uuid4())

        with in_thread(first):
            assert asking.wait(PATIENCE)
            others = [in_thread(work) for _ in range(5)]
            for other in others:
                process.forward(LAG)  # Each comes later than the one before, and all wait.
                other.__enter__()
                _let_them_wait()
            go_on.set()
        for other in others:
            other.__exit__(None, None, None)
        assert len(attempts) == 2


def _let_them_wait() -> None:
    """Give threads that have just started the time to come to the lock."""
    Event().wait(0.05)


class TestADatabaseThatWentBack:
    """A restore: its transaction ids, and its rows, are those of an earlier time."""

    def test_is_read_from_the_start(self, elsewhere, holder):
        assert elsewhere._cursor is not None
        elsewhere._cursor += 1_000_000
        holder.end()
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(holder.id)

    def test_is_followed_from_there(self, elsewhere, holder):
        assert elsewhere._cursor is not None
        elsewhere._cursor += 1_000_000
        elsewhere.forward(LAG)
        assert not elsewhere.is_revoked(holder.id)
        holder.end()
        elsewhere.forward(LAG)
        assert elsewhere.is_revoked(holder.id)


def test_entries_are_kept_for_the_longest_life_that_an_access_token_can_have():
    assert timedelta(seconds=LONGEST) > token_settings().access_lifetime
