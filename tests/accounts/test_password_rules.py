"""New passwords: each way to set one rejects bad passwords, also those that the project's own validators reject."""

import pytest
from django.core.exceptions import ValidationError

from accounts.models import MAX_PASSWORD, User
from tests.accounts.steps import events, outcome
from tests.factories import PASSWORD
from tokens.models import SecurityEvent

pytestmark = pytest.mark.django_db

BREACHED = "found in a breach of another site"
BAD = {
    "seven characters": ("x7!bq-w", "This password is too short."),
    "digits only": ("8361027465904", "This password is entirely numeric."),
    "a common word": ("password", "This password is too common."),
    "a common word and a digit": ("password1", "This password is too common."),
    "a row of keys": ("qwertyuiop", "This password is too common."),
    "a common word with a capital": ("Football1", "This password is too common."),
    "zigzag on the keyboard": ("1q2w3e4r5t", "This password is too common."),
    "too long": ("x" * (MAX_PASSWORD + 1), f"{MAX_PASSWORD} characters"),
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
    assert not mailoutbox
