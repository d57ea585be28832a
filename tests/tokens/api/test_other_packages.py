"""Requests as clients of other packages send them, and of a mode that is not served: the errors say what to change."""

import pytest
from django.test import Client

from tests.browsers import ACCESS, REFRESH, login, post
from tests.factories import PASSWORD
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

AUTH = "/api/auth/"


def error_of(response, field):
    """Return the only error of a request, which is about this field."""
    assert response.status_code == 400, response.content
    problem = response.json()
    assert problem["code"] == "invalid"
    assert list(problem["errors"]) == [field]
    [text] = problem["errors"][field]
    return text


@pytest.fixture
def tokens(both_modes, user):
    """The tokens of a client in mode ``body``. Without it a refusal could be due to the mode."""
    return login(Client(), user, mode="body")


class TestARefreshTokenInTheFieldOfAnotherPackage:
    @pytest.mark.parametrize("field", ["refresh", "refreshToken"])
    @pytest.mark.parametrize("path", ["refresh", "logout"])
    def test_is_not_taken_and_the_error_names_our_field(self, api, tokens, path, field):
        text = error_of(post(api, AUTH + path, {field: tokens["refresh_token"]}), "refresh_token")
        assert text == f"This field is required. This API does not read the field {field}."
        assert RefreshToken.objects.live().count() == 1

    def test_is_reported_beside_an_access_token_too(self, api, tokens):
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        error_of(post(api, f"{AUTH}refresh", {"refresh": tokens["refresh_token"]}, **bearer), "refresh_token")

    def test_does_not_keep_an_access_token_from_signing_out(self, api, tokens):
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        response = post(api, f"{AUTH}logout", {"refresh": tokens["refresh_token"]}, **bearer)
        assert (response.status_code, RefreshToken.objects.live().count()) == (204, 0)

    def test_does_not_keep_a_cookie_from_refreshing_and_signing_out(self, signed_in):
        del signed_in.cookies[ACCESS]
        before = signed_in.cookies[REFRESH].value
        assert post(signed_in, f"{AUTH}refresh", {"refresh": "anything"}).status_code == 200
        assert signed_in.cookies[REFRESH].value != before
        assert post(signed_in, f"{AUTH}logout", {"refresh": "anything"}).status_code == 204
        assert not RefreshToken.objects.live().exists()


class TestAMissingField:
    @pytest.mark.parametrize("field", ["username", "login"])
    def test_that_names_the_user_is_ours(self, api, user, field):
        text = error_of(post(api, f"{AUTH}login", {field: user.email, "password": PASSWORD}), "email")
        assert text == f"This field is required. This API does not read the field {field}."

    def test_is_named_alone_if_no_other_is_there(self, api, user):
        assert error_of(post(api, f"{AUTH}login", {"password": PASSWORD}), "email") == "This field is required."

    def test_of_another_path_is_ours_too(self, signed_in):
        given = {"old_password": PASSWORD, "new_password": "another long passphrase"}
        text = error_of(post(signed_in, f"{AUTH}password/change", given), "current_password")
        assert text.endswith("This API does not read the field old_password.")

    def test_is_not_called_missing_if_it_is_not_valid(self, api, user):
        given = {"email": 5, "username": user.email, "password": PASSWORD}
        assert "username" not in error_of(post(api, f"{AUTH}login", given), "email")


def test_a_mode_that_is_not_served_is_refused_in_german_too(api, user):
    given = {"email": user.email, "password": PASSWORD, "mode": "no mode"}
    response = post(api, f"{AUTH}login", given, **{"Accept-Language": "de"})
    assert error_of(response, "mode").endswith("Seine Einstellung MODES hat: cookie.")
