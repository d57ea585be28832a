"""The log of the admin names the sessions that the action has ended, and no others."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from tests.tokens.service.holders import Holder
from tests.tokens.test_admin import SESSIONS, admin, boss
from tokens import admin as admin_module
from tokens.models import RefreshToken
from tokens.service import revocation

__all__ = ["admin", "boss"]

pytestmark = pytest.mark.django_db


def test_a_session_that_somebody_else_ends_at_the_same_moment_is_not_named(admin, user, monkeypatch):
    ours, theirs = Holder(user), Holder(user)

    def revoke_late(*arguments: Any, **options: Any) -> Any:
        theirs.end()
        return revocation.revoke_all(*arguments, **options)

    monkeypatch.setattr(admin_module, "revoke_all", revoke_late)
    data = {"action": "revoke_selected", "_selected_action": [str(ours.id), str(theirs.id)], "confirmed": "yes"}
    assert admin.post(SESSIONS, data).status_code == 302
    assert [entry.object_id for entry in LogEntry.objects.all()] == [str(ours.id)]
    assert LogEntry.objects.get().change_message == "1 session revoked."
    assert theirs.row.revoked_reason == RefreshToken.Reason.SIGNED_OUT
