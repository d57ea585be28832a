"""The rotation that is one statement: it does what `tokens.rotation` and the two statements do, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import product
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test.utils import isolate_apps

from accounts.models import User
from tests.tokens.service.holders import HOME, STILL_TIME, Holder
from tokens import refresh_tokens
from tokens.conf import BODY, COOKIE, SCOPED, token_settings
from tokens.database import Columns
from tokens.keys import keyring
from tokens.models import RefreshToken
from tokens.rotation import Decision, begin, decide
from tokens.service import rotating
from tokens.service.client import Client
from tokens.service.stamps import stamp_of

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("postgresql")]

INSTANT = timedelta(microseconds=1)
STILL = timedelta(seconds=90)
AGES = [timedelta(0), STILL - INSTANT, STILL, STILL + INSTANT, timedelta(hours=1)]
LEFT = {
    "long": {},
    "an instant idle": {"idle_expires_at": INSTANT},
    "no instant idle": {"idle_expires_at": timedelta(0)},
    "an instant": {"expires_at": INSTANT},
    "no instant": {"expires_at": timedelta(0)},
    "revoked": {"revoked_at": timedelta(0)},
}
_Reason = RefreshToken.Reason


@pytest.fixture
def holder(user: Any, clock: Any) -> Holder:
    """A session at generation 1 that may be rotated."""
    holder = Holder(user)
    holder.refresh()
    clock.forward(STILL_TIME)
    return holder


@pytest.fixture
def presented(holder: Holder) -> refresh_tokens.RefreshToken:
    """The token of its generation."""
    return refresh_tokens.loads(holder.token, keyring().mac_keys)


def prepared() -> list[tuple[str, int]]:
    """What is prepared on this connection, and how often each was carried out."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement, generic_plans + custom_plans FROM pg_prepared_statements")
        found: list[tuple[str, int]] = cursor.fetchall()
    return found


def values() -> dict[str, Any]:
    return RefreshToken.objects.values().get()


@pytest.mark.parametrize("age", AGES, ids=str)
@pytest.mark.parametrize("left", LEFT)
def test_what_is_rotated_and_how_is_what_the_protocol_says(holder, presented, clock, age, left):
    policy, now = token_settings().policy, clock.now
    ends = {name: now + until for name, until in LEFT[left].items()}
    for generation, of_token, acknowledged, recovered, recoveries in product(
        (0, 1, 5), (-1, 0, 1), (False, True), (0, 2), (0, 3)
    ):
        asked = max(generation + of_token, 0)
        holder.put_back(
            generation=generation,
            since=now - age,
            acknowledged=acknowledged,
            recovered=recovered,
            recoveries=recoveries,
            **ends,
        )
        before, row = values(), holder.row
        rotated = rotating.rotate(presented.of(asked), [COOKIE], HOME)
        expected = decide(row.state(now), asked, now, policy) is Decision.ROTATE and asked > 0
        assert (rotated is not None) == expected
        if rotated is None:
            assert values() == before
        else:
            assert holder.row.state(now) == begin(row.state(now), asked + 1, now) == rotated.state(now)


@pytest.mark.parametrize("remember", [False, True])
@pytest.mark.parametrize("expires", [timedelta(hours=1), timedelta(days=365)], ids=str)
@pytest.mark.parametrize("client", [HOME, Client("2001:db8::7", "Chrome"), Client()], ids=str)
def test_the_row_is_left_as_two_statements_would_and_returned_as_the_orm_would(
    holder, clock, monkeypatch, remember, expires, client
):
    holder.put_back(remember=remember, expires_at=clock.now + expires, recovered=1, recoveries=2, acknowledged=True)
    savepoint, token = connection.savepoint(), holder.token
    session = holder.refresh(client=client).session
    by_one = values()
    assert by_one == {field.attname: getattr(session, field.attname) for field in session._meta.concrete_fields}
    read = RefreshToken.objects.for_decision().get()
    assert read.now == session.now
    for mine, theirs in [(session.user, read.user), (session.device, read.device)]:
        assert type(mine) is type(theirs)
        assert mine.__dict__ | {"_state": None} == theirs.__dict__ | {"_state": None}
        assert (mine._state.db, mine._state.adding) == (theirs._state.db, theirs._state.adding)
    connection.savepoint_rollback(savepoint)

    monkeypatch.setattr(rotating, "rotate", lambda *arguments: None)
    assert holder.present(token, client)
    assert values() == by_one


