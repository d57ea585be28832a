"""The rotation in one statement, on PostgreSQL.

Its effect must be that of `tokens.protocol.rotation` and two statements.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test.utils import isolate_apps

from accounts.models import User
from tests.tokens.service.holders import HOME, STILL_TIME, Holder, columns, rotated_once
from tests.tokens.service.statements import query
from tests.tokens.service.threads import in_thread, wait_until_blocked
from tokens.conf import BODY, COOKIE, SCOPED, keyring, token_settings
from tokens.database.statements import Columns
from tokens.models import RefreshToken
from tokens.protocol import refresh_tokens
from tokens.protocol.rotation import Decision, begin, decide
from tokens.service import rotation_statement
from tokens.service.auth_hash import digest_of
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("postgresql"), pytest.mark.long]

INSTANT = timedelta(microseconds=1)
STILL = timedelta(seconds=90)
AGES = [timedelta(0), STILL - INSTANT, STILL, STILL + INSTANT, timedelta(hours=1)]
ENDS = {
    "live for long": {},
    "live for another instant without use": {"idle_expires_at": INSTANT},
    "expired without use": {"idle_expires_at": timedelta(0)},
    "live for another instant": {"expires_at": INSTANT},
    "expired": {"expires_at": timedelta(0)},
    "revoked": {"revoked_at": timedelta(0)},
}
AGES_AND_ENDS = {
    # The age decides in the same way whichever end the session has, so each end comes with an age on both sides.
    **{f"{name}, {age} old": (age, end) for name, end in ENDS.items() for age in (STILL - INSTANT, STILL)},
    **{f"live for long, {age} old": (age, {}) for age in AGES},
}
_Reason = RefreshToken.Reason


@pytest.fixture
def holder(user: Any, clock: Any) -> Holder:
    """A session that may be rotated a second time. Generation 0 is never rotated by the single statement."""
    return rotated_once(user, clock)


@pytest.fixture
def presented(holder: Holder) -> refresh_tokens.RefreshToken:
    """The content of the session's current token. A made-up one would be rejected for another reason."""
    return refresh_tokens.loads(holder.token, keyring().mac_keys)


@pytest.mark.parametrize(("age", "end"), AGES_AND_ENDS.values(), ids=AGES_AND_ENDS)
def test_rotates_exactly_when_the_protocol_says_so_and_to_the_same_state(holder, presented, clock, age, end):
    policy, now = token_settings().policy, clock.now
    names = "generation", "acknowledged", "recovered", "recoveries"
    for of_token, *state in product((-1, 0, 1), (0, 1, 5), (False, True), (0, 2), (0, 3)):
        values = dict(zip(names, state, strict=True))
        asked = max(values["generation"] + of_token, 0)
        holder.put_back(since=now - age, **values, **{name: now + until for name, until in end.items()})
        before, row = columns(), holder.row
        rotated = rotation_statement.rotate(presented.of(asked), [COOKIE], HOME)
        expected = decide(row.state(now), asked, now, policy) is Decision.ROTATE and asked > 0
        assert (rotated is not None) == expected
        if rotated is None:
            assert columns() == before
        else:
            assert holder.row.state(now) == begin(row.state(now), asked + 1, now) == rotated.state(now)


@pytest.mark.parametrize("remember", [False, True], ids=["not remembered", "remembered"])
@pytest.mark.parametrize("expires", [timedelta(hours=1), timedelta(days=365)], ids=["ends soon", "ends late"])
@pytest.mark.parametrize(
    "client", [HOME, Client("2001:db8::7", "Chrome"), Client()], ids=["the client before", "another", "an unknown one"]
)
def test_writes_the_row_as_two_statements_would_and_returns_it_as_the_orm_would(
    holder, clock, monkeypatch, remember, expires, client
):
    holder.put_back(remember=remember, expires_at=clock.now + expires, recovered=1, recoveries=2, acknowledged=True)
    savepoint, token = connection.savepoint(), holder.token
    session = holder.refresh(client=client).session
    by_one = columns()
    assert by_one == {field.attname: getattr(session, field.attname) for field in session._meta.concrete_fields}
    read = RefreshToken.objects.for_decision().get()
    assert read.now == session.now
    for mine, theirs in [(session.user, read.user), (session.device, read.device)]:
        assert type(mine) is type(theirs)
        assert mine.__dict__ | {"_state": None} == theirs.__dict__ | {"_state": None}
        assert (mine._state.db, mine._state.adding) == (theirs._state.db, theirs._state.adding)
    connection.savepoint_rollback(savepoint)

    monkeypatch.setattr(rotation_statement, "rotate", lambda *arguments: None)
    assert holder.present(token, client)
    assert columns() == by_one


