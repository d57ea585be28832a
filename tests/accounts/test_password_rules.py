"""New passwords: each way to set one rejects common passwords, and those that the project's own validators reject."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from accounts.links import Purpose, make
from accounts.models import User
from tests.accounts.steps import ask, reset_password
from tests.browsers import login
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

BREACHED = "found in a breach of another site"
TOO_COMMON = "This password is too common."


class Breaches:
    """A validator of a project that knows which passwords were found in breaches."""

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
    return reset_password(client, make(Purpose.PASSWORD_RESET, user), new)


def register_by_page(client: Client, user: Any, new: str) -> Any:
    return client.post("/register", {"email": "new@example.org", "password1": new, "password2": new})


def change_by_page(client: Client, user: Any, new: str) -> Any:
    login(client, user)
    return client.post("/password/change", {"current_password": PASSWORD, "password1": new, "password2": new})


def reset_by_page(client: Client, user: Any, new: str) -> Any:
    token = make(Purpose.PASSWORD_RESET, user)
    return client.post("/password/reset/confirm", {"token": token, "password1": new, "password2": new})


WAYS = [register, change, reset, register_by_page, change_by_page, reset_by_page]
in_every_way = pytest.mark.parametrize("set_password", WAYS, ids=[way.__name__ for way in WAYS])


@pytest.fixture(autouse=True)
def _sets_no_password(user: Any) -> Iterator[None]:
    """Check that no password was set. Without it a rule that shows an error and is not enforced would pass."""
    yield
    assert not User.objects.filter(email="new@example.org").exists()
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def assert_rejected(response: Any, message: str) -> None:
    """Check that the API answers 400, or that the page shows its form again, with this message."""
    assert response.status_code in {200, 400}
    assert message in response.content.decode()


@in_every_way
@pytest.mark.parametrize("common", ["password1", "qwertyuiop", "Football1", "1q2w3e4r5t"])
def test_a_common_password_is_refused(api, user, set_password, common):
    assert_rejected(set_password(api, user, common), TOO_COMMON)


@in_every_way
def test_a_password_that_the_projects_own_list_has_is_refused(api, user, settings, set_password):
    settings.AUTH_PASSWORD_VALIDATORS = [*settings.AUTH_PASSWORD_VALIDATORS, {"NAME": f"{__name__}.Breaches"}]
    assert_rejected(set_password(api, user, BREACHED), "This password was in a breach.")
