"""Compiled queries and inserts: SQL that is compiled once reads and writes what the ORM does."""

from typing import Any
from uuid import uuid4

import pytest
from django.db.models.signals import post_save, pre_save

from tests.factories import UserFactory
from tests.tokens.service.holders import Holder
from tests.tokens.service.statements import statements
from tokens.database.expressions import DatabaseNow
from tokens.database.statements import Read, insert, update
from tokens.database.transactions import clock
from tokens.models import Device, RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

FIELDS = [field.attname for field in RefreshToken._meta.concrete_fields]


class Counted:
    """Makes a queryset of some rows of a user. ``times``: how often it was made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, alias: str, user: Any, device__token_digest: bytes) -> Any:
        self.times += 1
        all_rows = RefreshToken.objects.using(alias).values_list(*FIELDS)
        of_user = all_rows.filter(user=user, expires_at__gt=DatabaseNow(), mode="cookie")
        of_device = all_rows.filter(device__token_digest=device__token_digest).exclude(user=user)
        return of_user.union(of_device, all=True).order_by("id")


@pytest.fixture
def holders() -> list[Holder]:
    """Sessions of three users. With one user a value that is compiled into the SQL would go unnoticed."""
    return [Holder(UserFactory()) for _ in range(3)]


class TestReading:
    def test_with_all_values_it_reads_what_the_orm_reads(self, holders):
        rows = Counted()
        read = Read(rows)
        for one, other in zip(holders, reversed(holders), strict=True):
            values = {"user": one.user.pk, "device__token_digest": other.row.device.token_digest}
            assert read("default", **values) == list(rows("default", **values))
        assert read("default", user=uuid4(), device__token_digest=b"") == []

    def test_it_reads_instances_as_the_orm_does(self, holders):
        def rows(alias: str, pk: Any) -> Any:
            return RefreshToken.objects.using(alias).filter(pk=pk)

        read = Read(rows)
        for holder in holders:
            [found], [expected] = read("default", pk=holder.row.pk), rows("default", holder.row.pk)
            assert vars(found) | {"_state": None} == vars(expected) | {"_state": None}
            assert (found._state.db, found._state.adding) == ("default", False)

    @pytest.mark.only_on("postgresql")
    def test_it_is_compiled_once_for_all_values(self, holders):
        rows = Counted()
        read = Read(rows)
        for holder in holders:
            assert read("default", user=holder.user.pk, device__token_digest=b"")
        assert rows.times == 1

    @pytest.mark.parametrize(("seconds", "count"), [(60, 1), (10**9, 0)], ids=["before the end", "after it"])
    def test_the_time_is_that_of_each_read(self, user, clock, seconds, count):
        read = Read(Counted())
        values = {"user": Holder(user).user.pk, "device__token_digest": b""}
        assert len(read("default", **values)) == 1
        clock.forward(seconds)
        assert len(read("default", **values)) == count

    def test_a_value_is_prepared_by_its_field(self, holders):
        """In some databases a UUID is text, and a caller may pass text."""
        read, pk = Read(Counted()), holders[0].user.pk
        by_text, by_uuid = (read("default", user=value, device__token_digest=b"") for value in (str(pk), pk))
        assert by_text == by_uuid


def events(user: Any) -> list[SecurityEvent]:
    now = clock("default")
    return [
        SecurityEvent(kind=SecurityEvent.Kind.ALARM, created_at=now, user=user, session_id=uuid4(), ip="2001:db8::7"),
        SecurityEvent(kind=SecurityEvent.Kind.PURGED, created_at=now, reason="%s ' \" ü", user_agent="x" * 300),
    ]


class TestInserting:
    def test_it_writes_what_the_orm_writes_in_one_statement(self, user):
        ours, theirs = events(user), events(user)
        assert len(statements(lambda: insert("default", *ours))) == 1
        SecurityEvent.objects.bulk_create(theirs)
        written = [SecurityEvent.objects.filter(pk=event.pk).values().get() for event in [*ours, *theirs]]
        assert [row["session_id"] for row in written] == [event.session_id for event in [*ours, *theirs]]
        own = {"id", "created_at", "session_id"}
        same = [{name: value for name, value in row.items() if name not in own} for row in written]
        assert same[:2] == same[2:]
        assert [(event._state.adding, event._state.db) for event in ours] == [(False, "default")] * 2

    def test_the_number_of_rows_is_not_limited_by_a_statement(self, user):
        insert("default", *(event for _ in range(250) for event in events(user)))
        assert SecurityEvent.objects.count() == 500

    def test_it_writes_every_kind_of_column(self, holders):
        before = holders[0].row
        values = {name: getattr(before, name) for name in FIELDS}
        session = RefreshToken(**{**values, "id": uuid4(), "bound_key": {"kty": "EC"}})
        insert("default", session)
        written = RefreshToken.objects.get(pk=session.pk)
        assert (written.bound_key, written.methods) == ({"kty": "EC"}, before.methods)
        assert {name for name in FIELDS if getattr(written, name) != values[name]} == {"id", "bound_key"}

    def test_it_sends_no_signal(self, user):
        sent: list[Any] = []

        def note(sender: Any, **kwargs: Any) -> None:
            sent.append(sender)

        for signal in (pre_save, post_save):
            signal.connect(note, sender=Device)
        try:
            insert("default", Device(user=user, token_digest=b"x" * 32, name="one", created_at=clock("default")))
        finally:
            for signal in (pre_save, post_save):
                signal.disconnect(note, sender=Device)
        assert sent == []


def test_an_update_writes_these_columns_of_this_row_in_one_statement(holders):
    device, other = holders[0].row.device, holders[1].row.device
    device.name, device.created_at = "phone", other.created_at
    assert len(statements(lambda: update(device, "name"))) == 1
    assert [*Device.objects.filter(name="phone").values_list("pk", flat=True)] == [device.pk]
    assert Device.objects.get(pk=device.pk).created_at != other.created_at
