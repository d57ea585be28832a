"""What members of the staff can learn and do in the admin, and what is left of it in its log."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from tests.tokens.service.holders import Holder
from tests.tokens.test_admin import (
    DEVICES,
    EVENTS,
    SESSIONS,
    VIEW,
    admin,
    boss,
    listed,
    revoke,
    revoke_url,
    session,
    session_of,
    staff,
    users_browser,
)
from tokens import admin as admin_module
from tokens.models import RefreshToken
from tokens.service import revocation

__all__ = ["admin", "boss", "session", "staff", "users_browser"]

pytestmark = pytest.mark.django_db

HIDDEN = {
    "a digest of a secret": (SESSIONS, "secret_digest=x"),
    "the beginning of a digest": (SESSIONS, "secret_digest__gte=x"),
    "a digest of the password": (SESSIONS, "auth_hash_digest__exact=x"),
    "the key of a device": (SESSIONS, "bound_key__kty=EC"),
    "a column of the user": (SESSIONS, "user__password__startswith=argon2"),
    "a column of the device": (SESSIONS, "device__token_digest__gte=x"),
    "a regular expression that is not valid": (SESSIONS, "mode__regex=("),
    "a lookup that not every database has": (SESSIONS, "bound_key__contains=pwd"),
    "the digest of a device token": (DEVICES, "token_digest=x"),
    "a column of an event's user": (EVENTS, "user__is_superuser__exact=1"),
}
SHOWN = {
    "a column": "mode__exact=cookie",
    "a time": "created_at__gte=2020-01-01T00:00Z",
    "the user's key": "user__id__exact={user}",
    "the user's key, in short": "user={user}",
}


@pytest.mark.parametrize(("path", "query"), HIDDEN.values(), ids=HIDDEN)
def test_a_list_is_not_filtered_by(path, query, staff, session):
    assert staff(*VIEW).get(f"{path}?{query}").status_code == 400


@pytest.mark.parametrize("query", SHOWN.values(), ids=SHOWN)
def test_a_list_is_filtered_by(query, staff, session, user):
    assert session.pk in listed(staff(*VIEW), f"{SESSIONS}?{query.format(user=user.pk)}")


class TestTheLog:
    def test_names_who_has_revoked_each_session(self, admin, boss, user, session):
        revoke(admin, session, session_of(user))
        entries = LogEntry.objects.values_list("user", "object_id", "change_message")
        assert set(entries) == {
            (boss.pk, str(pk), "2 sessions revoked.")
            for pk in RefreshToken.objects.filter(user=user).values_list("pk", flat=True)
        }

    def test_names_whose_sessions_were_all_revoked(self, admin, boss, user, session):
        admin.post(revoke_url(user))
        [entry] = LogEntry.objects.all()
        assert (entry.user, entry.object_id, entry.change_message) == (boss, str(user.pk), "1 session revoked.")

    def test_does_not_name_a_session_that_somebody_else_ends_at_the_same_moment(self, admin, user, monkeypatch):
        ours, theirs = Holder(user), Holder(user)

        def revoke_late(*arguments: Any, **options: Any) -> Any:
            theirs.end()
            return revocation.revoke_all(*arguments, **options)

        monkeypatch.setattr(admin_module, "revoke_all", revoke_late)
        assert revoke(admin, ours.row, theirs.row).status_code == 302
        [entry] = LogEntry.objects.all()
        assert (entry.object_id, entry.change_message) == (str(ours.id), "1 session revoked.")
        assert theirs.row.revoked_reason == RefreshToken.Reason.SIGNED_OUT


def test_who_may_revoke_but_not_look_does_not_learn_the_address(staff, user, session):
    browser = staff("revoke_refreshtoken")
    question = browser.get(revoke_url(user)).content.decode()
    assert f"{user.pk} has 1 live session" in question
    assert user.email not in question
    response = browser.post(revoke_url(user), follow=True)
    assert response.redirect_chain == [("/admin/", 302)]
    assert user.email not in response.content.decode()
    assert RefreshToken.objects.get(pk=session.pk).revoked_reason == "ended_by_staff"
