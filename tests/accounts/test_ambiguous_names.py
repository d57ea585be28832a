"""A backend of the project ignores case, and raises an exception for a name that several users have."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend

from tests.browsers import login, post
from tests.factories import PASSWORD, AdminFactory
from tokens.models import RefreshToken, SecurityEvent

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

HERE = "tests.accounts.test_ambiguous_names"


class IgnoresCase(ModelBackend):
    """Stands for a backend whose query finds several users."""

    def authenticate(self, *args: Any, **kwargs: Any) -> Any:
        raise get_user_model().MultipleObjectsReturned


@pytest.fixture
def ambiguous(settings: Any) -> None:
    """Lets every name belong to several users."""
    settings.AUTHENTICATION_BACKENDS = [f"{HERE}.IgnoresCase"]


@pytest.mark.usefixtures("ambiguous")
class TestASignIn:
    def test_by_the_api_has_wrong_credentials(self, api, user):
        answer = post(api, "/api/auth/login", {"email": user.email, "password": PASSWORD})
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")

    @pytest.mark.parametrize("path", ["/sign-in", "/admin/login/"])
    def test_by_a_page_has_wrong_credentials(self, api, path):
        staff = AdminFactory()
        given = {"username": staff.get_username(), "password": PASSWORD}
        answer = api.post(path, given)
        assert answer.status_code in {200, 401}
        assert answer.context["form"].errors["__all__"]
        wrong = api.post(path, {**given, "username": "nobody@example.org"})
        assert wrong.status_code == answer.status_code
        assert not RefreshToken.objects.exists()

    def test_counts_as_any_other_that_fails(self, api, user):
        api.post("/sign-in", {"username": user.email, "password": PASSWORD})
        post(api, "/api/auth/login", {"email": user.email, "password": PASSWORD})
        assert SecurityEvent.objects.filter(kind=SecurityEvent.Kind.SIGN_IN_FAILED).count() == 2


class TestAReauthentication:
    @pytest.fixture(autouse=True)
    def _signed_in(self, api: Any, user: Any, settings: Any) -> None:
        """Signs in before the names are ambiguous. Nobody could afterwards."""
        login(api, user)
        settings.AUTHENTICATION_BACKENDS = [f"{HERE}.IgnoresCase"]

    def test_by_the_api_has_wrong_credentials(self, api):
        answer = post(api, "/api/auth/reauthenticate", {"password": PASSWORD})
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")

    @pytest.mark.parametrize("path", ["/sign-in/again", "/password/change"])
    def test_by_a_page_has_wrong_credentials(self, api, path):
        given = {"current_password": PASSWORD, "password1": "a quite new password", "password2": "a quite new password"}
        answer = api.post(path, given)
        assert answer.status_code < 500
        assert answer.context["form"].errors["current_password"]
