"""Fixtures for factors: an authenticator with a passkey, and a member of the staff who may reset factors."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission

from tests.factories import UserFactory
from tests.factors.authenticator import Authenticator
from tests.factors.passkey_steps import create


@pytest.fixture
def device(signed_in: Any) -> Authenticator:
    """An authenticator with a passkey of the user, who is signed in. Without it each signature would be unknown."""
    found = Authenticator()
    create(signed_in, found)
    return found


@pytest.fixture
def helper(db: None, clock: Any) -> Any:
    """A member of the staff who may reset factors, and nothing else. A superuser would hide a missing check."""
    found = UserFactory(is_staff=True)
    found.user_permissions.add(Permission.objects.get(codename="reset_factors"))
    return found
