"""What a refresh costs: the statements it sends, the rows it adds, and whether PostgreSQL updates the row in place."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client as Browser

from tests.browsers import refresh
from tests.factories import UserFactory
from tests.tokens.devices import OFFERED, KeyHolder
from tests.tokens.service.holders import STILL_TIME, Holder, rotated_once
from tests.tokens.service.statements import TABLE, effect_on_the_table, query, statements, verbs
from tokens.models import Revocation
from tokens.service.revocation_feed import feed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def in_vain(database: str) -> list[str]:
    """What a refresh sends before it reads the row. Without this, the expected statements would fit only one database.

    On PostgreSQL a rotation is one UPDATE. Where more has to be decided, that UPDATE matches no row.
    """
    return ["UPDATE"] if database == "postgresql" else []


@pytest.fixture
def holder(user: Any, clock: Any) -> Holder:
    """A session that may be rotated a second time. The first rotation would also look for superseded sessions."""
    return rotated_once(user, clock)


@pytest.mark.only_on("postgresql")
class TestASignIn:
    """It is one transaction, which locks the user first.

    The query after it looks for the user that the mail about a new device is sent to.
    """

    def test_on_a_new_device_does_not_look_for_another_user_of_the_device(self, user):
        assert verbs(lambda: Holder(user)) == ["BEGIN", *["SELECT"] * 2, *["INSERT"] * 3, "SELECT", "COMMIT", "SELECT"]

    def test_on_a_known_device_reads_and_writes_the_device_and_looks_for_other_sessions_by_a_union(self, user):
        holder = Holder(user)
        assert verbs(holder.sign_in_again) == ["BEGIN", *["SELECT"] * 2, "UPDATE", *["INSERT"] * 2, "(SELECT", "COMMIT"]


class TestARefresh:
    def test_is_one_update_or_one_read_and_one_update_and_no_transaction(self, holder, database):
        assert verbs(holder.refresh) == (["UPDATE"] if database == "postgresql" else ["SELECT", "UPDATE"])
        assert holder.row.generation == 2

    def test_in_strict_mode_is_one_read_and_one_update(self, holder, settings):
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

    def test_that_is_the_first_of_its_session_looks_for_superseded_sessions(self, user):
        sent = verbs(Holder(user).refresh)
        assert [verb for verb in sent if verb != "PRAGMA"] == ["SELECT", "SELECT", "UPDATE"]

    def test_with_a_forged_token_is_no_statement(self, holder):
        for forged in ("", holder.token[:-1], holder.token[:-2] + "AA"):
            assert verbs(lambda forged=forged: holder.present(forged)) == [], forged

    def test_of_a_session_that_has_ended_is_one_read(self, holder, in_vain):
        holder.end()
        assert verbs(holder.present) == [*in_vain, "SELECT"]

    @pytest.mark.only_on("postgresql")
    def test_lets_later_commits_of_the_connection_wait_for_the_disk(self, holder):
        holder.refresh()
        assert query("SHOW synchronous_commit") == ("on",)


@pytest.mark.only_on("postgresql")
@pytest.mark.urls("tests.urls")
class TestARefreshedRequest:
    @pytest.fixture
    def browser(self, signed_in: Browser, clock: Any) -> Browser:
        """A browser whose access token has expired again. The first refresh of a session sends more statements."""
        for _ in range(2):
            clock.forward(601)
            refresh(signed_in)
        clock.forward(601)
        return signed_in

    def test_to_the_endpoint_is_one_statement(self, browser):
        assert verbs(lambda: refresh(browser)) == ["UPDATE"]

    def test_by_the_middleware_is_one_statement_before_the_views_own(self, browser):
        sent = statements(lambda: browser.get("/probe/public"))
        assert [sql.split()[0] for sql in sent] == ["UPDATE", "SELECT"]
        assert "ORDER BY" in sent[1]


@pytest.mark.urls("tests.urls")
def test_an_authenticated_request_after_the_lag_reads_the_feed_and_nothing_else(signed_in, clock):
    feed.is_revoked(uuid4())
    clock.forward(1)
    reads = statements(lambda: signed_in.get("/probe/who"))
    assert {sql.split()[0] for sql in reads} <= {"BEGIN", "SET", "SELECT", "COMMIT"}
    assert {Revocation._meta.db_table in sql for sql in reads if sql.startswith("SELECT")} == {True}


@pytest.mark.long
@pytest.mark.only_on("postgresql")
@pytest.mark.usefixtures("without_vacuum")
class TestUpdatesInPlace:
    """Rotations are heap-only-tuple updates: they touch no index, and the next reader removes the old version."""

    @pytest.mark.parametrize(
        "option", ["fillfactor=80", "autovacuum_vacuum_scale_factor=0.05", "autovacuum_analyze_scale_factor=10"]
    )
    def test_have_free_space_in_each_page_an_early_vacuum_and_few_analyses(self, option):
        assert option in query("SELECT reloptions FROM pg_class WHERE relname = %s", TABLE)[0]

    LOADS = {
        "in days of use": (Holder, Holder.refresh, 30, 8, 10 * 3600),
        "if many sessions are refreshed often": (Holder, Holder.refresh, 60, 12, STILL_TIME),
        "if the sessions are bound to keys": (KeyHolder, KeyHolder.prove, 30, 10, 500),
    }

    @pytest.mark.parametrize(("kind", "again", "sessions", "rounds", "step"), LOADS.values(), ids=LOADS)
    def test_do_not_make_the_table_grow(self, clock, settings, kind, again, sessions, rounds, step):
        settings.TOKENS = OFFERED
        holders = [kind(UserFactory()) for _ in range(sessions)]
        for holder in holders:
            if kind is KeyHolder:
                holder.bind()
            again(holder)  # The first update of a row may need another page. A key makes the row longer.

        def refresh_all() -> None:
            for _ in range(rounds):
                clock.forward(step)
                for holder in holders:
                    again(holder)

        assert effect_on_the_table(refresh_all) == (rounds * sessions, rounds * sessions, 0)
