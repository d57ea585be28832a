"""The password, once more: the session goes on, and counts as signed in just now."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from tests.accounts.steps import events, who
from tests.browsers import ACCESS, REFRESH, AsyncBrowser, login
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

AGAIN = "/sign-in/again"


@pytest.fixture
def tired(api: Client, user: Any, clock: Any) -> Client:
    """A browser in which somebody signed in too long ago to change the account."""
    login(api, user)
    clock.forward(901)
    return api


def give(client: Client, password: str = PASSWORD, **more: str) -> Any:
    return client.post(AGAIN, {"current_password": password, **more})


def test_the_session_goes_on_and_counts_as_signed_in_just_now(tired, user, clock):
    before = RefreshToken.objects.get()
    response = give(tired, next="/account/delete")
    assert (response.status_code, response["Location"]) == (302, "/account/delete")
    assert "no-store" in response["Cache-Control"]
    after = RefreshToken.objects.get()
    assert (after.id, after.authenticated_at, after.created_at) == (before.id, clock.now, before.created_at)
    assert tired.get("/account/delete").status_code == 200
    assert len(events(SecurityEvent.Kind.SIGNED_IN)) == 1
    clock.forward(901)
    assert tired.get("/account/delete")["Location"] == f"{AGAIN}?next=/account/delete"


def test_without_a_place_to_go_it_leads_home(tired):
    assert give(tired)["Location"] == "/"


def test_the_password_can_be_given_in_the_very_request_that_refreshes(tired, clock):
    """Both the rotated refresh token and the fresh access token must reach the browser."""
    old = tired.cookies[REFRESH].value
    response = give(tired)
    assert {ACCESS, REFRESH} <= set(response.cookies)
    assert tired.cookies[REFRESH].value != old
    clock.forward(3600)
    assert who(tired) == 200
    row = RefreshToken.objects.get()
    assert (row.generation, row.recovered, row.recoveries) == (2, 0, 0)


def test_a_valid_access_token_is_replaced_alone(tired):
    tired.get("/")
    assert set(give(tired).cookies) == {ACCESS}


@pytest.mark.parametrize("password", ["wrong", "", "x" * 10_000, PASSWORD + "\0"])
def test_a_wrong_password_is_said_on_the_form_and_changes_nothing(tired, password):
    response = give(tired, password, next="/account/delete")
    assert response.status_code == 200
    assert set(response.context["form"].errors) == {"current_password"}
    assert response.context["next"] == "/account/delete"
    assert tired.get("/account/delete").status_code == 302
    assert RefreshToken.objects.live().count() == 1


def test_a_wrong_password_is_written_down(tired, user):
    give(tired, "wrong")
    (event,) = events(SecurityEvent.Kind.SIGN_IN_FAILED)
    assert event.user == user


def test_another_ones_password_will_not_do(tired):
    other = UserFactory()
    other.set_password("the password of the other")
    other.save()
    assert give(tired, "the password of the other").status_code == 200


def test_who_is_switched_off_meanwhile_is_a_stranger(tired, user):
    User._base_manager.filter(pk=user.pk).update(is_active=False)
    assert give(tired, next="/account/delete")["Location"] == "/sign-in?next=/account/delete"


def test_a_session_that_ended_meanwhile_is_not_continued(tired, clock):
    """The access token is good until this process hears of it; the page to sign in then shows its form."""
    tired.get("/")
    RefreshToken.objects.update(revoked_at=clock.now)
    response = give(tired, next="/account/delete")
    assert response["Location"] == "/sign-in?next=/account/delete"
    assert tired.get(response["Location"]).status_code == 200


def test_a_stranger_learns_nothing_of_a_password(api, user):
    assert give(api)["Location"] == "/sign-in?next=/"
    assert not events(SecurityEvent.Kind.SIGN_IN_FAILED)


def test_it_works_in_an_async_server_too(user, clock):
    browser = AsyncBrowser()
    login(browser, user)
    clock.forward(901)
    assert give(browser)["Location"] == "/"
    assert browser.get("/account/delete").status_code == 200


def test_another_session_stays_as_old_as_it_is(tired, another, user):
    elsewhere = another()
    elsewhere.cookies = tired.cookies.__class__()
    give(tired)
    assert elsewhere.get("/account/delete")["Location"] == "/sign-in?next=/account/delete"
