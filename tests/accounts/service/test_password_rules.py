"""New passwords: each way to set one rejects bad passwords, also those that the project's own validators reject."""

import pytest
from django.core.exceptions import ValidationError

from accounts.models import MAX_PASSWORD
from tests.accounts.steps import events, outcome
from tests.factories import PASSWORD, User
from tokens.models import RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

ADDRESS_FIELD = User._meta.get_field("email")
BREACHED = "found in a breach of another site"
BAD = {
    "too short": ("short", "This password is too short."),
    "too long": ("x" * (MAX_PASSWORD + 1), ""),  # The API and the pages have different texts for it.
    "like the address": ("{email}", f"The password is too similar to the {ADDRESS_FIELD.verbose_name}."),
    **{
        f"the common password {common}": (common, "This password is too common.")
        for common in ("password", "password1", "12345678", "12345678901", "qwertyuiop", "Football1", "1q2w3e4r5t")
    },
}


class Breaches:
    """A validator of a project that knows which passwords were found in breaches."""

    def validate(self, password, user=None):
        if password == BREACHED:
            raise ValidationError("This password was in a breach.", code="password_breached")

    def get_help_text(self) -> str:
        return "Not one that was in a breach."


@pytest.fixture(autouse=True)
def _sets_no_password(user, mailoutbox):
    """Check that no password was set. Without it a rule that shows an error and is not enforced would pass."""
    yield
    assert not User.objects.filter(email="new@example.org").exists()
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert not events(SecurityEvent.Kind.PASSWORD_CHANGED)
    assert not RefreshToken.objects.exclude(revoked_at=None).exists()
    assert not mailoutbox


@pytest.mark.parametrize(("bad", "message"), BAD.values(), ids=BAD)
def test_a_bad_password_is_refused(set_password, bad, message):
    response = set_password(bad)
    assert outcome(response) == "400 invalid password"
    assert message in response.content.decode()
    assert PASSWORD not in response.content.decode()


def test_a_password_that_the_projects_own_list_has_is_refused(settings, set_password):
    settings.AUTH_PASSWORD_VALIDATORS = [*settings.AUTH_PASSWORD_VALIDATORS, {"NAME": f"{__name__}.Breaches"}]
    response = set_password(BREACHED)
    assert outcome(response) == "400 invalid password"
    assert "This password was in a breach." in response.content.decode()
