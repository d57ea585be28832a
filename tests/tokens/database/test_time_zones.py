"""A connection with a time zone (``DATABASES["default"]["TIME_ZONE"]``): durations are those of UTC.

Django reads times in the zone of the connection. Python then calculates by the clock on the wall, which jumps when
summer time begins and ends. Each history here is the same in UTC and in every zone, to the microsecond.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections

from tests.browsers import ACCESS, FIREFOX, login, post, refresh
from tests.factories import PASSWORD, UserFactory
from tests.tokens.devices import OFFERED, KeyHolder
from tests.tokens.service.holders import HOME, STILL_TIME, Holder
from tests.tokens.service.statements import query
from tokens.conf import codec
from tokens.database.expressions import Ago, DatabaseNow
from tokens.database.statements import Read
from tokens.database.transactions import clock as clock_of
from tokens.models import Device, RefreshToken, Revocation, SecurityEvent
from tokens.service import devices, opening, queries, rotation_statement
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens
from tokens.service.purge import purges
from tokens.service.user_changes import end_outdated

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("postgresql"), pytest.mark.long]

# An hour before each change: in Newfoundland there is half an hour in the offset, on Lord Howe Island in the change.
CHANGES = {
    "Berlin, summer time begins": ("Europe/Berlin", datetime(2030, 3, 31, 0, 0, tzinfo=UTC)),
    "Berlin, summer time ends": ("Europe/Berlin", datetime(2030, 10, 27, 0, 0, tzinfo=UTC)),
    "Newfoundland, summer time begins": ("America/St_Johns", datetime(2030, 3, 10, 4, 30, tzinfo=UTC)),
    "Newfoundland, summer time ends": ("America/St_Johns", datetime(2030, 11, 3, 3, 30, tzinfo=UTC)),
    "Lord Howe Island, summer time ends": ("Australia/Lord_Howe", datetime(2030, 4, 6, 14, 0, tzinfo=UTC)),
    "Nepal, which has no summer time": ("Asia/Kathmandu", datetime(2030, 6, 1, 0, 0, tzinfo=UTC)),
}
SOME = ["Berlin, summer time begins", "Berlin, summer time ends", "Newfoundland, summer time ends"]
changes = pytest.mark.parametrize(("zone", "start"), CHANGES.values(), ids=CHANGES)
some_changes = pytest.mark.parametrize(("zone", "start"), [CHANGES[name] for name in SOME], ids=SOME)


def _set_zone(zone: str | None) -> None:
    connection = connections["default"]
    connection.settings_dict["TIME_ZONE"] = zone
    for name in ("timezone", "timezone_name"):
        connection.__dict__.pop(name, None)
    query("SELECT set_config('TimeZone', %s, false)", zone or "UTC")
    # What a process compiles once is for the zone of its connections.
    rotation_statement._statement.cache_clear()
    modules: list[ModuleType] = [devices, opening]
    for found in (found for module in modules for found in vars(module).values()):
        if isinstance(found, Read):
            found._compiled.cache_clear()


@pytest.fixture
def in_zone() -> Iterator[Callable[[str | None], None]]:
    """Return a function that gives the connection a time zone. A zone that stayed would change later tests."""
    yield _set_zone
    _set_zone(None)


def seconds_of_row(name: str, user: Any) -> float:
    """Return a time of the session of a user as PostgreSQL stores it, in POSIX seconds."""
    found = query(f'SELECT extract(epoch FROM "{name}") FROM tokens_refreshtoken WHERE user_id = %s', user.pk)  # noqa: S608
    return float(found[0])


def history(clock: Any, start: datetime) -> list[Any]:
    """Return what a session answers and stores, every few minutes from an hour before a change until two hours after.

    Times are in seconds since the start.
    """
    clock._traveller.move_to(start)
    found: list[Any] = []
    holder = Holder(UserFactory(), Client("192.0.2.7", FIREFOX))

    def note(answer: Any) -> None:
        row = holder.row
        access = (answer.access.issued_at, answer.access.authenticated_at) if isinstance(answer, IssuedTokens) else ()
        lifetime = answer.access.expires_at - answer.access.issued_at
        assert 570 <= lifetime <= 600
        times = [seconds_of_row(name, holder.user) for name in ("since", "created_at", "idle_expires_at", "expires_at")]
        read = [getattr(row, name).timestamp() for name in ("since", "created_at", "idle_expires_at", "expires_at")]
        assert times == read
        found.append(
            [
                answer.decision and answer.decision.value,
                row.generation,
                row.recovered,
                *(round(time - start.timestamp(), 6) for time in [*access, *times]),
            ]
        )

    note(holder.issued)
    for step in range(36):
        clock.forward(299.123456)
        previous = holder.token
        note(holder.refresh())
        note(holder.granted(previous))  # a parallel tab
        if step % 3 == 0:
            clock.forward(STILL_TIME)
            note(holder.granted(previous))  # the response was lost
    return found


IN_UTC: list[Any] = []
"""The history in UTC. It is the same whenever it begins, so it is made once."""


@changes
def test_a_session_lives_through_the_change_as_it_does_in_utc(clock, in_zone, zone, start):
    if not IN_UTC:
        IN_UTC.extend(history(clock, start))
        RefreshToken.objects.all().delete()
    in_zone(zone)
    assert history(clock, start) == IN_UTC
    assert len(IN_UTC) > 80


@some_changes
def test_a_token_that_was_used_twice_ends_the_session_on_the_same_second_as_in_utc(clock, in_zone, zone, start):
    def endings() -> list[bool]:
        found = []
        for seconds in (29, 31, 3590, 3610, 3700, 7100):
            clock._traveller.move_to(start + timedelta(minutes=59))
            holder = Holder(UserFactory(), HOME)
            stolen = holder.token
            holder.refresh()
            RefreshToken.objects.filter(id=holder.id).update(acknowledged=True)
            clock.forward(seconds)
            found.append(holder.is_refused(stolen))
        return found

    expected = endings()
    in_zone(zone)
    assert endings() == expected == [False, True, True, True, True, True]


@some_changes
def test_a_session_ends_without_use_on_the_same_second_as_in_utc(clock, in_zone, zone, start):
    in_zone(zone)
    for lifetime, options in ((12 * 3600, {}), (14 * 86400, {"remember": True})):
        clock._traveller.move_to(start)
        holder = Holder(UserFactory(), HOME, **options)
        holder.refresh()
        clock.forward(lifetime - 1)
        assert not holder.row.state(clock.now).ended
        assert RefreshToken.objects.live().filter(id=holder.id).exists()
        clock.forward(1)
        assert holder.row.state(clock.now).ended
        assert not RefreshToken.objects.live().filter(id=holder.id).exists()
        assert holder.is_refused()


@some_changes
def test_a_bound_session_and_the_api_say_the_same_as_in_utc(clock, in_zone, settings, api, zone, start):
    settings.TOKENS = OFFERED
    in_zone(zone)
    clock._traveller.move_to(start + timedelta(minutes=55))
    bound = KeyHolder(UserFactory())
    assert isinstance(bound.register(), IssuedTokens)
    for _ in range(4):
        answer = bound.prove()
        assert isinstance(answer, IssuedTokens)
        assert 570 <= answer.access.expires_at - answer.access.issued_at <= 600
        clock.forward(1200)
    user = UserFactory()
    clock._traveller.move_to(start + timedelta(minutes=55))
    login(api, user)
    for _ in range(4):
        clock.forward(700)
        assert refresh(api).status_code == 200
        access = codec().loads(api.cookies[ACCESS].value, clock.now)
        assert 570 <= access.expires_at - access.issued_at <= 600
        told = api.get("/api/auth/me").json()["access_token_expires_at"]
        assert datetime.fromisoformat(told).timestamp() == access.expires_at
    [session] = api.get("/api/auth/sessions").json()["results"]
    assert datetime.fromisoformat(session["created_at"]) == start + timedelta(minutes=55)
    assert post(api, "/api/auth/reauthenticate", {"password": PASSWORD}).status_code == 200
    assert seconds_of_row("authenticated_at", user) == clock.now.timestamp()


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"])
def test_all_times_are_read_in_utc_by_every_statement(in_zone, zone):
    in_zone(zone)
    holder = Holder(UserFactory())
    holder.refresh()
    RefreshToken.objects.update(since=Ago(timedelta(minutes=5)))
    rotated = holder.refresh().session
    assert query("SELECT current_setting('TimeZone')") == (zone,)
    row = RefreshToken.objects.for_decision().get()
    times = [rotated.now, row.now, clock_of("default"), row.device.created_at, rotated.device.created_at]
    times += [getattr(found, name) for found in (row, rotated) for name in ("since", "created_at", "expires_at")]
    times += RefreshToken.objects.values_list("idle_expires_at", flat=True)
    times += RefreshToken.objects.annotate(now=DatabaseNow()).values_list("now", flat=True)
    times += SecurityEvent.objects.values_list("created_at", flat=True)
    assert {time.tzinfo for time in times} == {UTC}
    assert abs(times[0] - datetime.now(UTC)) < timedelta(minutes=1)
    if zone != "UTC":
        last_login = get_user_model().objects.values_list("date_joined", flat=True).get()
        assert last_login.tzinfo == ZoneInfo(zone)  # The project's own times stay as Django reads them.


@some_changes
def test_periods_of_days_and_the_purge_keep_to_the_second(clock, in_zone, zone, start):
    def counted() -> int:
        return {purge.name: purge.count() for purge in purges()}["sessions"]

    in_zone(zone)
    clock._traveller.move_to(start)
    holder = Holder(UserFactory())
    holder.end()
    for days in (1, 7, 30):
        clock._traveller.move_to(start + timedelta(days=days, seconds=-1))
        assert queries.was_revoked_within(holder.user, timedelta(days=days), or_signed_out=True)
        assert counted() == 0
        clock.forward(2)
        assert not queries.was_revoked_within(holder.user, timedelta(days=days), or_signed_out=True)
    assert counted() == 1
    call_command("purge_tokens", verbosity=0)
    assert not RefreshToken.objects.exists()
    assert not Device.objects.exists()


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kathmandu"])
def test_a_change_of_a_user_in_sql_is_noted_at_the_right_time_and_ends_the_session(in_zone, zone):
    in_zone(zone)
    holder = Holder(UserFactory())
    query("UPDATE accounts_user SET is_active = false")
    [note] = Revocation.objects.filter(session_id=None)
    assert abs(note.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert end_outdated([note.user_key]) == [holder.id]
