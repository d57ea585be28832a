"""What keeps a request whose sign-in was refused from writing, and how it ends."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from tokens.database.refusing import RefusedWrites, roll_back_all

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]


class Refused(Exception):
    """Why a sign-in was refused."""


def write(name: str = "a group") -> None:
    with transaction.atomic():
        Group.objects.create(name=name)


def test_every_statement_that_writes_raises_the_error_until_it_ends():
    refused = RefusedWrites(Refused())
    try:
        for change in (
            write,
            lambda: Group.objects.update(name="b"),
            lambda: Group.objects.all()._raw_delete("default"),
        ):
            with pytest.raises(Refused), transaction.atomic():
                change()
        assert not Group.objects.exists()
    finally:
        refused.end()
    assert connection.execute_wrappers == []
    write()


def test_if_it_was_ended_in_another_thread_the_next_statement_removes_it():
    refused = RefusedWrites(Refused())
    refused.is_on = False
    write()
    assert refused not in connection.execute_wrappers
    refused.end()


def test_the_transaction_of_a_view_is_rolled_back_whoever_catches_the_error_in_it():
    with transaction.atomic():
        write("before")
        try:
            with transaction.atomic():
                roll_back_all()
                raise Refused
        except Refused:
            pass
    assert not Group.objects.exists()
    write("afterwards")


def test_the_transaction_of_a_test_goes_on():
    write("before")
    roll_back_all()
    write("afterwards")
    assert Group.objects.count() == 2
