"""A password manager has to know whose password a form asks for, or it saves a new password without a user name."""

import re

import pytest

from accounts.links import Purpose
from tests.accounts.steps import NEW_PASSWORD, TWICE, ask
from tests.browsers import REFRESH, login
from tests.factories import HAS_NAMES, User, link_token

pytestmark = pytest.mark.django_db

SIGNED_IN = ["/sign-in/again", "/password/change", "/email/change", "/account/delete", "/account/security/app"]
"""Pages that ask a signed-in user without a refresh token for the current password."""
NAMES = ("username", "username webauthn")
"""The values of ``autocomplete`` for a user name."""
CHANGE_PASSWORD = "/.well-known/change-password"
"""The URL by which password managers find the page to change a password."""
NO_SUCH_RESOURCE = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
"""By its status password managers learn whether they can believe the status of the other URL."""


def fields(html: str) -> list[dict[str, str]]:
    """Return the attributes of the fields of the page's form that has a password, in their order."""
    (form,) = [form for form in re.findall(r"<form.*?</form>", html, re.S) if 'type="password"' in form]
    return [dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in re.findall(r"<input[^>]*>", form)]


def names(html: str) -> list[dict[str, str]]:
    """Return the fields for a user name that stand before the first password."""
    found = fields(html)
    first = next(number for number, field in enumerate(found) if field["type"] == "password")
    return [field for field in found[:first] if field.get("autocomplete") in NAMES]


@pytest.mark.parametrize("path", SIGNED_IN)
def test_the_form_of_a_signed_in_user_has_their_user_name(api, user, path):
    login(api, user)
    del api.cookies[REFRESH]
    (name,) = names(api.get(path).content.decode())
    assert name["value"] == user.get_username()
    assert "name" not in name, "It is not sent."


@pytest.mark.parametrize("path", ["/sign-in", "/register", "/admin/login/"])
def test_the_form_of_somebody_who_is_not_signed_in_asks_for_the_user_name(api, path):
    (name,) = names(api.get(path).content.decode())
    assert name["name"] in {"username", "email"}
    assert not name.get("value")


def test_the_page_of_a_link_that_resets_the_password_has_the_user_name_of_the_account(api, user):
    path, token = "/password/reset/confirm", link_token(Purpose.PASSWORD_RESET, user)
    (name,) = names(api.get(path, {"token": token}, follow=True).content.decode())
    assert name["value"] == user.get_username()
    (name,) = names(api.post(path, {"token": token, **TWICE, "password2": "another"}).content.decode())
    assert name["value"] == user.get_username()


def test_a_link_that_can_reset_nothing_names_nobody(api, user):
    path, token = "/password/reset/confirm", link_token(Purpose.PASSWORD_RESET, user)
    api.post(path, {"token": token, **TWICE})
    again = api.post(path, {"token": token, **TWICE, "password2": "another"}).content.decode()
    assert user.get_username() not in again


def test_the_page_that_confirms_a_registration_has_the_user_name_that_was_registered(api, token_in):
    ask(api, "register", {"email": "new@example.org", "password": NEW_PASSWORD})
    html = api.get("/email/confirm", {"token": token_in("new@example.org")}, follow=True).content.decode()
    (name,) = names(html)
    assert name["value"] == ("new" if HAS_NAMES else "new@example.org")
    assert not User.objects.exists()


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("is_signed_in", [False, True], ids=["a visitor", "a user"])
def test_leads_to_the_page_to_change_the_password(api, user, is_signed_in, method):
    if is_signed_in:
        login(api, user)
    response = getattr(api, method)(CHANGE_PASSWORD)
    assert (response.status_code, response["Location"]) == (302, "/password/change")


def test_what_should_not_exist_does_not(api):
    assert api.get(NO_SUCH_RESOURCE).status_code == 404
