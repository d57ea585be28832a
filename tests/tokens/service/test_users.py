"""The lock on the user's row, which every change of an account and every sign-in takes first."""

from collections.abc import Callable

import pytest
from django.db import transaction
from django.utils import timezone

from tests.factories import UserFactory
from tests.tokens.service.statements import query
from tests.tokens.service.threads import paused
from tokens.models import SecurityEvent
from tokens.service import users


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_it_does_not_wait_for_a_transaction_that_has_inserted_a_row_of_the_user():
    """Its commit may wait for a standby. Such a transaction may also take this lock next, so that both would wait."""
    user = UserFactory()

    def insert(pause: Callable[[], None]) -> None:
        with transaction.atomic():
            SecurityEvent.objects.create(user=user, kind=SecurityEvent.Kind.SIGN_IN_FAILED, created_at=timezone.now())
            pause()

    with paused(insert), transaction.atomic():
        query("SET LOCAL lock_timeout = '1s'")
        assert users.lock("default", user.pk) == user
