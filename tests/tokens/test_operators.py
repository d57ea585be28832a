"""What operators' machines ask: each answer says what is so, to those who may know, and touches nobody's cookies."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.backends.utils import CursorWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from tests.browsers import AsyncBrowser, login
from tests.factories import PASSWORD
from tokens import operators
from tokens.models import RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db(transaction=True)

PROXY, STRANGER, NEIGHBOUR = "10.0.0.1", "203.0.113.7", "10.0.0.9"


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process has found out about its database must not reach from one test into another."""
    monkeypatch.setattr(operators, "_readiness", operators.Question(operators.Migrations().are_applied))
    monkeypatch.setattr(operators, "_last_purge", operators.Question(operators.last_run))


@pytest.fixture(params=[Client, AsyncBrowser], ids=["WSGI", "ASGI"])
def probe(request: pytest.FixtureRequest) -> Client:
    """Asks either kind of server, by an address that ALLOWED_HOSTS does not name."""
    client: Client = request.param(headers={"Host": "10.1.2.3:8000"})
    return client


@contextmanager
def database_down(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within, no statement is answered."""

    def fail(*given: Any, **more: Any) -> None:
        raise OperationalError("the database is down")

    with monkeypatch.context() as patch:
        patch.setattr(CursorWrapper, "_execute_with_wrappers", fail)
        yield


def samples(text: str) -> dict[tuple[str, ...], float]:
    """The samples of a scrape, by name and the values of their labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(client: Client | None = None) -> dict[tuple[str, ...], float]:
    response = (client or Client()).get("/metrics")
    assert response.status_code == 200
    return samples(response.content.decode())


class TestHealth:
    def test_a_process_with_a_database_is_live_and_ready(self, probe):
        for path, said in [("/health/live", b"live\n"), ("/health/ready", b"ready\n")]:
            response = probe.get(path)
            assert (response.status_code, response.content) == (200, said)
            assert response["Cache-Control"] == "no-store"

    def test_without_its_database_it_is_live_and_not_ready(self, probe, monkeypatch):
        with database_down(monkeypatch):
            assert probe.get("/health/live").status_code == 200
            response = probe.get("/health/ready")
            assert response.status_code == 503
            assert int(response["Retry-After"]) > 0
        assert probe.get("/health/ready").status_code == 200

    def test_a_database_that_does_not_answer_in_time_holds_one_thread_and_nobody_up(self, monkeypatch):
        monkeypatch.setattr(operators, "PATIENCE", 0.05)
        answered, asked = threading.Event(), []

        def hang() -> bool:
            asked.append(threading.current_thread())
            return answered.wait(30)

        question = operators.Question(hang)
        monkeypatch.setattr(operators, "_readiness", question)
        assert [Client().get("/health/ready").status_code for _ in range(3)] == [503] * 3
        assert len(asked) == 1
        answered.set()
        asked[0].join()
        assert Client().get("/health/ready").status_code == 200

    def test_it_is_ready_when_all_migrations_are_applied_and_asks_once(self):
        newest = MigrationRecorder(connection).migration_qs.filter(app="tokens").latest("id")
        app, name = newest.app, newest.name
        newest.delete()
        try:
            assert Client().get("/health/ready").status_code == 503
        finally:
            MigrationRecorder(connection).record_applied(app, name)
        assert Client().get("/health/ready").status_code == 200
        MigrationRecorder(connection).record_unapplied(app, name)
        try:
            assert Client().get("/health/ready").status_code == 200
        finally:
            MigrationRecorder(connection).record_applied(app, name)

    @pytest.mark.parametrize("path", operators.VIEWS)
    def test_nobody_is_signed_in_refreshed_or_told_anything_by_cookie(self, path, api, user, clock):
        login(api, user)
        clock.forward(601)
        before = RefreshToken.objects.values().get()
        response = api.get(path)
        assert response.status_code == 200
        assert not response.cookies
        assert not response.has_header("Vary")
        assert RefreshToken.objects.values().get() == before

    @pytest.mark.parametrize("path", operators.VIEWS)
    def test_it_is_only_asked(self, path):
        response = Client().post(path)
        assert response.status_code == 405
        assert Client().head(path).status_code == 200


READERS: list[tuple[dict[str, Any], dict[str, str], bool, str]] = [
    # settings, request, whether it may read, why
    ({}, {"REMOTE_ADDR": "127.0.0.1"}, True, "this machine"),
    ({}, {"REMOTE_ADDR": "::1"}, True, "this machine, by IPv6"),
    ({}, {"REMOTE_ADDR": NEIGHBOUR}, False, "another machine"),
    ({}, {"REMOTE_ADDR": ""}, False, "a Unix socket: a proxy's"),
    ({}, {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": STRANGER}, False, "a proxy here that nobody named"),
    ({}, {"REMOTE_ADDR": "::ffff:127.0.0.1", "HTTP_X_REAL_IP": STRANGER}, False, "the same, otherwise spelled"),
    ({}, {"REMOTE_ADDR": "127.0.0.1", "HTTP_VIA": "1.1 proxy"}, False, "the same, and it says little"),
    ({"allowed": [NEIGHBOUR]}, {"REMOTE_ADDR": NEIGHBOUR}, True, "whom the setting names"),
    ({"allowed": [NEIGHBOUR]}, {"REMOTE_ADDR": "127.0.0.1"}, False, "who is not named any more"),
    ({"allowed": []}, {"REMOTE_ADDR": "127.0.0.1"}, False, "nobody"),
    (
        {"allowed": ["10.0.0.0/8"], "proxies": [PROXY]},
        {"REMOTE_ADDR": PROXY, "HTTP_X_FORWARDED_FOR": STRANGER},
        False,
        "a stranger, behind a proxy in the network that may",
    ),
    (
        {"allowed": ["10.0.0.0/8"], "proxies": [PROXY]},
        {"REMOTE_ADDR": PROXY, "HTTP_X_FORWARDED_FOR": f"{NEIGHBOUR}, {STRANGER}"},
        False,
        "a stranger who says that he is another",
    ),
    (
        {"allowed": ["10.0.0.0/8"], "proxies": [PROXY]},
        {"REMOTE_ADDR": PROXY, "HTTP_X_FORWARDED_FOR": NEIGHBOUR},
        True,
        "one who may, behind a proxy",
    ),
    (
        {"allowed": ["10.0.0.0/8"], "proxies": [PROXY]},
        {"REMOTE_ADDR": PROXY, "HTTP_X_FORWARDED_FOR": "unknown"},
        False,
        "behind a proxy, nobody knows who",
    ),
]


class TestWhoMayReadTheMetrics:
    @pytest.mark.parametrize(("given", "request_", "may", "why"), READERS, ids=[row[-1] for row in READERS])
    def test_is_told_by_the_address(self, given, request_, may, why, settings):
        if "allowed" in given:
            settings.TOKENS = {"METRICS_ALLOWED": given["allowed"]}
        settings.TRUSTED_PROXIES = given.get("proxies", [])
        assert Client().get("/metrics", **request_).status_code == (200 if may else 404)

    def test_for_all_others_there_is_nothing_there(self):
        refused, nothing = (Client().get(path, REMOTE_ADDR=STRANGER) for path in ("/metrics", "/nothing"))
        assert refused.content == nothing.content
        assert refused.headers.items() == nothing.headers.items()


class TestOfTheDatabase:
    def test_it_says_when_the_last_purge_ended_and_what_it_deleted(self, clock, user):
        RefreshToken.objects.all().delete()
        call_command("purge_tokens")
        ended_at = clock.now.timestamp()
        clock.forward(3600)
        found = scrape()
        assert found["latchkey_purge_last_success_timestamp_seconds",] == ended_at
        assert found["latchkey_purge_rows", "sessions"] == 0
        assert found["latchkey_purge_duration_seconds",] >= 0
        assert found["latchkey_database_up",] == 1

    def test_before_the_first_purge_it_says_nothing_of_one(self):
        assert not [name for name, *_ in scrape() if name.startswith("latchkey_purge")]

    def test_without_a_database_what_processes_counted_is_there(self, monkeypatch):
        with database_down(monkeypatch):
            found = scrape()
        assert found["latchkey_database_up",] == 0
        assert ("latchkey_hashings_refused_total",) in found

    def test_a_scrape_is_one_statement(self, monkeypatch):
        asked: list[str] = []
        really = CursorWrapper._execute_with_wrappers

        def note(self: Any, sql: str, *rest: Any, **more: Any) -> Any:
            asked.append(sql)
            return really(self, sql, *rest, **more)

        monkeypatch.setattr(CursorWrapper, "_execute_with_wrappers", note)
        scrape()
        assert len([sql for sql in asked if sql.startswith("SELECT")]) == 1


def test_a_scrape_holds_nothing_of_anybody(api, user):
    session = login(api, user)["session"]["id"]
    api.post("/api/auth/refresh", {"refresh_token": "latchkey_rt_garbage"}, content_type="application/json")
    secrets = {cookie.value for cookie in api.cookies.values()}
    text = Client().get("/metrics").content.decode()
    events = SecurityEvent.objects.values_list("user_agent", "ip").distinct()
    for value in secrets | {PASSWORD, user.email, str(user.pk), session, *(value for row in events for value in row)}:
        assert value not in text
