"""A changed user: which sessions end within the lag of the feed. It does not matter which program wrote the change."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import PBKDF2PasswordHasher, make_password
from django.core.checks import Tags, run_checks
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db import connection, models

from accounts.models import User
from tests.factories import PASSWORD, UserFactory
from tests.tokens.service.holders import AnotherProcess, Holder
from tests.tokens.service.statements import failing, statements
from tokens.models import Revocation
from tokens.service import revocation_feed, triggers
from tokens.service.users import UserChanged

pytestmark = pytest.mark.django_db

LAG = 1
NEW = make_password("a new password, of another kind")
OUTDATED = PBKDF2PasswordHasher().encode(PASSWORD, "salt" * 6, iterations=1)


class Proxied(User):
    class Meta:
        app_label = "accounts"
        proxy = True


def sql(*statements: str) -> Callable[[Any], None]:
    """Return a function that executes statements with the user's key, as any other program can."""

    def execute(user: Any) -> None:
        key = User._meta.pk.get_db_prep_value(user.pk, connection)
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement, [key])

    return execute


def saved(model: Any = User, update_fields: Any = None, **values: Any) -> Callable[[Any], None]:
    """Return a function that reads the user, sets these values and saves them."""

    def save(user: Any) -> None:
        row = model.objects.get(pk=user.pk)
        for name, value in values.items():
            setattr(row, name, value)
        row.save(update_fields=update_fields)

    return save


def set_password(user: Any) -> None:
    row = User.objects.get(pk=user.pk)
    row.set_password("a new password, of another kind")
    row.save()


def bulk_update(**values: Any) -> Callable[[Any], None]:
    return lambda user: User.objects.bulk_update([User(pk=user.pk, **values)], [*values])


def of(user: Any) -> Any:
    """Return a queryset without the methods of the project's own, for this user."""
    return models.QuerySet(User).filter(pk=user.pk)


CHANGES: dict[tuple[str, bool], dict[str, Callable[[Any], Any]]] = {
    # why the sessions end, whether this process ends them before the feed is read, and how the user is changed
    ("password_changed", False): {
        "a password is set and saved": set_password,
        "a hash is assigned": saved(password=NEW),
        "a hash is assigned, and saved alone": saved(password=NEW, update_fields=["password"]),
        "a hash is saved by a proxy model": saved(Proxied, password=NEW),
        "a hash is written by bulk_update": bulk_update(password=NEW),
        "a hash is written by update": lambda user: of(user).update(password=NEW),
        "a hash is written by SQL": sql("UPDATE accounts_user SET password = 'another' WHERE id = %s"),
    },
    ("user_disabled", True): {
        "the user is deactivated by save": saved(is_active=False),
        "the user is deactivated by a save of one field": saved(is_active=False, update_fields=["is_active"]),
        "the user is deactivated by update": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
        "the user is deactivated by bulk_update": bulk_update(is_active=False),
    },
    ("user_disabled", False): {
        "the user is deactivated by a proxy model": saved(Proxied, is_active=False),
        "the user is deactivated by update of another queryset": lambda user: of(user).update(is_active=False),
        "the user is deactivated by SQL": sql("UPDATE accounts_user SET is_active = false WHERE id = %s"),
    },
}
CASES = [
    pytest.param(change, *expected, id=name)
    for expected, changes in CHANGES.items()
    for name, change in changes.items()
]
DELETIONS = {
    "the user is deleted": lambda user: User.objects.get(pk=user.pk).delete(),
    "the user is deleted by a proxy model": lambda user: Proxied.objects.get(pk=user.pk).delete(),
    "the user is deleted by a queryset": lambda user: User.objects.filter(pk=user.pk).delete(),
    "the user is deleted by another queryset": lambda user: of(user).delete(),
    "the user is deleted by SQL": sql(
        "DELETE FROM tokens_refreshtoken WHERE user_id = %s",
        "DELETE FROM tokens_device WHERE user_id = %s",
        "UPDATE tokens_securityevent SET user_id = NULL WHERE user_id = %s",
        "DELETE FROM accounts_user WHERE id = %s",
    ),
}


