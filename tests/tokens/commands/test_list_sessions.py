"""``list_sessions``: the live sessions as a person reads them, and as a program does."""

import json
import re
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.browsers import FIREFOX, login
from tests.factories import UserFactory
from tokens.models import Device, RefreshToken

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(clock: Any) -> RefreshToken:
    """Ada's session, opened at noon."""
    login(Client(headers={"User-Agent": FIREFOX}), UserFactory(email="ada@example.org"))
    return RefreshToken.objects.get()


@pytest.fixture
def grace(ada: RefreshToken, clock: Any) -> RefreshToken:
    """Grace's, opened a minute after Ada's."""
    clock.forward(60)
    login(Client(headers={"User-Agent": "curl/8.9.1"}), UserFactory(email="grace@example.org"))
    return RefreshToken.objects.order_by("-id")[0]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("list_sessions", *arguments, stdout=out)
    return out.getvalue()


def as_json(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run("--json", *arguments).splitlines()]


def test_a_session_is_a_line_with_all_that_one_asks_for(ada):
    lines = [line for line in run().splitlines() if str(ada.pk) in line]
    assert [re.split(r" {2,}", line) for line in lines] == [
        [str(ada.pk), "2030-01-01 12:00", "127.0.0.1", "ada@example.org", "Firefox on Windows"]
    ]


def test_the_newest_come_first(ada, grace):
    found = re.findall(r"\S+@example\.org", run())
    assert found == ["grace@example.org", "ada@example.org"]
    assert [row["id"] for row in as_json()] == [str(grace.pk), str(ada.pk)]


def test_json_lines_are_whole_objects(ada, clock):
    [row] = as_json()
    assert row == {
        "id": str(ada.pk),
        "user": "ada@example.org",
        "device": {"id": str(ada.device_id), "name": "Firefox on Windows"},
        "mode": "cookie",
        "ip": "127.0.0.1",
        "created_at": "2030-01-01T12:00:00+00:00",
        "refreshed_at": "2030-01-01T12:00:00+00:00",
        "ends_at": "2030-01-02T00:00:00+00:00",
        "generation": 0,
    }
    assert datetime.fromisoformat(row["ends_at"]) == clock.now + timedelta(hours=12)


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_one_users_can_be_asked_for(arguments, ada, grace):
    found = run("--user", "GRACE@example.org", *arguments)
    assert str(grace.pk) in found
    assert str(ada.pk) not in found


def test_only_live_sessions_are_listed(ada, grace, clock):
    RefreshToken.objects.filter(pk=ada.pk).update(revoked_at=clock.now)
    assert [row["user"] for row in as_json()] == ["grace@example.org"]
    RefreshToken.objects.filter(pk=grace.pk).update(idle_expires_at=clock.now)
    assert as_json() == []


def test_a_session_without_an_address_is_listed_too(ada):
    RefreshToken.objects.update(ip=None)
    assert as_json()[0]["ip"] is None
    assert re.search(r"12:00  -  +ada@example\.org", run())


@pytest.mark.parametrize("name", ["evil\nname", "\x1b[2Jcleared", "tab\there", "‮reversed", "\x9b31m", "\x7f"])
def test_a_devices_name_cannot_play_tricks_on_the_terminal(name, ada):
    """Its owner chose it: it must neither make up lines of its own nor command the operator's terminal."""
    Device.objects.update(name=name)
    [line] = [line for line in run().split("\n") if str(ada.pk) in line]
    assert line.isprintable()
    for line in run("--json").rstrip("\n").split("\n"):
        assert json.loads(line)["device"]["name"] == name
        assert line.isprintable()


def test_any_script_is_written_as_it_is(ada):
    Device.objects.update(name="Телефон 電話 ☎")
    assert "Телефон 電話 ☎" in run()
    assert "Телефон 電話 ☎" in run("--json")


def test_nothing_secret_is_listed(ada):
    found = run() + run("--json")
    for secret in (ada.secret_digest, ada.auth_hash_digest, ada.device.token_digest):
        assert bytes(secret).hex() not in found


def test_no_sessions_are_no_lines_of_json(db):
    assert as_json() == []


@pytest.mark.parametrize("login_name", ["nobody@example.org", ""])
def test_an_unknown_user_is_refused(login_name, ada):
    with pytest.raises(CommandError, match=f"there is no user '{login_name}'"):
        run("--user", login_name)


def test_an_unknown_option_is_refused(db):
    with pytest.raises(CommandError, match="unrecognized arguments"):
        run("--everything")


def test_the_number_of_queries_does_not_grow_with_the_sessions(ada, another):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            run()
        return len(captured)

    before = queries()
    for _ in range(5):
        login(another(), UserFactory())
    assert queries() == before
