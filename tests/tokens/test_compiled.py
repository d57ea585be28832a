"""What is compiled once is read and written as the ORM does it each time."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models.signals import post_save, pre_save
from django.test.utils import CaptureQueriesContext

from tests.factories import UserFactory
from tests.tokens.service.holders import Holder
from tokens.compiled import Read, insert
from tokens.database import DatabaseNow, clock
from tokens.models import Device, RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

FIELDS = [field.attname for field in RefreshToken._meta.concrete_fields]


class Counted:
    """Some rows of a user's, as a queryset. ``times``: how often it was made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, alias: str, user: Any, device__token_digest: bytes) -> Any:
        self.times += 1
        everybodys = RefreshToken.objects.using(alias).values_list(*FIELDS)
        theirs = everybodys.filter(user=user, expires_at__gt=DatabaseNow(), mode="cookie")
        here = everybodys.filter(device__token_digest=device__token_digest).exclude(user=user)
        return theirs.union(here, all=True).order_by("id")


@pytest.fixture
def holders() -> list[Holder]:
    return [Holder(UserFactory()) for _ in range(3)]


def test_what_is_read_is_what_the_orm_reads_whatever_the_values(holders):
    rows = Counted()
    read = Read(rows)
    for one, other in zip(holders, reversed(holders), strict=True):
        values = {"user": one.user.pk, "device__token_digest": other.row.device.token_digest}
        assert read("default", **values) == list(rows("default", **values))
    assert read("default", user=uuid4(), device__token_digest=b"") == []


@pytest.mark.only_on("postgresql")
def test_it_is_compiled_once_for_all_values(holders):
    rows = Counted()
    read = Read(rows)
    for holder in holders:
        assert read("default", user=holder.user.pk, device__token_digest=b"")
    assert rows.times == 1


@pytest.mark.parametrize("seconds", [60, 10**9])
def test_the_clock_is_todays(holders, clock, seconds):
    read = Read(Counted())
    values = {"user": Holder(UserFactory()).user.pk, "device__token_digest": b""}
    assert len(read("default", **values)) == 1
    clock.forward(seconds)
    assert len(read("default", **values)) == (1 if seconds == 60 else 0)


def test_a_value_is_made_ready_as_its_field_says(holders):
    """UUIDs are text in some databases, and whoever calls may have text."""
    read = Read(Counted())
    assert read("default", user=str(holders[0].user.pk), device__token_digest=b"") == read(
        "default", user=holders[0].user.pk, device__token_digest=b""
    )


def events(user: Any) -> list[SecurityEvent]:
    now = clock("default")
    return [
        SecurityEvent(kind=SecurityEvent.Kind.ALARM, created_at=now, user=user, session_id=uuid4(), ip="2001:db8::7"),
        SecurityEvent(kind=SecurityEvent.Kind.PURGED, created_at=now, reason="%s ' \" ü", user_agent="x" * 300),
    ]


def test_what_is_inserted_is_what_the_orm_inserts(user):
    ours, theirs = events(user), events(user)
    with CaptureQueriesContext(connection) as captured:
        insert("default", *ours)
    assert len(captured) == 1
    SecurityEvent.objects.bulk_create(theirs)
    written = [SecurityEvent.objects.get(pk=event.pk) for event in [*ours, *theirs]]
    kept = [
        {name: value for name, value in vars(event).items() if name not in {"_state", "id", "created_at", "session_id"}}
        for event in written
    ]
    assert kept[:2] == kept[2:]
    assert [event.session_id for event in written] == [event.session_id for event in [*ours, *theirs]]
    assert [(event._state.adding, event._state.db) for event in ours] == [(False, "default")] * 2


def test_as_many_are_inserted_as_there_are_whatever_a_statement_may_hold(user):
    insert("default", *(event for _ in range(250) for event in events(user)))
    assert SecurityEvent.objects.count() == 500


def test_every_kind_of_column_is_written(holders):
    before = holders[0].row
    session = RefreshToken(**{**{name: getattr(before, name) for name in FIELDS}, "id": uuid4()})
    session.bound_key = {"kty": "EC"}
    insert("default", session)
    written = RefreshToken.objects.get(pk=session.pk)
    assert written.bound_key == {"kty": "EC"}
    assert written.authentication_methods == ["pwd"]
    different = {name for name in FIELDS if getattr(written, name) != getattr(before, name)}
    assert different == {"id", "bound_key"}


def test_no_signal_is_sent(user):
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