def is_ended(process: AnotherProcess, holder: Holder) -> bool:
    """Return whether another process rejects the session's access tokens after the lag."""
    process.forward(LAG)
    return process.is_revoked(holder.id, str(holder.user.pk))


@pytest.mark.parametrize(("change", "reason", "at_once"), CASES)
def test_all_sessions_of_the_user_and_no_others_end_when(elsewhere, holder, change, reason, at_once):
    second, other = Holder(holder.user), Holder(UserFactory())
    change(holder.user)
    assert holder.row.revoked_reason == (reason if at_once else "")
    assert is_ended(elsewhere, holder)
    assert elsewhere.is_revoked(second.id, str(holder.user.pk))
    assert [one.ending for one in (holder, second, other)] == [(reason, 1), (reason, 1), ("", 0)]
    assert not is_ended(elsewhere, other)


@pytest.mark.parametrize("delete", DELETIONS.values(), ids=DELETIONS)
def test_the_sessions_end_when(elsewhere, holder, delete):
    other = Holder(UserFactory())
    delete(holder.user)
    elsewhere.forward(LAG)
    assert elsewhere.is_revoked(holder.id), "It is known without the key of the user."
    assert not is_ended(elsewhere, other)
    assert not User.objects.filter(pk=holder.user.pk).exists()


def activated(user: Any) -> None:
    of(user).update(is_active=False)
    Revocation.objects.all().delete()
    of(user).update(is_active=True)


UNCHANGED = {
    "last_login is written": lambda user: of(user).update(last_login="2026-01-01T00:00Z"),
    "the same hash is saved": lambda user: User.objects.get(pk=user.pk).save(),
    "the user is activated": activated,
    "the active user is activated": lambda user: User.objects.update(is_active=True),
}


@pytest.mark.parametrize("change", UNCHANGED.values(), ids=UNCHANGED)
def test_nothing_is_noted_when(holder, change):
    change(holder.user)
    assert not Revocation.objects.exists()


def test_a_session_that_holds_the_digest_of_the_new_password_stays(elsewhere, holder):
    set_password(holder.user)
    stamped = Holder(User.objects.get(pk=holder.user.pk))
    assert is_ended(elsewhere, holder)
    assert not is_ended(elsewhere, stamped)
    assert stamped.ending == ("", 0)


def test_two_processes_that_read_of_a_change_both_reject_the_session_at_once(elsewhere, holder):
    third = AnotherProcess()
    third.is_revoked(uuid4())
    set_password(holder.user)
    assert is_ended(elsewhere, holder)
    assert is_ended(third, holder)
    assert holder.ending == ("password_changed", 1)


def test_a_change_is_decided_once_however_often_its_row_is_read(elsewhere, holder):
    of(holder.user).update(password=NEW)
    assert is_ended(elsewhere, holder)
    elsewhere._cursor = 0  # As if a transaction was open that is older than the change.
    elsewhere.forward(LAG)
    sent = statements(lambda: elsewhere.is_revoked(holder.id, str(holder.user.pk)))
    assert not [text for text in sent if "accounts_user" in text]


def test_a_change_for_which_the_database_does_not_answer_is_logged_and_decided_at_the_next_turn(
    elsewhere, holder, caplog
):
    caplog.set_level(logging.INFO, "tokens")
    set_password(holder.user)
    with failing("tokens_refreshtoken"):
        assert not is_ended(elsewhere, holder)
    assert 'event="changed users not checked" error=OperationalError' in caplog.messages
    assert is_ended(elsewhere, holder)


