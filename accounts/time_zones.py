"""Times in the reader's zone: a script on the pages writes the browser's zone into a cookie, this reads it back.

The cookie is ``__Host-timezone=Europe/Berlin``, a name of the IANA database; ``timezone`` over plain http, where the
prefix is not to be had. It is anybody's to set, and no secret. What is missing, too long or no zone's name counts as
UTC: a first visit, a browser without JavaScript, a joke.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.cache import patch_vary_headers

COOKIES = "__Host-timezone", "timezone"
MAX_NAME = 64
"""Characters; the longest name there is has 32."""


class ReaderZone(tzinfo):
    """A zone that knows whether a time was shown in it: only then does the page depend on the cookie."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self.is_used = False

    def __str__(self) -> str:
        return str(self._zone)

    def fromutc(self, moment: datetime) -> datetime:
        self.is_used = True
        return self._zone.fromutc(moment.replace(tzinfo=self._zone)).replace(tzinfo=self)

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return self._zone.utcoffset(self._seen_by_zone(moment))

    def dst(self, moment: datetime | None) -> timedelta | None:
        return self._zone.dst(self._seen_by_zone(moment))

    def tzname(self, moment: datetime | None) -> str | None:
        return self._zone.tzname(self._seen_by_zone(moment))

    def _seen_by_zone(self, moment: datetime | None) -> datetime | None:
        self.is_used = True
        return moment and moment.replace(tzinfo=self._zone)


class TimeZoneMiddleware:
    """Lets a request's times be shown in its reader's zone. Sync and async."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if self._is_async:
            return self.__acall__(request)
        zone = _zone_of(request)
        with timezone.override(zone):
            response = self.get_response(request)
        return _behind(response, zone)

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        zone = _zone_of(request)
        with timezone.override(zone):
            response = await self.get_response(request)
        return _behind(response, zone)


def _zone_of(request: HttpRequest) -> ReaderZone:
    name = next(filter(None, map(request.COOKIES.get, COOKIES)), "")
    return ReaderZone(_named(name) if 0 < len(name) <= MAX_NAME else UTC)


def _behind(response: HttpResponseBase, zone: ReaderZone) -> HttpResponseBase:
    if zone.is_used:
        patch_vary_headers(response, ("Cookie",))
    return response


@lru_cache(maxsize=1024)
def _named(name: str) -> tzinfo:
    """Return the zone of this name, or UTC. Remembered: looking for a name that is none goes through directories."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC  # No such file; one that is no zone, or outside the database; a directory.
