"""Strangers register an address all day. Its owner registers once, and gets in with their own password."""

import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import Registration, User
from accounts.service.registration import MAX_PENDING
from tests.accounts.steps import can_sign_in, confirm, outcome
from tests.browsers import FIREFOX, post
from tests.factories import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.long, pytest.mark.at_length_on("sqlite")]

ADDRESS = "ada@example.org"
PER_HOUR = 60
SPELLINGS = [ADDRESS, "ADA@example.org", "ada@ｅxample.org", "ada@EXAMPLE.org"]


def register(number: int, email: str, password: str) -> int:
    """Register in a network of this number. Return the status."""
    client = Client(headers={"User-Agent": FIREFOX}, REMOTE_ADDR=f"198.51.{number}.7")
    return int(post(client, "/api/auth/register", {"email": email, "password": password}).status_code)


def stranger(number: int) -> str:
    return f"the password of stranger {number}"


@pytest.mark.parametrize(
    ("hours", "moment", "part"),
    [
        pytest.param(3, 100, 1, id="amid them, with the link of the last mail"),
        pytest.param(
            24, 700, 1, id="amid those of a day, with the link of the last mail", marks=pytest.mark.exhaustive
        ),
        pytest.param(24, 0, 0.5, id="before them, with the link of a mail of noon", marks=pytest.mark.exhaustive),
        pytest.param(24, PER_HOUR * 24 - 1, 1, id="after them, with the last link", marks=pytest.mark.exhaustive),
    ],
)
def test_the_owner_gets_in_with_their_own_password_and_nobody_else_does(
    throttled: Any, clock: Any, mailoutbox: list[Any], hours: int, moment: int, part: float
) -> None:
    for number in range(PER_HOUR * hours):
        if number == moment:
            assert register(255, ADDRESS, PASSWORD) == 202
        assert register(number % PER_HOUR, SPELLINGS[number % len(SPELLINGS)], stranger(number)) == 202
        clock.forward(3600 / PER_HOUR)
    assert Registration.objects.count() <= MAX_PENDING
    assert len(mailoutbox) <= 2 * 5 * (hours + 1)
    token = re.search(r"\?token=(\S+)", mailoutbox[int(part * len(mailoutbox)) - 1].body)
    assert token
    assert outcome(confirm(Client(), token[1], password=PASSWORD)) == "done"
    assert can_sign_in(Client(), ADDRESS)
    account = User.objects.get()
    assert not [number for number in range(PER_HOUR * hours) if account.check_password(stranger(number))]
