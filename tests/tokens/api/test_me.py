"""``/api/auth/me``: the user and the session, for a cookie and for a Bearer token."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.browsers import ACCESS, REFRESH, login
from tests.tokens.api.paths import ME, SESSIONS
from tests.tokens.api.steps import ENDINGS, deactivate_in_sql, refusal, revoke_row
from tokens.models import RefreshToken
from tokens.service.revocation_feed import feed

pytestmark = pytest.mark.django_db


def test_me_is_the_user_and_the_session_that_asks(api, user, another):
    login(another(), user)
    answer = login(api, user, device_name="Mine")
    response = api.get(ME)
    assert response.status_code == 200
    assert response.json() == {
        "user": {"id": str(user.pk), "email": user.email},
        "session": answer["session"],
        "access_token_expires_at": answer["access_token_expires_at"],
    }
    assert "Cookie" in response["Vary"]
    for secret in [user.password, *(cookie.value for cookie in api.cookies.values())]:
        assert secret.encode() not in response.content
    assert api.get(f"{ME}/").content == response.content  # Both spellings of the path work.
    head = api.head(ME)
    assert (head.status_code, head.content, int(head["Content-Length"])) == (200, b"", len(response.content))


def test_a_session_whose_access_token_has_expired_is_refreshed(clock, signed_in):
    clock.forward(601)
    response = signed_in.get(ME)
    assert response.status_code == 200
    assert set(response.cookies) == {ACCESS, REFRESH}
    expires_at = datetime.fromisoformat(response.json()["access_token_expires_at"])
    assert timedelta(seconds=569) <= expires_at - clock.now <= timedelta(seconds=600)


def test_me_costs_one_query_for_the_user_and_one_for_the_session(clock, signed_in, django_assert_num_queries):
    feed.is_revoked(uuid4())
    with django_assert_num_queries(2):
        signed_in.get(ME)


def revoke_elsewhere(row: Any) -> None:
    """Revoke a session as another process does: this process has not heard of it yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "add", lambda ids: None)
        revoke_row(row)


ENDED = {**ENDINGS, "a session that another process revoked": revoke_elsewhere}
del ENDED["a new password"]  # A new password is noticed when the session is refreshed.


@pytest.mark.parametrize("event", ENDED.values(), ids=ENDED)
def test_an_access_token_of_an_ended_session_is_rejected(signed_in, event):
    event(RefreshToken.objects.get())
    assert refusal(signed_in.get(ME)) == (401, "session_ended")


def test_an_access_token_of_a_user_who_was_deactivated_in_sql_is_rejected_elsewhere_too(signed_in, user):
    deactivate_in_sql(user)
    assert refusal(signed_in.get(SESSIONS)) == (401, "session_ended")
