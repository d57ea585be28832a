"""What is counted: each answer once, under words that no client chooses, and nothing where nothing is to be counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import authenticate
from django.db import OperationalError
from django.test import Client
from prometheus_client import REGISTRY

from tests.browsers import login, post, refresh
from tests.factories import PASSWORD
from tests.tokens.devices import OFFERED, KeyHolder, a_key, sign
from tests.tokens.service.holders import GRACE, STILL_TIME, Holder
from tokens import hashers
from tokens.models import RefreshToken, SecurityEvent
from tokens.rates import NAMES
from tokens.service import feed as feeds
from tokens.service.ending import end_all
from tokens.service.feed import feed

ANYBODY = UUID("01a20a65-5189-764f-8426-b0731478d342")

pytestmark = pytest.mark.django_db(transaction=True)


def counts() -> dict[tuple[str, ...], float]:
    """All of ours, by name and the values of their labels; of histograms how often."""
    return {
        (sample.name.removeprefix("latchkey_"), *sample.labels.values()): sample.value
        for family in REGISTRY.collect()
        if family.name.startswith("latchkey_")
        for sample in family.samples
        if sample.name.endswith(("_total", "_count")) or family.type == "gauge"
    }


@contextmanager
def counted(*expected: tuple[str, ...]) -> Iterator[None]:
    """Within, exactly this is counted, each as often as it stands here; gauges and the feed's reads aside."""
    before = counts()
    yield
    after = {
        key: value - before.get(key, 0)
        for key, value in counts().items()
        if value != before.get(key, 0) and not key[0].startswith("feed_")
    }
    assert after == {key: expected.count(key) for key in expected}


SIGNED_IN = [("security_events_total", "signed_in"), ("security_events_total", "new_device")]
REFRESHED = ("refresh_seconds_count",)
BOUND_REFRESHED = ("bound_refresh_seconds_count",)


class TestRefreshes:
    @pytest.fixture
    def holder(self, user: Any, clock: Any) -> Holder:
        holder = Holder(user)
        holder.refresh()
        clock.forward(STILL_TIME)
        return holder

    def test_by_what_was_decided(self, holder, clock):
        before = holder.token
        with counted(REFRESHED, ("refreshes_total", "rotated", "")):
            holder.refresh()
        with counted(REFRESHED, ("refreshes_total", "repeated", "")):
            holder.refresh()
        clock.forward(GRACE)
        recovered = ("security_events_total", "refresh_recovered")
        with counted(REFRESHED, ("refreshes_total", "recovered", ""), recovered):
            holder.refresh(before)
        holder.put_back(generation=1)
        with counted(REFRESHED, ("refreshes_total", "caught up", "")):
            holder.refresh()

    def test_and_by_why_they_were_refused(self, holder, clock):
        holder.refresh()
        clock.forward(STILL_TIME)
        holder.refresh()
        reuse = [("security_events_total", "reuse_detected"), ("revocations_total", "reuse_detected")]
        with counted(REFRESHED, ("refreshes_total", "refused", "reuse_detected"), *reuse):
            assert holder.is_refused(holder.first)
        with counted(REFRESHED, ("refreshes_total", "refused", "session ended")):
            assert holder.is_refused()
        with counted(REFRESHED, ("refreshes_total", "refused", "not a token of ours")):
            assert holder.is_refused("latchkey_rt_x\nlatchkey_forged 1")

    def test_and_those_that_the_database_did_not_answer(self, holder, monkeypatch):
        def fail(*given: Any, **more: Any) -> None:
            raise OperationalError("the database is down")

        monkeypatch.setattr("django.db.backends.utils.CursorWrapper._execute_with_wrappers", fail)
        with counted(REFRESHED, ("refreshes_total", "failed", "")), pytest.raises(OperationalError):
            holder.refresh()


