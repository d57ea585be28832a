"""The dashboard of sessions in the admin: its numbers are right, link to the same rows, and take bounded work."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from uuid_utils.compat import uuid7

from tests import large_site
from tests.browsers import login
from tests.factories import AdminFactory
from tests.tokens.service.statements import explained, failing, rows_read, statements
from tests.tokens.test_admin import SESSIONS, admin, boss, listed, session_of, staff
from tokens.models import RefreshToken, SecurityEvent
from tokens.service import events, overview

__all__ = ["admin", "boss", "staff"]

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

DASHBOARD = f"{SESSIONS}dashboard/"
HOUR = timedelta(hours=1)


def happen(kind: str, at: Any, count: int = 1) -> None:
    """Write events of a kind, with the ids that a server gives them at that time."""
    first = events.first_id(at).int
    SecurityEvent.objects.bulk_create(
        SecurityEvent(id=type(uuid7())(int=first + number + SecurityEvent.objects.count()), kind=kind, created_at=at)
        for number in range(count)
    )


def number(label: str, browser: Client) -> tuple[int, str]:
    """Return a number of the page, and the address to which it links."""
    context = browser.get(DASHBOARD).context
    found = [*context["numbers"], *context["modes"], *(kind for chart in context["charts"] for kind in chart.kinds)]
    [one] = [each for each in found if each.label == label]
    return one.value, one.url


@pytest.fixture
def sessions(boss: Any, admin: Client, user: Any, clock: Any) -> dict[str, RefreshToken]:
    """Sessions that differ in one thing each. Without those that have ended, every row would be counted as live."""
    clock.forward(2 * 3600)
    old = clock.now - 2 * HOUR
    return {
        "the administrator's": RefreshToken.objects.get(user=boss),  # Refreshed two hours ago.
        "refreshed": session_of(user),
        "in the body": session_of(user, mode="body", since=old),
        "bound": session_of(user, bound_at=clock.now, since=old),
        "expired": session_of(user, idle_expires_at=clock.now),
        "revoked": session_of(user, revoked_at=clock.now, revoked_reason="signed_out"),
    }


@pytest.mark.parametrize(
    ("label", "names"),
    [
        ("Live", ["the administrator's", "refreshed", "in the body", "bound"]),
        ("Refreshed within the hour", ["refreshed"]),
        ("Bound to their device", ["bound"]),
        ("cookie", ["the administrator's", "refreshed", "bound"]),
        ("response body", ["in the body"]),
    ],
    ids=["live", "refreshed within the hour", "bound", "in cookies", "in the body"],
)
def test_a_number_counts_the_live_sessions_that_the_list_behind_its_link_shows(label, names, sessions, clock, client):
    # The page is shown to somebody else, whose request does not refresh one of these sessions.
    login(client, AdminFactory(), remember=True)
    own = RefreshToken.objects.order_by("-id")[0]
    RefreshToken.objects.filter(pk=own.pk).update(mode="subdomain", since=clock.now - 2 * HOUR)
    value, url = number(label, client)
    expected = {sessions[name].pk for name in names} | ({own.pk} if label == "Live" else set())
    assert (value, listed(client, url)) == (len(expected), expected)


@pytest.mark.parametrize(
    ("kind", "series", "label"),
    [
        ("sign_in_failed", "Refused", "sign-in failed"),
        ("unproven", "Refused", "tried without the device's key"),
        ("alarm", "Alarms", "the owner says: this was not me"),
        ("reuse_detected", "Alarms", "refresh token used twice"),
        ("passkey_copied", "Alarms", "passkey copied"),
    ],
)
def test_events_of_the_last_24_hours_are_bars_and_sums_with_links(kind, series, label, admin, clock):
    now = clock.now.replace(minute=30)
    clock.forward((now - clock.now).total_seconds())
    happen(kind, now, 3)
    happen(kind, now - HOUR, 2)
    happen(kind, now - 23 * HOUR, 1)
    happen(kind, now - 24 * HOUR, 5)
    [chart] = [each for each in admin.get(DASHBOARD).context["charts"] if each.title == series]
    assert [bar.value for bar in chart.bars] == [1, *[0] * 21, 2, 3]
    assert max(bar.height for bar in chart.bars) == 80
    value, url = number(label, admin)
    assert (chart.total, value, len(listed(admin, url))) == (6, 6, 6)


def test_it_is_linked_from_the_list_and_from_the_page_of_the_app(admin):
    for path in (SESSIONS, "/admin/tokens/"):
        assert f'href="{DASHBOARD}"' in admin.get(path).content.decode()


def test_it_needs_the_permission_to_view_sessions_and_links_to_events_only_if_they_may_be_viewed(staff, clock):
    assert staff("view_device").get(DASHBOARD).status_code == 403
    assert 'href="/admin/tokens/securityevent/?' not in staff("view_refreshtoken").get(DASHBOARD).content.decode()
    both = staff("view_refreshtoken", "view_securityevent")
    assert 'href="/admin/tokens/securityevent/?' in both.get(DASHBOARD).content.decode()
    assert Client().get(DASHBOARD).status_code == 302


def test_it_has_the_time_no_script_of_its_own_and_no_style_attribute(admin):
    html = unescape(admin.get(DASHBOARD).content.decode())
    assert "As of Jan. 1, 2030, noon UTC." in html
    main = html.partition('id="content-main"')[2]
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=", main.partition("</main>")[0])


def test_it_is_in_german(admin):
    html = unescape(admin.get(DASHBOARD, headers={"Accept-Language": "de"}).content.decode())
    texts = ["Übersicht der Sitzungen", "In der letzten Stunde erneuert", "Alarme: 0", "Stand: 1. Januar 2030 12:00"]
    assert [text for text in texts if text not in html] == []


def test_the_refreshes_that_the_process_has_counted_are_a_table(admin):
    labels = [str(each.label) for each in admin.get(DASHBOARD).context["refreshes"]]
    assert {"refused", "repeated: the same answer again"} <= set(labels)


def tenant_of(request: Any) -> str:
    return "first"


def test_a_tenant_is_not_shown_the_refreshes_of_all_tenants(settings):
    assert [*overview.refreshes()]
    settings.TOKENS = {"TENANT_HOOK": f"{__name__}.tenant_of"}
    assert [*overview.refreshes()] == []


@pytest.mark.only_on("postgresql")
def test_it_takes_three_statements_whatever_there_is(admin, user):
    def sent() -> list[str]:
        found = statements(lambda: admin.get(DASHBOARD))
        return [sql for sql in found if sql.startswith("SELECT") and ("COUNT(" in sql or "reltuples" in sql)]

    before = sent()
    for _ in range(3):
        session_of(user)
    assert len(sent()) == len(before) == 3


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize(("where", "what"), [("FILTER", "sessions"), ("DATE_TRUNC", "events")])
def test_a_database_that_takes_too_long_is_said_and_the_rest_is_shown(where, what, admin):
    with failing(where) as failed:
        html = admin.get(DASHBOARD).content.decode()
    assert len(failed) == 1
    assert f"The database took too long to count the {what}." in html
    assert html.count("The database took too long") == 1


@pytest.mark.only_on("postgresql")
@pytest.mark.long
def test_a_large_table_is_sampled_and_the_counts_are_near_the_truth(api, monkeypatch):
    """20,000 sessions, of which about 5,000 rows are read. The seed is PostgreSQL's, so the margin is wide."""
    large_site.gather(20_000)
    login(api, AdminFactory())
    monkeypatch.setattr(overview, "EXACT_UP_TO", 5_000)
    truth = RefreshToken.objects.live().count()
    sent = statements(lambda: overview.overview())
    [sampled] = [sql for sql in sent if "TABLESAMPLE" in sql]
    scans = [node for node in explained(sampled) if node["Node Type"] == "Sample Scan"]
    assert 2_000 < sum(map(rows_read, scans)) < 9_000
    found = overview.overview().live
    assert not found.is_exact
    assert truth / 2 < found.count < truth * 2
    assert "≈" in api.get(DASHBOARD).content.decode()
