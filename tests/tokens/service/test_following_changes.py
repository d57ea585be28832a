"""A view of Django's saves a new password, and its session is kept or replaced later: what can happen in between.

These are histories that `tests.tokens.protocol.password_search` has found.
"""

from threading import Event
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from accounts.models import User
from tests.factories import UserFactory
from tests.tokens.service.holders import PATIENCE, AnotherProcess, Holder, deactivate_in_sql
from tests.tokens.service.threads import in_thread, is_blocking
from tokens.models import RefreshToken
from tokens.service import opening
from tokens.service.user_changes import follow_password_change

LAG = 1
NEW, NEWER = "quite another passphrase", "a third passphrase, unlike the others"


def save_password(user: Any, password: str) -> str:
    """Save a new password as a view of Django's does, and return the session auth hash for Django's session."""
    row = User.objects.get(pk=user.pk)
    row.set_password(password)
    row.save()
    return row.get_session_auth_hash()


def follow(holder: Holder, session_hash: str) -> Any:
    return follow_password_change(str(holder.user.pk), holder.id, session_hash, holder.browser)


def read_notes(process: AnotherProcess) -> None:
    process.forward(LAG)
    process.is_revoked(uuid4())


@pytest.mark.django_db
def test_a_session_that_a_process_has_ended_is_replaced_and_the_new_one_stays(elsewhere, user):
    holder = Holder(user)
    session_hash = save_password(user, NEW)
    read_notes(elsewhere)
    assert holder.ending == ("password_changed", 1)
    issued = follow(holder, session_hash)
    assert issued.continues
    read_notes(elsewhere)
    assert RefreshToken.objects.live().get().id == issued.session.id


@pytest.mark.django_db
@pytest.mark.parametrize("is_read", [False, True], ids=["before a process has read the notes", "after that"])
def test_a_sign_in_elsewhere_that_rehashes_the_new_password_does_not_sign_the_browser_out(elsewhere, user, is_read):
    """The view ran in a process that prefers another hasher, as during a deployment."""
    holder = Holder(user)
    row = User.objects.get(pk=user.pk)
    row.password = PBKDF2PasswordHasher().encode(NEW, "salt" * 6, iterations=1)
    row.save()
    session_hash = row.get_session_auth_hash()
    found = authenticate(None, username=user.email, password=NEW)
    assert found is not None
    assert found.password != row.password
    if is_read:
        read_notes(elsewhere)
    issued = follow(holder, session_hash)
    kept = issued.session.id if is_read else holder.id
    read_notes(elsewhere)
    assert [session.id for session in RefreshToken.objects.live()] == [kept]


@pytest.mark.django_db
def test_no_session_is_opened_for_a_user_who_was_deactivated_meanwhile(elsewhere, user):
    holder = Holder(user)
    session_hash = save_password(user, NEW)
    read_notes(elsewhere)
    deactivate_in_sql(user)
    assert follow(holder, session_hash) is None
    assert RefreshToken.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.only_on("postgresql")
def test_a_newer_password_that_is_written_while_a_session_is_replaced_ends_it(elsewhere, monkeypatch):
    """The newer password waits for the user's lock. Without the lock, the new session would hold its digest."""
    user = UserFactory()
    holder = Holder(user)
    session_hash = save_password(user, NEW)
    read_notes(elsewhere)
    replace_session, replacing, written = opening.replace_session, Event(), Event()

    def write() -> None:
        assert replacing.wait(PATIENCE)
        save_password(user, NEWER)
        written.set()

    def replace_meanwhile(*arguments: Any) -> Any:
        replacing.set()
        while not is_blocking() and not written.wait(0.01):
            pass
        return replace_session(*arguments)

    monkeypatch.setattr(opening, "replace_session", replace_meanwhile)
    with in_thread(write):
        follow(holder, session_hash)
    read_notes(elsewhere)
    assert not RefreshToken.objects.live().exists()
