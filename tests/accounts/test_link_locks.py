"""The use of a link, the alarm and a revocation by staff of one user at the same time. None of them is aborted."""

from threading import Barrier

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client

from accounts.links import Purpose
from tests.accounts.steps import reset_password
from tests.factories import UserFactory, link_token
from tests.tokens.service.holders import Holder
from tests.tokens.service.threads import in_thread
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("postgresql")]

ROUNDS = 8


def press(user):
    return Client(raise_request_exception=False).post("/alarm", {"token": link_token(Purpose.ALARM, user)})


@pytest.mark.parametrize("other", ["alarm", "reset"])
def test_a_revocation_by_a_command_and_the_users_own_do_not_deadlock(other, capsys):
    failed = []

    def revoke(user, together):
        together.wait(10)
        try:
            call_command("revoke_sessions", "--user", user.email, "--no-input")
        except OperationalError as error:
            failed.append(str(error))

    for _ in range(ROUNDS):
        user, together = UserFactory(), Barrier(2)
        for _ in range(3):
            Holder(user)
        link = link_token(Purpose.PASSWORD_RESET, user)
        with in_thread(lambda user=user, together=together: revoke(user, together)):
            together.wait(10)
            response = press(user) if other == "alarm" else reset_password(Client(), link)
        if response.status_code not in {200, 204, 400}:
            failed.append(response.status_code)
    assert failed == []
    assert not RefreshToken.objects.live().exists()
