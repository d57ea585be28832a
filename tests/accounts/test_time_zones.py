"""Times in the reader's zone, which the browser tells in a cookie; in UTC, and labelled so, until it has."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils import timezone

from accounts.time_zones import MAX_NAME, ReaderZone, TimeZoneMiddleware
from tests.browsers import login

BERLIN = "Europe/Berlin"
NOON = datetime(2030, 7, 1, 12, tzinfo=UTC)
GARBAGE = [
    "", "nowhere", "Europe", "Europe/", "/etc/passwd", "../../etc/passwd", "Europe/../Europe/Berlin", "zone.tab",
    "Europe/Berlin ", "\N{SNOWMAN}", "a\x00b", ".", "x" * 10_000, "A" * (MAX_NAME + 1), "tzdata.zi",
]  # fmt: skip


def shown(request: HttpRequest) -> HttpResponse:
    local = timezone.localtime(NOON)
    return HttpResponse(f"{local:%H:%M} {local.tzname()}")


def request(cookie: str | None = None) -> HttpRequest:
    made = RequestFactory().get("/")
    if cookie is not None:
        made.COOKIES["timezone"] = cookie
    return made


def seen(view: Any, cookie: str | None) -> str:
    return TimeZoneMiddleware(view)(request(cookie)).content.decode()


@pytest.mark.django_db
def test_a_page_shows_times_in_the_readers_zone(api, user, clock):
    login(api, user)
    api.cookies["timezone"] = BERLIN
    response = api.get("/")
    html = response.content.decode()
    assert html.count('<time datetime="2030-01-01T13:00:00+01:00">Jan. 1, 2030, 1 p.m. CET</time>') == 2
    assert "Cookie" in response["Vary"]


@pytest.mark.django_db
@pytest.mark.parametrize("cookie", [None, "garbage", "../../etc/passwd"])
def test_a_page_shows_times_in_utc_where_the_zone_is_not_known(api, user, clock, cookie):
    login(api, user)
    if cookie:
        api.cookies["timezone"] = cookie
    html = api.get("/").content.decode()
    assert html.count('<time datetime="2030-01-01T12:00:00+00:00">Jan. 1, 2030, noon UTC</time>') == 2


@pytest.mark.django_db
def test_the_api_stays_in_utc(api, user, clock):
    api.cookies["timezone"] = BERLIN
    login(api, user)
    assert api.get("/api/auth/me").json()["session"]["created_at"] == "2030-01-01T12:00:00Z"


@pytest.mark.parametrize(
    ("cookie", "time"),
    [(None, "12:00 UTC"), (BERLIN, "14:00 CEST"), ("Asia/Kathmandu", "17:45 +0545"), ("America/St_Johns", "09:30 NDT")],
)
def test_the_cookie_names_the_zone(cookie, time):
    assert seen(shown, cookie) == time


@pytest.mark.parametrize("cookie", GARBAGE, ids=ascii)
def test_what_is_no_zone_counts_as_utc_and_is_never_an_error(cookie):
    assert seen(shown, cookie) == "12:00 UTC"


def test_the_zone_is_the_requests_alone():
    before = timezone.get_current_timezone()
    seen(shown, BERLIN)
    assert timezone.get_current_timezone() == before

    def fails(request: HttpRequest) -> HttpResponse:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        seen(fails, BERLIN)
    assert timezone.get_current_timezone() == before


def test_requests_served_at_once_by_one_thread_keep_their_zones():
    async def slow(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0.01)
        return shown(request)

    async def both() -> list[str]:
        middleware = TimeZoneMiddleware(slow)
        responses = await asyncio.gather(*(middleware(request(cookie)) for cookie in (BERLIN, None, "Asia/Tokyo")))
        return [response.content.decode() for response in responses]

    assert asyncio.run(both()) == ["14:00 CEST", "12:00 UTC", "21:00 JST"]


@pytest.mark.parametrize("cookie", [None, BERLIN])
def test_a_response_that_shows_a_time_depends_on_the_cookie_and_no_other_does(cookie):
    assert TimeZoneMiddleware(shown)(request(cookie))["Vary"] == "Cookie"
    assert "Vary" not in TimeZoneMiddleware(lambda request: HttpResponse("no time"))(request(cookie))


@pytest.mark.parametrize("zone", [ZoneInfo(BERLIN), ZoneInfo("America/St_Johns"), UTC], ids=str)
def test_the_readers_zone_is_the_zone(zone):
    """Every half hour of a year, both changes of the clocks included."""
    ours = ReaderZone(zone)
    assert str(ours) == str(zone)
    for halves in range(2 * 24 * 366):
        moment = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(minutes=30 * halves)
        mine, its = moment.astimezone(ours), moment.astimezone(zone)
        assert (mine.replace(tzinfo=None), mine.fold) == (its.replace(tzinfo=None), its.fold)
        assert (mine.utcoffset(), mine.dst(), mine.tzname()) == (its.utcoffset(), its.dst(), its.tzname())


def test_the_script_is_a_file_of_its_own_and_every_page_has_it(api):
    assert b'<script src="/static/accounts/time-zone.js" async></script>' in api.get("/mail-sent").content
    script = Path(finders.find("accounts/time-zone.js")).read_text()
    for part in ("timezone=", "SameSite=Lax", "Path=/", "Secure"):
        assert part in script
