"""The lock on the user's row, which every change of an account and every sign-in takes first."""

import pytest
from django.db import transaction
from django.utils import timezone

from tests.factories import UserFactory
from tests.tokens.service.statements import query
from tests.tokens.service.threads import in_thread
from tokens.models import SecurityEvent
from tokens.service import users


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_has_inserted_a_row_of_the_user_commits_meanwhile():
    """The commit shares a lock on the user's key. FOR UPDATE would make it wait."""
    user = UserFactory()

    def insert() -> None:
        query("SET lock_timeout = '1s'")
        SecurityEvent.objects.create(user=user, kind=SecurityEvent.Kind.SIGN_IN_FAILED, created_at=timezone.now())

    with transaction.atomic():
        assert users.lock("default", user.pk) == user
        with in_thread(insert):
            pass
    assert SecurityEvent.objects.filter(user=user).exists()
