"""``list_sessions`` prints the live sessions, as a table and as lines of JSON."""

import json
import re
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.core.management import CommandError

from tests.browsers import FIREFOX
from tests.factories import UserFactory
from tests.tokens.management.steps import output_of
from tests.tokens.service.holders import Holder
from tests.tokens.service.statements import statements
from tokens.models import Device, RefreshToken
from tokens.service.client import Client

pytestmark = pytest.mark.django_db

HERE = Client("127.0.0.1", FIREFOX)


@pytest.fixture
def ada(clock: Any) -> RefreshToken:
    """Ada's session, opened at noon. Without a clock that stands still its times would be different in every run."""
    return Holder(UserFactory(email="ada@example.org"), HERE).row


@pytest.fixture
def grace(ada: RefreshToken, clock: Any) -> RefreshToken:
    """Grace's session, opened a minute after Ada's. Without it a test could not tell a choice from all sessions."""
    clock.forward(60)
    return Holder(UserFactory(email="grace@example.org"), Client("127.0.0.1", "curl/8.9.1")).row


run = partial(output_of, "list_sessions")


def as_json() -> list[dict[str, Any]]:
    return [json.loads(line) for line in run("--json").splitlines()]


def test_a_session_is_a_line_of_the_table(ada):
    lines = [line for line in run().splitlines() if str(ada.pk) in line]
    assert [re.split(r" {2,}", line) for line in lines] == [
        [str(ada.pk), "2030-01-01 12:00", "127.0.0.1", "ada@example.org", "Firefox on Windows"]
    ]


def test_a_session_is_an_object_in_json(ada, clock):
    [row] = as_json()
    assert row == {
        "id": str(ada.pk),
        "user": "ada@example.org",
        "actor": None,
        "device": {"id": str(ada.device_id), "name": "Firefox on Windows"},
        "mode": "cookie",
        "ip": "127.0.0.1",
        "created_at": "2030-01-01T12:00:00+00:00",
        "refreshed_at": "2030-01-01T12:00:00+00:00",
        "ends_at": "2030-01-02T00:00:00+00:00",
        "generation": 0,
    }
    assert datetime.fromisoformat(row["ends_at"]) == clock.now + timedelta(hours=12)


def test_live_sessions_are_listed_newest_first(ada, grace, clock):
    assert re.findall(r"\S+@example\.org", run()) == ["grace@example.org", "ada@example.org"]
    assert [row["id"] for row in as_json()] == [str(grace.pk), str(ada.pk)]
    RefreshToken.objects.filter(pk=ada.pk).update(revoked_at=clock.now)
    assert [row["user"] for row in as_json()] == ["grace@example.org"]
    RefreshToken.objects.filter(pk=grace.pk).update(idle_expires_at=clock.now)
    assert as_json() == []


@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["table", "json"])
def test_the_sessions_of_one_user_can_be_listed(arguments, ada, grace):
    found = run("--user", "GRACE@example.org", *arguments)
    assert str(grace.pk) in found
    assert str(ada.pk) not in found


def test_a_session_without_an_address_is_listed_too(ada):
    RefreshToken.objects.update(ip=None)
    assert as_json()[0]["ip"] is None
    assert re.search(r"12:00  -  +ada@example\.org", run())


@pytest.mark.parametrize("name", ["evil\nname", "\x1b[2Jcleared", "tab\there", "‮reversed", "\x9b31m", "\x7f"])
def test_the_name_of_a_device_cannot_control_the_terminal(name, ada):
    """The user chose it: it must neither add lines nor send commands to the operator's terminal."""
    Device.objects.update(name=name)
    [line] = [line for line in run().split("\n") if str(ada.pk) in line]
    assert line.isprintable()
    for line in run("--json").rstrip("\n").split("\n"):
        assert json.loads(line)["device"]["name"] == name
        assert line.isprintable()


def test_a_name_in_any_script_is_printed_unchanged_and_no_secret_is_printed(ada):
    Device.objects.update(name="Телефон 電話 ☎")
    for found in (run(), run("--json")):
        assert "Телефон 電話 ☎" in found
        for secret in (ada.secret_digest, ada.auth_hash_digest, ada.device.token_digest):
            assert bytes(secret).hex() not in found


@pytest.mark.parametrize(
    ("argument", "message"),
    [("--user=nobody@example.org", "there is no user 'nobody@example.org'"), ("--user=", "there is no user ''")],
)
def test_an_invalid_argument_is_rejected(argument, message, ada):
    with pytest.raises(CommandError, match=message):
        run(argument)


def test_the_number_of_queries_does_not_grow_with_the_sessions(ada):
    for_one_session = statements(run)
    for _ in range(5):
        Holder(UserFactory(), HERE)
    assert len(statements(run)) == len(for_one_session)
