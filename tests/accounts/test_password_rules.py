"""New passwords: each way to set one rejects common passwords, and those that the project's own validators reject."""

import pytest
from django.core.exceptions import ValidationError

from accounts.models import User
from tests.accounts.steps import outcome
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

BREACHED = "found in a breach of another site"


class Breaches:
    """A validator of a project that knows which passwords were found in breaches."""

    def validate(self, password, user=None):
        if password == BREACHED:
            raise ValidationError("This password was in a breach.", code="password_breached")

    def get_help_text(self) -> str:
        return "Not one that was in a breach."


@pytest.fixture(autouse=True)
def _sets_no_password(user):
    """Check that no password was set. Without it a rule that shows an error and is not enforced would pass."""
    yield
    assert not User.objects.filter(email="new@example.org").exists()
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


@pytest.mark.parametrize("common", ["password1", "qwertyuiop", "Football1", "1q2w3e4r5t"])
def test_a_common_password_is_refused(set_password, common):
    response = set_password(common)
    assert outcome(response) == "400 invalid password"
    assert "This password is too common." in response.content.decode()


def test_a_password_that_the_projects_own_list_has_is_refused(settings, set_password):
    settings.AUTH_PASSWORD_VALIDATORS = [*settings.AUTH_PASSWORD_VALIDATORS, {"NAME": f"{__name__}.Breaches"}]
    response = set_password(BREACHED)
    assert outcome(response) == "400 invalid password"
    assert "This password was in a breach." in response.content.decode()