def test_rotates_only_the_session_with_this_id_this_secret_and_one_of_these_storage_modes(holder, presented):
    before = columns()
    for other, modes in [
        (presented, [SCOPED, BODY]),
        (presented, []),
        (replace(presented, secret=bytes(16)), [COOKIE]),
        (replace(presented, session_id=uuid4()), [COOKIE]),
    ]:
        assert rotation_statement.rotate(other, modes, HOME) is None
    assert columns() == before
    assert rotation_statement.rotate(presented, [SCOPED, COOKIE], HOME)


@isolate_apps("accounts")
def test_is_left_to_the_orm_if_users_are_stored_in_several_tables():
    class Employee(User):
        class Meta:
            app_label = "accounts"

    with pytest.raises(ValueError, match="Employee is in several tables"):
        Columns(Employee, "owner", "default")


@pytest.mark.django_db(transaction=True)
class TestThePreparedStatement:
    PREPARED = "SELECT count(*), min(statement), sum(generic_plans + custom_plans) FROM pg_prepared_statements"

    def test_is_prepared_once_for_each_connection(self, holder, clock):
        connection.close()
        for _ in range(3):
            assert holder.refresh().decision is Decision.ROTATE
            clock.forward(STILL_TIME)
        count, text, uses = query(self.PREPARED)
        assert (count, text[:6], uses) == (1, "UPDATE", 3)

    def test_is_not_prepared_behind_a_pooler_that_changes_connections(self, holder, monkeypatch):
        connection.close()
        monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
        assert holder.refresh().decision is Decision.ROTATE
        assert query(self.PREPARED)[0] == 0

    @pytest.mark.parametrize("is_there", [False, True], ids=["lost", "there already"])
    def test_makes_no_refresh_fail_if_a_pooler_has_lost_it_or_has_it_already(self, holder, clock, is_there):
        """For example PgBouncer in transaction mode, if the settings do not mention it."""
        holder.refresh()
        clock.forward(STILL_TIME)
        if is_there:
            connection.connection._latchkey_reader.names.clear()
        else:
            query("DEALLOCATE ALL")
        for _ in range(2):
            assert holder.refresh().decision is Decision.ROTATE
            clock.forward(STILL_TIME)


@pytest.mark.django_db(transaction=True)
class TestWhileAnotherTransactionHoldsTheRow:
    """PostgreSQL then reads the row again, but nothing else. What it read of the user is older than the row."""

    @pytest.fixture
    def refreshed_after(self, holder: Holder) -> Callable[[Callable[[], None]], Any]:
        """Return a function that refreshes while a change is not yet committed. It returns the answer to the refresh.

        If the refresh did not have to wait for the change, it would see only the old row or only the new one.
        """

        def refresh(change: Callable[[], None]) -> Any:
            answers: list[Any] = []
            with ExitStack() as other, transaction.atomic():
                change()
                other.enter_context(in_thread(lambda: answers.append(holder.present())))
                wait_until_blocked()
            return answers[0]

        return refresh

    def test_to_rotate_it_the_answer_is_repeated(self, holder, refreshed_after, clock):
        answer = refreshed_after(lambda: holder.put_back(generation=2, since=clock.now))
        assert answer.decision is Decision.REPEAT
        assert holder.row.generation == 2

    def test_to_end_it_the_token_is_rejected(self, holder, refreshed_after):
        assert not isinstance(refreshed_after(holder.end), IssuedTokens)
        assert holder.row.generation == 1

    def test_to_keep_it_after_a_change_of_the_password_it_stays_valid(self, holder, refreshed_after):
        def change() -> None:
            holder.user.password = "!"
            get_user_model()._base_manager.filter(pk=holder.user.pk).update(password=holder.user.password)
            holder.put_back(auth_hash_digest=digest_of(holder.user))

        answer = refreshed_after(change)
        assert (answer.decision, answer.access.generation) == (Decision.REPEAT, 2)
        assert refresh_tokens.loads(answer.refresh_token, keyring().mac_keys).generation == 2
        row = holder.row
        assert row.revoked_at is None
        assert bytes(row.auth_hash_digest) == digest_of(holder.user)
