"""Lists of sessions and users, on large tables: what PostgreSQL reads for them does not grow with the tables."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.templatetags.admin_list import result_headers
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests import crowd
from tests.browsers import login
from tests.factories import AdminFactory
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("postgresql")]

SESSIONS, USERS = "/admin/tokens/refreshtoken/", "/admin/accounts/user/"
TABLE = RefreshToken._meta.db_table
MANY = 20_000
LISTED = 300
"""How many rows a list counts and shows at most, in here."""


@pytest.fixture
def admin(api: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The browser of a superuser, on a server with many sessions."""
    monkeypatch.setattr("tokens.admin.MAX_LISTED", LISTED)
    monkeypatch.setattr("accounts.admin.MAX_LISTED", LISTED)
    crowd.gather(MANY)
    login(api, AdminFactory())
    return api


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def scans(browser: Client, path: str, table: str = TABLE) -> list[dict[str, Any]]:
    """The scans of the table by which PostgreSQL answers for a page."""
    browser.get(path)
    with CaptureQueriesContext(connection) as captured:
        assert browser.get(path).status_code == 200
    found = []
    for query in captured:
        if f'FROM "{table}"' in query["sql"] and query["sql"].startswith("SELECT"):
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query['sql']}")
                plan = cursor.fetchone()[0]
            plan = json.loads(plan) if isinstance(plan, str) else plan
            found += [node for node in nodes(plan[0]["Plan"]) if node.get("Relation Name") == table]
    return found


def rows_read(scan: dict[str, Any]) -> float:
    return (scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)) * scan["Actual Loops"]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "p=3",
        "mode__exact=cookie",
        "mode__exact=body",
        "revoked_reason__exact=reuse_detected",
        "state=live",
        "state=revoked",
        "q=crowd12@",
        "q=192.0.2.7",
        "q=Firefox",
        "q=nobody",
    ],
)
def test_the_admins_list_reads_no_more_than_it_may_show(query, admin):
    reads_no_more_than_listed(scans(admin, f"{SESSIONS}?{query}"))


@pytest.mark.parametrize("query", ["state=expired", "revoked_reason__exact=signed_out"])
def test_what_is_not_rare_is_found_among_the_newest(query, admin):
    found = scans(admin, f"{SESSIONS}?{query}")
    assert found
    assert all("Index" in scan["Node Type"] for scan in found)
    assert all(rows_read(scan) < MANY / 4 for scan in found)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "p=3",
        "is_staff__exact=1",
        "is_staff__exact=0",
        "is_superuser__exact=1",
        "is_active__exact=1",
        "is_active__exact=0",
        "q=Crowd12@",
        "q=example",
        "q=nobody",
    ],
)
def test_the_admins_list_of_users_reads_no_more_than_it_may_show(query, admin):
    reads_no_more_than_listed(scans(admin, f"{USERS}?{query}", User._meta.db_table))


def reads_no_more_than_listed(found: list[dict[str, Any]]) -> None:
    assert found
    few_that_have_ended = LISTED // 10
    assert all(rows_read(scan) <= LISTED + few_that_have_ended for scan in found)


@pytest.mark.parametrize("path", [SESSIONS, USERS])
def test_no_list_offers_an_order_that_has_no_index(path, admin):
    headers = result_headers(admin.get(path).context["cl"])
    offered = {header["text"] for header in headers if header["sortable"]}
    assert offered == ({"e-mail address"} if path == USERS else set())


@pytest.mark.parametrize("path", ["/", "/api/auth/sessions"])
def test_the_pages_of_ones_own_sessions_read_ones_own(path, admin):
    found = scans(admin, path)
    assert found
    assert all("user_id" in scan.get("Index Name", "") or rows_read(scan) <= 1 for scan in found)
    assert sum(rows_read(scan) for scan in found) <= 4


def test_a_search_finds_a_users_sessions_however_old(admin):
    response = admin.get(SESSIONS, {"q": "crowd0@"})
    assert {row.user.email for row in response.context["cl"].result_list} == {"crowd0@example.org"}
    assert len(response.context["cl"].result_list) == 4


def test_a_search_finds_a_user_however_old(admin):
    response = admin.get(USERS, {"q": "Crowd0@"})
    assert [user.email for user in response.context["cl"].result_list] == ["crowd0@example.org"]
