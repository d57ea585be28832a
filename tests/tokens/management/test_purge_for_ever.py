"""Retentions and lifetimes as long as they can be, and longer: no date overflows, and the purge never fails."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from tests.browsers import login, refresh
from tests.tokens.management.steps import output_of
from tests.tokens.service.holders import Holder
from tokens.conf import SETTINGS, read, token_settings
from tokens.conf.reading import MOST_SECONDS
from tokens.models import RefreshToken, Revocation, SecurityEvent
from tokens.service.queries import was_revoked_within

RETENTIONS = ["SESSION_RETENTION", "EVENT_RETENTION", "ATTEMPT_RETENTION"]
DURATIONS = [name for name, item in SETTINGS.items() if item.metadata["kind"] == "seconds"]


purge = partial(output_of, "purge_tokens")


@pytest.fixture
def ended(user: Any, clock: Any) -> Holder:
    """A session that ended forty years ago. With a younger one, no purge would have anything to delete."""
    holder = Holder(user)
    holder.end()
    clock.forward(40 * 365 * 86400)
    return holder


@pytest.mark.parametrize("seconds", [MOST_SECONDS - 1, MOST_SECONDS], ids=["almost the longest", "the longest"])
def test_works_with_the_longest_retentions(ended, settings, seconds):
    settings.TOKENS = dict.fromkeys(RETENTIONS, seconds)
    assert "sessions: 0 would be deleted" in purge("--dry-run")
    assert purge().startswith("sessions: 0 deleted\nevents: 0 deleted\nrevocations: 1 deleted\n")


def test_what_is_kept_for_ever_is_not_deleted(ended, settings):
    settings.TOKENS = dict.fromkeys(RETENTIONS, "forever")
    purge("--dry-run")
    assert purge("--batch-size=1").startswith("events: 0 deleted\nrevocations: 1 deleted\n")
    assert RefreshToken.objects.count() == 1
    assert SecurityEvent.objects.exclude(kind="purged").count() >= 2
    assert was_revoked_within(ended.user, timedelta(seconds=MOST_SECONDS), or_signed_out=True)
    settings.TOKENS = {"SESSION_RETENTION": "forever"}
    assert "events: 0 deleted" not in purge()
    assert RefreshToken.objects.count() == 1
    settings.TOKENS = {"EVENT_RETENTION": "forever"}
    assert "sessions: 1 deleted" in purge()
    assert not Revocation.objects.exists()


def test_the_purge_works_when_the_clock_of_the_server_stands_in_1970(user, clock):
    clock.forward(-(clock.now.timestamp() - 3600))
    assert "sessions: 0 deleted" in purge()


@pytest.mark.parametrize("name", DURATIONS)
def test_a_duration_beyond_fifty_years_is_refused(name, settings):
    settings.TOKENS = {name: MOST_SECONDS + 1}
    [message] = [message for message in read()[1] if message.id == "tokens.E001"]
    assert f'TOKENS["{name}"]' in message.msg
    assert "1576800000" in message.msg
    assert ("'forever'" in message.msg) == (name in RETENTIONS)


@pytest.mark.parametrize("name", sorted(set(DURATIONS) - set(RETENTIONS)))
def test_nothing_else_lasts_for_ever(name, settings):
    settings.TOKENS = {name: "forever"}
    assert "tokens.E001" in [message.id for message in read()[1]]


def test_sessions_work_with_the_longest_lifetimes(api, user, clock, settings):
    names = ["ACCESS_LIFETIME", "IDLE_LIFETIME", "ABSOLUTE_LIFETIME", "BROWSER_SESSION_LIFETIME"]
    settings.TOKENS = dict.fromkeys(names, MOST_SECONDS)
    login(api, user, remember=True)
    for _ in range(3):
        clock.forward(100)
        assert refresh(api).status_code == 200
        assert api.get("/api/auth/me").status_code == 200
    assert purge()


def test_the_environment_can_say_it_too(monkeypatch, settings):
    monkeypatch.setenv("TOKENS_EVENT_RETENTION", "forever")
    settings.TOKENS = {}
    assert token_settings().event_retention == timedelta.max