def test_whose_token_it_is_must_fit_to_the_letter(holder, presented):
    before = values()
    for other, modes in [
        (presented, [SCOPED, BODY]),
        (presented, []),
        (replace(presented, secret=bytes(16)), [COOKIE]),
        (replace(presented, session_id=uuid4()), [COOKIE]),
    ]:
        assert rotating.rotate(other, modes, HOME) is None
    assert values() == before
    assert rotating.rotate(presented, [SCOPED, COOKIE], HOME)


def test_where_a_token_works_once_to_the_letter_it_is_left_to_those_who_wait_for_the_disk(
    holder, presented, settings, django_assert_num_queries
):
    settings.TOKENS = {"REUSE_GRACE": 0}
    with django_assert_num_queries(0):
        assert rotating.rotate(presented, [COOKIE], HOME) is None


@isolate_apps("accounts")
def test_where_users_are_in_several_tables_it_is_left_to_the_orm():
    class Employee(User):
        class Meta:
            app_label = "accounts"

    with pytest.raises(ValueError, match="Employee is in several tables"):
        Columns(Employee, "owner", "default")


@pytest.mark.django_db(transaction=True)
class TestThePreparedStatement:
    def test_is_prepared_once_for_a_connection(self, holder, clock):
        connection.close()
        for _ in range(3):
            assert holder.refresh().decision is Decision.ROTATE
            clock.forward(STILL_TIME)
        [(text, uses)] = prepared()
        assert text.startswith("UPDATE")
        assert uses == 3

    def test_is_not_where_a_pooler_changes_connections(self, holder, clock, monkeypatch):
        connection.close()
        monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
        assert holder.refresh().decision is Decision.ROTATE
        assert prepared() == []

    @pytest.mark.parametrize("done", ["DEALLOCATE ALL", "the same again"])
    def test_that_a_pooler_has_lost_or_has_already_costs_no_refresh(self, holder, clock, done):
        """As behind PgBouncer in transaction mode, where nobody has said so."""
        holder.refresh()
        clock.forward(STILL_TIME)
        if done == "the same again":
            connection.connection._latchkey_reader.names.clear()
        else:
            with connection.cursor() as cursor:
                cursor.execute(done)
        for _ in range(2):
            assert holder.refresh().decision is Decision.ROTATE
            clock.forward(STILL_TIME)


def test_whose_user_is_switched_off_ends_all_the_same(holder):
    get_user_model()._base_manager.filter(pk=holder.user.pk).update(is_active=False)
    assert holder.is_refused()
    assert holder.row.revoked_reason == _Reason.USER_DISABLED
    assert holder.revocations() == 1


def test_whose_user_has_a_new_password_ends_all_the_same(holder):
    get_user_model()._base_manager.filter(pk=holder.user.pk).update(password="!")
    assert holder.is_refused()
    assert holder.row.revoked_reason == _Reason.PASSWORD_CHANGED
    assert holder.revocations() == 1


@pytest.mark.django_db(transaction=True)
class TestWhileSomebodyHoldsTheRow:
    """PostgreSQL then looks at the row anew, and at nothing else: the user is still who they were before."""

    @pytest.fixture
    def refreshing(self, holder: Holder) -> Callable[[Callable[[], None]], list[Any]]:
        """Lets a refresh wait for what somebody else commits, and returns what it was answered."""

        def refresh(action: Callable[[], None]) -> list[Any]:
            answers: list[Any] = []

            def present() -> None:
                try:
                    answers.append(holder.present())
                finally:
                    connection.close()

            other = Thread(target=present)
            with transaction.atomic():
                action()
                other.start()
                while not _somebody_waits_for_us():
                    assert other.is_alive()
            other.join()
            return answers

        return refresh

    def test_for_a_rotation_it_is_repeated(self, holder, refreshing, clock):
        [answer] = refreshing(lambda: holder.put_back(generation=2, since=clock.now))
        assert answer.decision is Decision.REPEAT
        assert holder.row.generation == 2

    def test_to_end_it_it_is_refused(self, holder, refreshing, clock):
        [answer] = refreshing(holder.end)
        assert not getattr(answer, "access", None)
        assert holder.row.generation == 1

    def test_to_keep_it_over_a_new_password_it_goes_on(self, holder, refreshing):
        def change() -> None:
            holder.user.password = "!"
            get_user_model()._base_manager.filter(pk=holder.user.pk).update(password=holder.user.password)
            holder.put_back(auth_hash_digest=stamp_of(holder.user))

        [answer] = refreshing(change)
        assert answer.decision is Decision.REPEAT
        assert answer.access.generation == 2
        assert refresh_tokens.loads(answer.refresh_token, keyring().mac_keys).generation == 2
        row = holder.row
        assert row.revoked_at is None
        assert bytes(row.auth_hash_digest) == stamp_of(holder.user)


def _somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
        return cursor.fetchone() is not None