class TestManyChangedUsers:
    @pytest.fixture(autouse=True)
    def _one_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let a turn send one user. With the real number, no user of a test would have to wait."""
        monkeypatch.setattr(revocation_feed, "USERS_OF_A_TURN", 1)

    def test_do_not_let_in_the_one_who_asks_and_all_are_decided_turn_by_turn(self, elsewhere):
        holders = [Holder(UserFactory()) for _ in range(4)]
        models.QuerySet(User).update(password=NEW)
        assert is_ended(elsewhere, holders[-1])
        for _ in holders:
            is_ended(elsewhere, holders[-1])
        assert [holder.ending for holder in holders] == [("password_changed", 1)] * 4


class TestARehash:
    """Django replaces the hash of a password by a better one of the same password, when the user signs in."""

    @pytest.fixture
    def outdated(self, user: Any) -> Holder:
        """A session of a user with a hash that Django replaces. With a good one, nothing would be replaced."""
        user.password = OUTDATED
        of(user).update(password=OUTDATED)
        Revocation.objects.all().delete()
        return Holder(user)

    def _sign_in(self, user: Any) -> Any:
        found = authenticate(None, username=user.email, password=PASSWORD)
        assert found is not None
        return found

    def test_ends_no_session_and_the_user_can_sign_in(self, elsewhere, outdated):
        found = self._sign_in(outdated.user)
        assert found.password != OUTDATED
        assert not is_ended(elsewhere, outdated)
        assert outdated.ending == ("", 0)
        Holder(found)

    def test_of_a_user_who_was_read_before_another_one_opens_a_session_too(self, outdated):
        first, second = (User.objects.get(pk=outdated.user.pk) for _ in range(2))
        for user in (first, second):
            assert user.check_password(PASSWORD)
        stored = User.objects.get(pk=outdated.user.pk).password
        assert (stored, second.password) == (first.password, OUTDATED)
        Holder(first)
        Holder(second)

    def test_that_comes_after_a_new_password_does_not_undo_it_and_opens_no_session(self, outdated):
        late = User.objects.get(pk=outdated.user.pk)
        set_password(outdated.user)
        stored = User.objects.get(pk=outdated.user.pk).password
        assert late.check_password(PASSWORD)
        assert User.objects.get(pk=outdated.user.pk).password == stored
        with pytest.raises(UserChanged):
            Holder(late)

    @pytest.mark.parametrize("is_rehashed", [False, True], ids=["saved before", "rehashed before"])
    def test_is_not_taken_for_one_if_the_same_object_gets_another_password(self, elsewhere, outdated, is_rehashed):
        user = User.objects.get(pk=outdated.user.pk)
        if is_rehashed:
            assert user.check_password(PASSWORD)
        else:
            user.set_password("another one")
            user.save()
        user.set_unusable_password()
        user.save(update_fields=["password"])
        assert not User.objects.get(pk=user.pk).has_usable_password()
        assert is_ended(elsewhere, outdated)

    def test_is_not_taken_for_one_if_another_hash_was_assigned(self, elsewhere, outdated):
        saved(password=NEW, update_fields=["password"])(outdated.user)
        assert is_ended(elsewhere, outdated)


@pytest.mark.django_db(transaction=True)
def test_flush_leaves_no_notes_behind(holder):
    call_command("flush", "--no-input", verbosity=0)
    assert not Revocation.objects.exists()


class TestWithoutTriggers:
    @pytest.fixture(autouse=True)
    def _no_triggers(self, db: None) -> None:
        """Remove the triggers, as in a database that does not allow them. They would hear what the signals miss."""
        assert triggers.are_installed("default")
        triggers.remove("default")
        assert len(triggers.missing("default")) == 2

    @pytest.mark.parametrize("change", [set_password, saved(is_active=False)], ids=["a new password", "deactivation"])
    def test_a_save_is_noted_by_signals(self, elsewhere, holder, change):
        change(holder.user)
        assert is_ended(elsewhere, holder)

    def test_the_system_check_reports_both_until_migrate_installs_them_again(self, db):
        reported = [message.id for message in run_checks(tags=[Tags.database], databases=["default"])]
        assert reported == ["tokens.W006"] * 2
        emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
        assert run_checks(tags=[Tags.database], databases=["default"]) == []