class TestSignIns:
    def test_are_timed_from_the_request_to_its_cookies(self, api, user):
        with counted(*SIGNED_IN, ("sign_in_seconds_count", "signed_in")):
            login(api, user)

    def test_by_a_page_too(self, api, user):
        with counted(*SIGNED_IN, ("sign_in_seconds_count", "signed_in")):
            assert api.post("/sign-in", {"username": user.email, "password": PASSWORD}).status_code == 302

    def test_are_timed_where_they_fail(self, api, user):
        with counted(("security_events_total", "sign_in_failed"), ("sign_in_seconds_count", "failed")):
            post(api, "/api/auth/login", {"email": user.email, "password": "wrong"})

    def test_without_a_request_are_an_event_alone(self, user):
        with counted(("security_events_total", "sign_in_failed")):
            assert authenticate(username=user.email, password="wrong") is None

    def test_that_get_no_turn_for_their_password_are_counted(self):
        turns = hashers.Turns(1)
        with (
            counted(("hashings_refused_total",)),
            turns.turn(),
            turns._places,
            pytest.raises(hashers.Busy),
            turns.turn(),
        ):
            pass


class TestWhatComesTooOften:
    """Once for each request, under the rate's name; how often who came is for the throttles to know."""

    FAILED = ("security_events_total", "sign_in_failed"), ("sign_in_seconds_count", "failed")

    @pytest.fixture(autouse=True)
    def _one_an_hour(self, throttled: Any, clock: Any) -> None:
        throttled(**dict.fromkeys(NAMES, "1/h") | {"sign_in_network": "100/h"})

    @pytest.mark.parametrize("path", ["/api/auth/login", "/sign-in", "/admin/login/"])
    def test_is_counted_at_every_door_to_sign_in(self, api, user, path):
        def guess() -> int:
            data = {"email": user.email, "username": user.email, "password": "wrong"}
            return int((post(api, path, data) if "api" in path else api.post(path, data)).status_code)

        with counted(*self.FAILED):
            guess()
        for _ in range(2):
            with counted(("throttled_total", "sign_in_account")):
                assert guess() == 429

    def test_is_counted_for_refreshes(self, api, user):
        login(api, user)
        assert [refresh(api).status_code for _ in range(2)] == [200, 200]
        with counted(REFRESHED, ("refreshes_total", "repeated", ""), ("throttled_total", "refresh_session")):
            assert refresh(api).status_code == 429

    def test_is_counted_where_a_mail_is_not_sent_and_nobody_is_told(self, user):
        def ask(address: str) -> int:
            browser = Client(REMOTE_ADDR=address)
            return int(post(browser, "/api/auth/password/reset", {"email": user.email}).status_code)

        with counted(("security_events_total", "password_reset")):
            assert ask("198.51.100.7") == 202
        with counted(("security_events_total", "password_reset"), ("throttled_total", "reset_account")):
            assert ask("203.0.113.7") == 202
        with counted(("throttled_total", "reset_network")):
            assert ask("203.0.113.8") == 429


def test_revocations_are_counted_by_reason_when_they_are_committed(user):
    for _ in range(3):
        Holder(user)
    live = RefreshToken.objects.live().filter(user=user)
    expected = [("security_events_total", "revoked"), ("revocations_total", "ended_by_command")] * 3
    with counted(*expected):
        assert end_all(live, RefreshToken.Reason.ENDED_BY_COMMAND, note="x 1\n") == 3


@pytest.mark.urls("tests.urls")
def test_a_request_that_somebody_signed_in_makes_counts_nothing(api, user):
    login(api, user)
    api.get("/probe/who")  # The feed has its turn.
    with counted():
        assert api.get("/probe/who").json()["pk"] == str(user.pk)


