"""The dashboard of sessions in the admin: how many are live, and what happened in the last 24 hours.

Numbers link to the lists with the same filters. The bars are SVG without script and without style attributes, which the
Content-Security-Policy would block.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext, pgettext_lazy

from tokens.models import RefreshToken, SecurityEvent
from tokens.service import overview
from tokens.service.overview import Live, Overview

HEIGHT, WIDTH, GAP = 80, 20, 4
"""The size of a chart's bars, in units of the SVG."""

OUTCOMES = {
    "rotated": gettext_lazy("rotated: a new refresh token"),
    "caught up": gettext_lazy("caught up: the database had lost commits"),
    "repeated": gettext_lazy("repeated: the same answer again"),
    "recovered": gettext_lazy("recovered: a lost answer, sent again"),
    "arrived late": gettext_lazy("arrived late: an old token, shortly after the next one"),
    "idle": gettext_lazy("idle: a factor has to reopen the session"),
    "recoveries exhausted": gettext_lazy("recovered too often: the session ended"),
    "reuse detected": gettext_lazy("used twice: the session ended"),
    "refused": gettext_lazy("refused"),
    "failed": gettext_lazy("failed: the database did not answer"),
}
SERIES = (
    (pgettext_lazy("a title", "Sign-ins"), overview.SIGNED_IN),
    (pgettext_lazy("a title", "Refused"), overview.REFUSED),
    (pgettext_lazy("a title", "Alarms"), overview.ALARMS),
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number with its label, and the address of the list of these rows, which is empty if there is none."""

    label: Any
    value: int
    url: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """The bar of an hour. ``x``, ``y`` and ``height`` are units of the SVG."""

    hour: str
    value: int
    x: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """The bars of a series, and the sums of the kinds of events in it."""

    title: Any
    total: int
    most: int
    bars: list[Bar]
    kinds: list[Number]


def show(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Return the page. ``context`` is what every page of the admin has."""
    found = overview.overview()
    labels = [date_format(timezone.localtime(hour), "TIME_FORMAT") for hour in found.hours]
    charts = [] if found.happened is None else [_chart(request, found, labels, *each) for each in SERIES]
    more = {
        "title": _("Dashboard of sessions"),
        "now": found.now,
        "since": found.hours[0],
        "live": found.live,
        "numbers": [] if found.live is None else _numbers(found, found.live),
        "modes": [] if found.live is None else _modes(found.live),
        "charts": charts,
        "rows": zip(labels, *([bar.value for bar in chart.bars] for chart in charts), strict=True) if charts else (),
        "refreshes": [Number(OUTCOMES.get(name, name), count) for name, count in overview.refreshes()],
        "are_of_all_processes": overview.are_of_all_processes(),
        "height": HEIGHT,
        "width": WIDTH * len(labels),
    }
    return render(request, "admin/tokens/dashboard.html", {**context, **more})


def _numbers(found: Overview, live: Live) -> list[Number]:
    return [
        Number(pgettext("a title", "Live"), live.count, _sessions()),
        Number(_("Refreshed within the hour"), live.recent, _sessions(since__gte=found.recent_since.isoformat())),
        Number(_("Bound to their device"), live.bound, _sessions(bound_at__isnull=False)),
    ]


def _modes(live: Live) -> list[Number]:
    names = dict(RefreshToken.Mode.choices)
    return [
        Number(names.get(mode, mode), count, _sessions(mode__exact=mode))
        for mode, count in sorted(live.by_mode.items(), key=lambda item: -item[1])
    ]


def _chart(request: HttpRequest, found: Overview, labels: list[str], title: Any, kinds: Sequence[str]) -> Chart:
    happened = {kind: (found.happened or {})[kind] for kind in kinds}
    values = [sum(each) for each in zip(*happened.values(), strict=True)]
    most = max(values)
    bars = [
        # An hour with a single event among thousands is still seen.
        Bar(label, value, WIDTH * place, HEIGHT - height, height)
        for place, (label, value) in enumerate(zip(labels, values, strict=True))
        for height in [round(max(HEIGHT * value / most, 2), 1) if value else 0]
    ]
    may_view = request.user.has_perm("tokens.view_securityevent")
    names = dict(SecurityEvent.Kind.choices)
    sums = [
        Number(names[kind], sum(counts), _events(kind, found.hours[0]) if may_view else "")
        for kind, counts in happened.items()
    ]
    return Chart(title, sum(values), most, bars, sums)


def _sessions(**filters: Any) -> str:
    return f"{reverse('admin:tokens_refreshtoken_changelist')}?{urlencode({'state': 'live', **filters})}"


def _events(kind: str, since: datetime) -> str:
    filters = {"kind__exact": kind, "created_at__gte": since.isoformat()}
    return f"{reverse('admin:tokens_securityevent_changelist')}?{urlencode(filters)}"
