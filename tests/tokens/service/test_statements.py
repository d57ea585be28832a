"""What a refresh costs: the statements, counted; the rows, counted; and what PostgreSQL does with the updates."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from tests.browsers import login, refresh
from tests.factories import UserFactory
from tests.tokens.service.holders import GRACE, STILL_TIME, Holder
from tokens.models import Device, RefreshToken, Revocation, SecurityEvent
from tokens.service import acknowledgements
from tokens.service.client import Client
from tokens.service.feed import feed

Queries = Callable[[int], AbstractContextManager[Any]]

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = RefreshToken._meta.db_table
WITHOUT_FLUSH = "set_config('synchronous_commit', 'off', true)"


def statements(action: Callable[[], Any]) -> list[str]:
    """The statements that ``action`` sends, transactions begun and ended included."""
    with CaptureQueriesContext(connection) as captured:
        action()
    return [query["sql"] for query in captured]


def verbs(action: Callable[[], Any]) -> list[str]:
    """Their first words."""
    return [sql.split()[0] for sql in statements(action)]


@pytest.fixture
def in_vain(database: str) -> list[str]:
    """What is sent before the read, where the database can do the usual in one statement: it touches no row."""
    return ["UPDATE"] if database == "postgresql" else []


@pytest.fixture
def holder(user: Any, clock: Any) -> Holder:
    """A session that has been refreshed before: the first refresh also looks for sessions that it supersedes."""
    holder = Holder(user)
    holder.refresh()
    clock.forward(STILL_TIME)
    return holder


@pytest.mark.only_on("postgresql")
class TestASignIn:
    """One transaction: the clock, the rows, and one look at what makes way. Whom a mail tells is asked behind it."""

    def test_on_a_new_device_looks_for_nobody_else_on_it(self, user):
        assert verbs(lambda: Holder(user)) == ["BEGIN", "SELECT", *["INSERT"] * 3, "SELECT", "COMMIT", "SELECT"]

    def test_on_a_known_device_reads_the_clock_with_it_and_looks_for_others_by_a_union(self, user):
        known = Client(device_token=Holder(user).grant.device_token)
        assert verbs(lambda: Holder(user, known)) == ["BEGIN", "SELECT", *["INSERT"] * 2, "(SELECT", "COMMIT"]


class TestARefresh:
    def test_is_one_update_and_no_transaction_around_it_nor_a_read_where_it_can_return_the_row(self, holder, database):
        assert verbs(holder.refresh) == (["UPDATE"] if database == "postgresql" else ["SELECT", "UPDATE"])
        assert holder.row.generation == 2

    def test_that_is_strict_is_one_read_and_one_update(self, holder, settings):
        settings.TOKENS = {"REUSE_GRACE": 0}
        assert verbs(holder.refresh) == ["SELECT", "UPDATE"]

    def test_that_is_repeated_is_one_read(self, holder, in_vain):
        before = holder.token
        holder.refresh()
        assert verbs(holder.refresh) == [*in_vain, "SELECT"]
        assert verbs(lambda: holder.refresh(before)) == [*in_vain, "SELECT"]

    def test_that_catches_up_is_one_read_and_one_update(self, holder, in_vain):
        holder.refresh()
        holder.put_back(generation=1)
        assert verbs(holder.refresh) == [*in_vain, "SELECT", "UPDATE"]

    def test_that_is_the_first_of_its_session_looks_for_what_it_supersedes(self, user):
        sent = verbs(Holder(user).refresh)
        assert [verb for verb in sent if verb != "PRAGMA"] == ["SELECT", "BEGIN", "SELECT", "COMMIT", "UPDATE"]

    @pytest.mark.parametrize("spoil", [lambda text: "", lambda text: text[:-1], lambda text: text[:-2] + "AA"])
    def test_with_a_forgery_is_no_query(self, holder, spoil, django_assert_num_queries):
        forged = spoil(holder.token)
        with django_assert_num_queries(0):
            holder.present(forged)

    def test_refused_for_a_session_that_has_ended_is_one_read(self, holder, in_vain):
        holder.end()
        assert verbs(holder.present) == [*in_vain, "SELECT"]

    def test_adds_no_rows(self, user, clock):
        holder = Holder(user)
        tables = [RefreshToken, Device, Revocation, SecurityEvent]
        before = [table.objects.count() for table in tables]
        for _ in range(50):
            holder.refresh()
            clock.forward(STILL_TIME)
        assert holder.row.generation == 50
        assert [table.objects.count() for table in tables] == before


@pytest.mark.only_on("postgresql")
class TestACommitThatNeedNotWait:
    def test_is_a_rotations(self, holder):
        (update,) = statements(holder.refresh)
        assert WITHOUT_FLUSH in update

    def test_is_one_that_catches_up(self, holder):
        holder.refresh()
        holder.put_back(generation=1)
        assert WITHOUT_FLUSH in statements(holder.refresh)[-1]

    def test_is_no_strict_rotations(self, holder, settings):
        settings.TOKENS = {"REUSE_GRACE": 0}
        assert WITHOUT_FLUSH not in "".join(statements(holder.refresh))
        assert holder.row.generation == 2

    def test_is_no_recoverys(self, holder, clock):
        lost = holder.token
        holder.present()
        clock.forward(GRACE)
        in_vain, *others = statements(lambda: holder.refresh(lost))
        assert in_vain.startswith("UPDATE")
        assert WITHOUT_FLUSH not in "".join(others)
        assert holder.row.recovered == 1

    def test_is_no_sign_ins(self, user):
        assert WITHOUT_FLUSH not in "".join(statements(lambda: Holder(user)))

    def test_is_no_revocations(self, holder):
        assert WITHOUT_FLUSH not in "".join(statements(holder.end))
        assert holder.revocations() == 1

    def test_is_an_acknowledgements(self, holder, clock):
        holder.refresh()
        clock.forward(STILL_TIME)
        acknowledgements.note(holder.grant.access, clock.now.timestamp())
        (update,) = [sql for sql in statements(acknowledgements.flush) if sql.startswith("UPDATE")]
        assert WITHOUT_FLUSH in update

    def test_lets_the_next_one_wait_again(self, holder):
        holder.refresh()
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            assert cursor.fetchone() == ("on",)


@pytest.mark.only_on("postgresql")
@pytest.mark.urls("tests.urls")
class TestARefreshedRequest:
    @pytest.fixture
    def browser(self, api: Browser, user: Any, clock: Any) -> Browser:
        """One whose access token has expired, not for the first time."""
        login(api, user)
        for _ in range(2):
            clock.forward(601)
            refresh(api)
        clock.forward(601)
        return api

    def test_by_the_endpoint_is_one_statement(self, browser):
        assert verbs(lambda: refresh(browser)) == ["UPDATE"]

    def test_by_the_middleware_is_two_the_view_between_them(self, browser):
        sent = statements(lambda: browser.get("/probe/public"))
        assert [sql.split()[0] for sql in sent] == ["UPDATE", "SELECT"]
        assert "ORDER BY" in sent[1]


@pytest.mark.urls("tests.urls")
class TestAnAuthenticatedRequest:
    def test_is_no_query(self, api, user, clock, django_assert_num_queries):
        login(api, user)
        feed.is_revoked(uuid4())
        with django_assert_num_queries(0):
            assert api.get("/probe/who").json()["pk"] == str(user.pk)

    def test_after_the_lag_reads_the_feed_and_nothing_else(self, api, user, clock):
        login(api, user)
        feed.is_revoked(uuid4())
        clock.forward(1)
        reads = statements(lambda: api.get("/probe/who"))
        assert {sql.split()[0] for sql in reads} <= {"BEGIN", "SET", "SELECT", "COMMIT"}
        assert all(Revocation._meta.db_table in sql for sql in reads if sql.startswith("SELECT"))


@pytest.mark.only_on("postgresql")
@pytest.mark.usefixtures("without_vacuum")
class TestUpdatesInPlace:
    """Rotations are heap-only-tuple updates: no index is touched, and the next reader clears the old version away."""

    @pytest.mark.parametrize(
        "option", ["fillfactor=80", "autovacuum_vacuum_scale_factor=0.05", "autovacuum_analyze_scale_factor=10"]
    )
    def test_have_room_beside_them_an_early_vacuum_and_seldom_an_analyze(self, option):
        with connection.cursor() as cursor:
            cursor.execute("SELECT reloptions FROM pg_class WHERE relname = %s", [TABLE])
            assert option in cursor.fetchone()[0]

    def test_for_days(self, clock):
        holders = [Holder(UserFactory()) for _ in range(30)]
        before = _updates()
        for _ in range(8):
            clock.forward(10 * 3600)
            for holder in holders:
                holder.refresh()
        updates, in_place = _updates_since(before)
        assert updates == 8 * len(holders)
        assert in_place == updates

    def test_do_not_make_the_table_grow(self, clock):
        # As many sessions as fill some pages.
        holders = [Holder(UserFactory()) for _ in range(60)]
        for holder in holders:
            holder.refresh()
        before, size, index = _updates(), _size(TABLE), _size(f"{TABLE}_pkey")
        for _ in range(40):
            clock.forward(STILL_TIME)
            for holder in holders:
                holder.refresh()
        updates, in_place = _updates_since(before)
        assert updates == 40 * len(holders)
        assert in_place == updates
        assert _size(TABLE) == size
        assert _size(f"{TABLE}_pkey") == index


def _updates() -> tuple[int, int]:
    """How many rows of the table were updated so far, and how many of them in place."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = %s", [TABLE])
        updated, in_place = cursor.fetchone()
    return updated, in_place


def _updates_since(before: tuple[int, int]) -> tuple[int, int]:
    updated, in_place = _updates()
    return updated - before[0], in_place - before[1]


def _size(relation: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size(%s)", [relation])
        size: int = cursor.fetchone()[0]
    return size