class TestBoundSessions:
    @pytest.fixture(autouse=True)
    def _offered(self, settings: Any) -> None:
        settings.TOKENS = OFFERED

    def test_by_their_first_proof_and_by_each_that_follows(self, user, clock):
        holder = KeyHolder(user)
        with counted(("device_registrations_total", "registered", "")):
            holder.register()
        challenged = ("bound_refreshes_total", "challenged", "no proof")
        with counted(
            *[BOUND_REFRESHED] * 2,
            challenged,
            ("bound_refreshes_total", "bound", ""),
            ("security_events_total", "session_bound"),
        ):
            holder.prove()
        with counted(*[BOUND_REFRESHED] * 2, challenged, ("bound_refreshes_total", "refreshed", "")):
            holder.prove()

    def test_by_why_a_proof_failed(self, user, clock):
        holder, stranger = KeyHolder(user).bind(), a_key()
        challenge = holder.challenge()
        old = holder.proof(challenge)
        with counted(
            *[BOUND_REFRESHED] * 2,
            ("bound_refreshes_total", "refused", "wrong proof"),
            ("bound_refreshes_total", "refused", "malformed proof"),
            ("security_events_total", "unproven"),
        ):
            holder.prove(sign(stranger, {"jti": challenge}))
            holder.prove("whatever a client makes up")
        holder.prove(old)
        with counted(BOUND_REFRESHED, ("bound_refreshes_total", "challenged", "stale challenge")):
            holder.prove(old)
        with counted(("device_registrations_total", "refused", "wrong proof")):
            holder.register("whatever a client makes up")

    def test_by_nobody_while_the_database_is_down(self, user, clock, monkeypatch):
        def fail(*given: Any) -> None:
            raise OperationalError("the database is down")

        holder = KeyHolder(user).bind()
        monkeypatch.setattr(RefreshToken.objects, "for_decision", fail)
        with counted(BOUND_REFRESHED, ("bound_refreshes_total", "failed", "")), pytest.raises(OperationalError):
            holder.challenge()

    @pytest.mark.parametrize(
        ("said", "reason"), [("quota_exceeded;session_identifier=x", "quota_exceeded"), ("made up", "other")]
    )
    def test_and_requests_whose_refresh_was_skipped_by_why(self, api, user, said, reason):
        with counted(("skipped_refreshes_total", reason)):
            assert api.get("/api/auth/me", headers={"Secure-Session-Skipped": said}).status_code == 503


def test_what_an_alarm_looks_at_is_there_before_it_first_happens():
    found = counts()
    assert {("security_events_total", kind) for kind in SecurityEvent.Kind.values} <= set(found)
    assert {("revocations_total", reason) for reason in RefreshToken.Reason.values} <= set(found)
    assert {("refreshes_total", "caught up", ""), ("refreshes_total", "failed", "")} <= set(found)
    assert ("feed_reads_total", "nobody") in found
    assert {("throttled_total", name) for name in NAMES} <= set(found)
    for cause in ("forged with a key of ours", "unknown key", "another storage mode", "reuse_detected"):
        assert ("refreshes_total", "refused", cause) in found
    assert {("bound_refreshes_total", "refused", "wrong proof"), ("bound_refreshes_total", "failed", "")} <= set(found)
    assert {("skipped_refreshes_total", "quota_exceeded"), ("skipped_refreshes_total", "other")} <= set(found)


class TestTheFeed:
    def test_that_is_answered_has_no_lag(self, clock):
        before = counts().get(("feed_reads_total", "primary"), 0)
        feed.is_revoked(ANYBODY)
        found = counts()
        assert found["feed_reads_total", "primary"] == before + 1
        assert (found["feed_lag_seconds",], found["feed_unreadable",]) == (0, 0)

    def test_that_is_not_says_how_old_its_knowledge_is_until_it_is_answered_again(self, clock, monkeypatch):
        def fail(*given: Any) -> None:
            raise OperationalError("the database is down")

        feed.is_revoked(ANYBODY)
        with monkeypatch.context() as patch:
            patch.setattr(feeds, "_ask_primary", fail)
            for age in (5, 10, 15):
                clock.forward(5)
                feed.is_revoked(ANYBODY)
                found = counts()
                assert (found["feed_lag_seconds",], found["feed_unreadable",]) == (age, 1)
        clock.forward(1)
        feed.is_revoked(ANYBODY)
        found = counts()
        assert (found["feed_lag_seconds",], found["feed_unreadable",]) == (0, 0)
