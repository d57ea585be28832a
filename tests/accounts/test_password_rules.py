"""New passwords: by each door that sets one, common ones are refused, and what the project's validators refuse."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from accounts.links import Purpose, make
from accounts.models import User
from tests.accounts.steps import ask
from tests.browsers import login
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

COMMON = ["password1", "qwertyuiop", "Football1", "1q2w3e4r5t"]
BREACHED = "found in a breach of somebody's"
Set = Callable[[Client, Any, str], Any]


class Breaches:
    """A project's validator, which knows what was found in breaches."""

    def validate(self, password: str, user: Any = None) -> None:
        if password == BREACHED:
            raise ValidationError("This password was in a breach.", code="password_breached")

    def get_help_text(self) -> str:
        return "Not one that was in a breach."


def register(client: Client, user: Any, new: str) -> Any:
    return ask(client, "register", {"email": "new@example.org", "password": new})


def change(client: Client, user: Any, new: str) -> Any:
    login(client, user)
    return ask(client, "password/change", {"current_password": PASSWORD, "new_password": new})


def reset(client: Client, user: Any, new: str) -> Any:
    return ask(client, "password/reset/confirm", {"token": make(Purpose.PASSWORD_RESET, user), "password": new})


def register_by_page(client: Client, user: Any, new: str) -> Any:
    return client.post("/register", {"email": "new@example.org", "password1": new, "password2": new})


def change_by_page(client: Client, user: Any, new: str) -> Any:
    login(client, user)
    return client.post("/password/change", {"current_password": PASSWORD, "password1": new, "password2": new})


def reset_by_page(client: Client, user: Any, new: str) -> Any:
    token = make(Purpose.PASSWORD_RESET, user)
    return client.post("/password/reset/confirm", {"token": token, "password1": new, "password2": new})


by_every_door = pytest.mark.parametrize(
    "set_password",
    [register, change, reset, register_by_page, change_by_page, reset_by_page],
    ids=lambda function: function.__name__,
)


@pytest.fixture(autouse=True)
def _nothing_is_set(user: Any) -> Any:
    yield
    assert not User.objects.filter(email="new@example.org").exists()
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


@by_every_door
@pytest.mark.parametrize("common", COMMON)
def test_a_common_password_is_refused(api, user, set_password, common):
    response = set_password(api, user, common)
    assert response.status_code in {200, 400}
    assert "This password is too common." in response.content.decode()


@by_every_door
def test_a_password_that_the_projects_own_list_has_is_refused(api, user, settings, set_password):
    settings.AUTH_PASSWORD_VALIDATORS = [*settings.AUTH_PASSWORD_VALIDATORS, {"NAME": f"{__name__}.Breaches"}]
    response = set_password(api, user, BREACHED)
    assert response.status_code in {200, 400}
    assert "This password was in a breach." in response.content.decode()
