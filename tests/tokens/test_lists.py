"""Lists of sessions and users on large tables: the rows that PostgreSQL reads for them do not grow with the tables."""

from typing import Any

import pytest
from django.contrib.admin.templatetags.admin_list import result_headers
from django.test import Client

from accounts import admin as accounts_admin
from accounts.models import User
from tests import large_site
from tests.factories import AdminFactory
from tests.tokens.service.statements import explained, rows_read, statements
from tests.tokens.web_steps import signed_in_as
from tokens import admin as tokens_admin
from tokens.models import RefreshToken
from tokens.service import overview

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("postgresql"), pytest.mark.long]

SESSIONS, USERS = "/admin/tokens/refreshtoken/", "/admin/accounts/user/"
TABLES = {SESSIONS: RefreshToken._meta.db_table, USERS: User._meta.db_table}
MANY = 20_000
LISTED = 300
"""The highest number of rows that a list counts and shows in these tests."""
SESSION_FILTERS = "mode__exact=cookie mode__exact=body revoked_reason__exact=reuse_detected state=live state=revoked"
SESSION_SEARCHES = "q=member12@ q=192.0.2.7 q=Firefox q=nobody"
USER_FILTERS = "is_staff__exact=1 is_staff__exact=0 is_superuser__exact=1 is_active__exact=1 is_active__exact=0"
USER_SEARCHES = "q=Member12@ q=example q=nobody"
SHORT_QUERIES = [
    *((SESSIONS, query) for query in ["", "p=3", *SESSION_FILTERS.split(), *SESSION_SEARCHES.split()]),
    *((USERS, query) for query in ["", "p=3", *USER_FILTERS.split(), *USER_SEARCHES.split()]),
]


def scans(browser: Client, path: str, query: str = "") -> list[dict[str, Any]]:
    """Return the scans of the listed table in PostgreSQL's plans for a page. There is at least one."""
    table, url = TABLES.get(path, TABLES[SESSIONS]), f"{path}?{query}"
    responses: list[Any] = []
    sent = statements(lambda: responses.append(browser.get(url)))
    assert responses[0].status_code == 200
    found = []
    for sql in sent:
        if f'FROM "{table}"' in sql and sql.startswith("SELECT"):
            found += [node for node in explained(sql) if node.get("Relation Name") == table]
    assert found
    return found


def test_pages_read_few_rows_of_large_tables(subtests, monkeypatch):
    """On a small table a sequential scan is not slow. Writing many sessions takes longer than reading all lists."""
    monkeypatch.setattr(tokens_admin, "MAX_LISTED", LISTED)
    monkeypatch.setattr(accounts_admin, "MAX_LISTED", LISTED)
    large_site.gather(MANY)
    admin = signed_in_as(AdminFactory())
    few_that_have_ended = LISTED // 10
    for path, query in SHORT_QUERIES:
        with subtests.test("a list of the admin reads no more rows than it may show", path=path, query=query):
            assert all(rows_read(scan) <= LISTED + few_that_have_ended for scan in scans(admin, path, query))
    for query in ("state=expired", "revoked_reason__exact=signed_out"):
        with subtests.test("sessions of a common state are found by an index of the newest", query=query):
            found = scans(admin, SESSIONS, query)
            assert all("Index" in scan["Node Type"] and rows_read(scan) < MANY / 4 for scan in found)
    for path in ("/", "/api/auth/sessions"):
        with subtests.test("the pages of a user's own sessions read only those", path=path):
            found = scans(admin, path)
            assert all("user_id" in scan.get("Index Name", "") or rows_read(scan) <= 1 for scan in found)
            assert sum(rows_read(scan) for scan in found) <= 4
    with subtests.test("a search finds users however old"):
        users = admin.get(USERS, {"q": "Member0@"}).context["cl"].result_list
        assert [user.email for user in users] == ["member0@example.org"]
    monkeypatch.setattr(overview, "EXACT_UP_TO", MANY // 10)
    with subtests.test("the dashboard reads only a sample of the sessions"):
        assert all(rows_read(scan) < MANY / 4 for scan in scans(admin, f"{SESSIONS}dashboard/"))


def test_a_list_can_be_ordered_only_by_columns_with_an_index():
    admin = signed_in_as(AdminFactory())

    def sortable(path: str) -> set[str]:
        return {header["text"] for header in result_headers(admin.get(path).context["cl"]) if header["sortable"]}

    assert {path: sortable(path) for path in TABLES} == {SESSIONS: set(), USERS: {"e-mail address"}}
