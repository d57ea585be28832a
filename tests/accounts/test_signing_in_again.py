"""The page that asks for the password again: the session continues, and counts as signed in just now."""

import pytest
from django.test import Client

from tests.accounts.steps import HOUR, events, form_errors, live, who
from tests.browsers import ACCESS, REFRESH, AsyncBrowser, login
from tests.factories import PASSWORD, User, UserFactory
from tests.tokens.web_steps import signed_in_as
from tokens.models import RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

AGAIN = "/sign-in/again"
DELETE = "/account/delete"
SIGN_IN = f"/sign-in?next={DELETE}"


@pytest.fixture
def stale(signed_in, clock) -> Client:
    """A browser whose sign-in is too old to change the account. After a recent one the page would have no effect."""
    clock.forward(901)
    return signed_in


def give(client, password=PASSWORD, **more):
    return client.post(AGAIN, {"current_password": password, **more})


class TestGivingThePasswordAgain:
    def test_the_session_continues_and_counts_as_signed_in_just_now(self, stale, clock):
        before = RefreshToken.objects.get()
        response = give(stale, next=DELETE)
        assert (response.status_code, response["Location"]) == (302, DELETE)
        assert "no-store" in response["Cache-Control"]
        after = RefreshToken.objects.get()
        assert (after.id, after.authenticated_at, after.created_at) == (before.id, clock.now, before.created_at)
        assert stale.get(DELETE).status_code == 200
        assert len(events(SecurityEvent.Kind.SIGNED_IN)) == 1
        clock.forward(901)
        assert stale.get(DELETE)["Location"] == f"{AGAIN}?next={DELETE}"

    def test_the_password_can_be_given_in_a_request_that_refreshes_the_tokens(self, stale, clock):
        """The browser must get both the rotated refresh token and the new access token."""
        old = stale.cookies[REFRESH].value
        response = give(stale)
        assert response["Location"] == "/devices"
        assert {ACCESS, REFRESH} <= set(response.cookies)
        assert stale.cookies[REFRESH].value != old
        clock.forward(HOUR)
        assert who(stale) == 200
        row = RefreshToken.objects.get()
        assert (row.generation, row.recovered, row.recoveries) == (2, 0, 0)

    def test_if_the_access_token_is_valid_only_that_is_replaced(self, stale):
        stale.get("/")
        assert set(give(stale).cookies) == {ACCESS}

    @pytest.mark.parametrize(
        "password",
        ["wrong", "", "x" * 10_000, PASSWORD + "\0", "the password of another user"],
        ids=["another one", "none", "a long one", "the right one and a NUL", "that of another user"],
    )
    def test_a_wrong_password_is_an_error_of_the_form_and_changes_nothing(self, stale, password):
        UserFactory(password="the password of another user")
        response = give(stale, password, next=DELETE)
        assert form_errors(response) == {"current_password"}
        assert response.context["next"] == DELETE
        assert stale.get(DELETE).status_code == 302
        assert live() == 1

    def test_a_user_who_was_switched_off_by_raw_sql_has_to_sign_in(self, stale, user):
        User._base_manager.filter(pk=user.pk).update(is_active=False)
        assert give(stale, next=DELETE)["Location"] == SIGN_IN

    def test_a_session_that_has_ended_is_not_continued(self, stale, clock):
        """The access token stays valid until the revocation feed is read. The sign-in page shows its form."""
        stale.get("/")
        RefreshToken.objects.update(revoked_at=clock.now)
        assert give(stale, next=DELETE)["Location"] == SIGN_IN
        assert stale.get(SIGN_IN).status_code == 200

    def test_without_a_session_no_password_is_checked(self, api, user):
        assert give(api)["Location"] == "/sign-in?next=/devices"
        assert not events(SecurityEvent.Kind.SIGN_IN_FAILED)

    def test_it_works_in_an_async_server(self, user, clock):
        browser = AsyncBrowser()
        login(browser, user)
        clock.forward(901)
        assert give(browser)["Location"] == "/devices"
        assert browser.get(DELETE).status_code == 200

    def test_another_session_of_the_user_stays_as_old_as_it_is(self, user, clock, stale):
        elsewhere = signed_in_as(user)
        clock.forward(901)
        give(stale)
        assert elsewhere.get(DELETE)["Location"] == f"{AGAIN}?next={DELETE}"
