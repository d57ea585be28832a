"""Health checks and metrics: each answer is true, goes only to clients that may have it, and sets no cookie."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.backends.utils import CursorWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from tests.browsers import login
from tests.factories import PASSWORD
from tests.tokens.web_steps import EXPIRED, is_unavailable
from tokens import monitoring
from tokens.models import RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db(transaction=True)

PROXY, OUTSIDE, NEIGHBOUR, HERE = "10.0.0.1", "203.0.113.7", "10.0.0.9", "127.0.0.1"
ANY_HOST = {"Host": "10.1.2.3:8000"}
"""A host that is not in ALLOWED_HOSTS, as load balancers send it."""


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgets what the process found out about its database. Otherwise one test would be answered from another's."""
    monkeypatch.setattr(monitoring, "_readiness", monitoring.Question(monitoring.Migrations().are_applied))
    monkeypatch.setattr(monitoring, "_last_purge", monitoring.Question(monitoring.last_run))


@contextmanager
def database_down(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every statement of every thread fail, as when the database cannot be reached."""

    def fail(*given: Any, **more: Any) -> None:
        raise OperationalError("the database is down")

    with monkeypatch.context() as patch:
        patch.setattr(CursorWrapper, "_execute_with_wrappers", fail)
        yield


def is_ready() -> bool:
    status = Client().get("/health/ready").status_code
    assert status in {200, 503}
    return status == 200


def scrape() -> dict[tuple[str, ...], float]:
    """Return the samples of a scrape, by name and the values of their labels."""
    response = Client().get("/metrics")
    assert response.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


class TestHealth:
    def test_a_process_with_a_database_is_live_and_ready_by_any_host_name(self, browser):
        for name in ("live", "ready"):
            response = browser.get(f"/health/{name}", headers=ANY_HOST)
            assert (response.status_code, response.content) == (200, f"{name}\n".encode())
            assert response["Cache-Control"] == "no-store"

    def test_without_its_database_it_is_live_and_not_ready(self, browser, monkeypatch):
        with database_down(monkeypatch):
            assert browser.get("/health/live", headers=ANY_HOST).status_code == 200
            assert is_unavailable(browser.get("/health/ready", headers=ANY_HOST))
        assert browser.get("/health/ready").status_code == 200

    def test_a_database_that_does_not_answer_blocks_one_thread_and_no_request(self, monkeypatch):
        monkeypatch.setattr(monitoring, "PATIENCE", 0.05)
        answered, asked = threading.Event(), []

        def hang() -> bool:
            asked.append(threading.current_thread())
            return answered.wait(30)

        monkeypatch.setattr(monitoring, "_readiness", monitoring.Question(hang))
        assert [is_ready() for _ in range(3)] == [False] * 3
        assert len(asked) == 1
        answered.set()
        asked[0].join()
        assert is_ready()

    def test_the_database_is_not_asked_in_the_context_of_a_request(self, monkeypatch):
        """In some Pythons, a new thread begins in the context of the one that starts it. Here each one does."""
        of_request: ContextVar[str] = ContextVar("of_request", default="none")

        class Inheriting(threading.Thread):
            def __init__(self, *, target: Callable[..., None], args: tuple[Any, ...], daemon: bool) -> None:
                super().__init__(target=copy_context().run, args=(target, *args), daemon=daemon)

        monkeypatch.setattr(monitoring, "Thread", Inheriting)
        of_request.set("acme")
        assert monitoring.Question(of_request.get).answer() == "none"

    def test_it_is_ready_when_all_migrations_are_applied_which_it_checks_once(self):
        recorder = MigrationRecorder(connection)
        newest = recorder.migration_qs.filter(app="tokens").latest("id")
        for expected in (False, True):
            recorder.record_unapplied(newest.app, newest.name)
            try:
                assert is_ready() is expected
            finally:
                recorder.record_applied(newest.app, newest.name)
            assert is_ready()

    @pytest.mark.parametrize("path", monitoring.VIEWS)
    def test_a_signed_in_browser_is_neither_refreshed_nor_given_a_cookie(self, path, clock, signed_in):
        clock.forward(EXPIRED)
        before = RefreshToken.objects.values().get()
        response = signed_in.get(path)
        assert (response.status_code, len(response.cookies), response.has_header("Vary")) == (200, 0, False)
        assert RefreshToken.objects.values().get() == before

    @pytest.mark.parametrize("path", monitoring.VIEWS)
    def test_only_get_and_head_are_allowed(self, path):
        assert (Client().post(path).status_code, Client().head(path).status_code) == (405, 200)


BEHIND_A_PROXY = {"allowed": ["10.0.0.0/8"], "proxies": [PROXY]}
READERS: dict[str, tuple[dict[str, Any], dict[str, str], bool]] = {
    # settings, request, may it read the metrics?
    "this machine": ({}, {"REMOTE_ADDR": HERE}, True),
    "this machine, by IPv6": ({}, {"REMOTE_ADDR": "::1"}, True),
    "another machine": ({}, {"REMOTE_ADDR": NEIGHBOUR}, False),
    "a Unix socket, which is a proxy's": ({}, {"REMOTE_ADDR": ""}, False),
    "a proxy here that is not trusted": ({}, {"REMOTE_ADDR": HERE, "HTTP_X_FORWARDED_FOR": OUTSIDE}, False),
    "the same, mapped to IPv6": ({}, {"REMOTE_ADDR": f"::ffff:{HERE}", "HTTP_X_REAL_IP": OUTSIDE}, False),
    "the same, with another header": ({}, {"REMOTE_ADDR": HERE, "HTTP_VIA": "1.1 proxy"}, False),
    "an address in the setting": ({"allowed": [NEIGHBOUR]}, {"REMOTE_ADDR": NEIGHBOUR}, True),
    "this machine if the setting omits it": ({"allowed": [NEIGHBOUR]}, {"REMOTE_ADDR": HERE}, False),
    "this machine if the setting is empty": ({"allowed": []}, {"REMOTE_ADDR": HERE}, False),
    "outside, by an allowed proxy": (BEHIND_A_PROXY, {"HTTP_X_FORWARDED_FOR": OUTSIDE}, False),
    "outside, with a forged header": (BEHIND_A_PROXY, {"HTTP_X_FORWARDED_FOR": f"{NEIGHBOUR}, {OUTSIDE}"}, False),
    "allowed, by a proxy": (BEHIND_A_PROXY, {"HTTP_X_FORWARDED_FOR": NEIGHBOUR}, True),
    "unknown, by a proxy": (BEHIND_A_PROXY, {"HTTP_X_FORWARDED_FOR": "unknown"}, False),
}


class TestTheMetrics:
    @pytest.mark.parametrize(("given", "request_", "may"), READERS.values(), ids=READERS)
    def test_the_address_decides_who_may_read_them(self, given, request_, may, settings):
        if "allowed" in given:
            settings.TOKENS = {"METRICS_ALLOWED": given["allowed"]}
        settings.TRUSTED_PROXIES = given.get("proxies", [])
        response = Client().get("/metrics", **{"REMOTE_ADDR": PROXY, **request_})
        assert response.status_code == (200 if may else 404)

    def test_for_others_the_page_does_not_exist(self):
        refused, nothing = (Client().get(path, REMOTE_ADDR=OUTSIDE) for path in ("/metrics", "/nothing"))
        assert (refused.content, refused.headers.items()) == (nothing.content, nothing.headers.items())

    def test_they_contain_the_end_and_the_result_of_the_last_purge(self, clock):
        RefreshToken.objects.all().delete()
        assert not [name for name, *_ in scrape() if name.startswith("latchkey_purge")]
        call_command("purge_tokens")
        ended_at = clock.now.timestamp()
        clock.forward(3600)
        found = scrape()
        assert found["latchkey_purge_last_success_timestamp_seconds",] == ended_at
        assert found["latchkey_purge_rows", "sessions"] == 0
        assert found["latchkey_purge_duration_seconds",] >= 0
        assert found["latchkey_database_up",] == 1

    def test_without_a_database_they_contain_what_the_process_counted(self, monkeypatch):
        with database_down(monkeypatch):
            found = scrape()
        assert found["latchkey_database_up",] == 0
        assert ("latchkey_hashings_refused_total",) in found

    def test_a_scrape_costs_one_statement(self, monkeypatch):
        asked: list[str] = []
        real = CursorWrapper._execute_with_wrappers

        def note(self: Any, sql: str, *rest: Any, **more: Any) -> Any:
            asked.append(sql)
            return real(self, sql, *rest, **more)

        monkeypatch.setattr(CursorWrapper, "_execute_with_wrappers", note)
        scrape()
        assert len([sql for sql in asked if sql.startswith("SELECT")]) == 1

    def test_they_contain_nothing_about_a_user(self, api, user):
        session = login(api, user)["session"]["id"]
        api.post("/api/auth/refresh", {"refresh_token": "latchkey_rt_garbage"}, content_type="application/json")
        secrets = {cookie.value for cookie in api.cookies.values()} | {PASSWORD, user.email, str(user.pk), session}
        for row in SecurityEvent.objects.values_list("user_agent", "ip"):
            secrets.update(row)
        text = Client().get("/metrics").content.decode()
        assert not [secret for secret in secrets if secret in text]
