"""What is counted: each answer once, under labels that no client chooses."""

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
from tests.tokens.service.holders import GRACE, STILL_TIME, Holder, rotated_once
from tests.tokens.service.statements import failing
from tests.tokens.web_steps import who
from tokens import hashers
from tokens.conf.rates import NAMES
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.revocation import revoke_all
from tokens.service.revocation_feed import feed

ANY_SESSION = UUID("01a20a65-5189-764f-8426-b0731478d342")

pytestmark = pytest.mark.django_db(transaction=True)


def counts() -> dict[tuple[str, ...], float]:
    """Return all of our counters and gauges, by name and the values of their labels. A histogram counts how often."""
    return {
        (sample.name.removeprefix("latchkey_"), *sample.labels.values()): sample.value
        for family in REGISTRY.collect()
        if family.name.startswith("latchkey_")
        for sample in family.samples
        if sample.name.endswith(("_total", "_count")) or family.type == "gauge"
    }


@contextmanager
def counted(*expected: tuple[str, ...]) -> Iterator[None]:
    """Assert that exactly this is counted within, each as often as it is given. Reads of the feed are left out."""
    before = counts()
    yield
    changes = {key: value - before.get(key, 0) for key, value in counts().items() if not key[0].startswith("feed_")}
    assert {key: change for key, change in changes.items() if change} == {key: expected.count(key) for key in expected}


def refreshed(outcome: str, reason: str = "") -> list[tuple[str, ...]]:
    return [("refresh_seconds_count",), ("refreshes_total", outcome, reason)]


def refreshed_by_key(*outcomes: tuple[str, str]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [("bound_refresh_seconds_count",)] * len(outcomes)
    return [*found, *(("bound_refreshes_total", *outcome) for outcome in outcomes)]


def event(kind: str) -> tuple[str, str]:
    return "security_events_total", kind


SIGNED_IN = [event("signed_in"), event("new_device"), ("sign_in_seconds_count", "signed_in")]
SIGN_IN_FAILED = [event("sign_in_failed"), ("sign_in_seconds_count", "failed")]


class TestRefreshes:
    @pytest.fixture
    def holder(self, user: Any, clock: Any) -> Holder:
        """A session that was rotated once. A new one may be rotated without a wait, so the clock would not matter."""
        return rotated_once(user, clock)

    def test_each_outcome_is_counted(self, holder, clock):
        before = holder.token
        for outcome in ("rotated", "repeated"):
            with counted(*refreshed(outcome)):
                holder.refresh()
        clock.forward(GRACE)
        with counted(*refreshed("recovered"), event("refresh_recovered")):
            holder.refresh(before)
        holder.put_back(generation=1)
        with counted(*refreshed("caught up")):
            holder.refresh()

    def test_each_refusal_is_counted_with_its_reason(self, holder, clock):
        holder.refresh()
        clock.forward(STILL_TIME)
        holder.refresh()
        reuse = [event("reuse_detected"), ("revocations_total", "reuse_detected")]
        with counted(*refreshed("refused", "reuse_detected"), *reuse):
            assert holder.is_refused(holder.first)
        for token, reason in [(None, "session ended"), ("latchkey_rt_x\nlatchkey_forged 1", "not a token of ours")]:
            with counted(*refreshed("refused", reason)):
                assert holder.is_refused(token)

    def test_a_refresh_that_the_database_did_not_answer_is_counted(self, holder):
        with counted(*refreshed("failed")), failing(), pytest.raises(OperationalError):
            holder.refresh()


class TestSignIns:
    def test_a_sign_in_by_the_api_is_timed(self, api, user):
        with counted(*SIGNED_IN):
            login(api, user)

    def test_a_sign_in_by_a_page_is_timed(self, api, user):
        with counted(*SIGNED_IN):
            assert api.post("/sign-in", {"username": user.email, "password": PASSWORD}).status_code == 302

    def test_a_failed_sign_in_is_timed(self, api, user):
        with counted(*SIGN_IN_FAILED):
            post(api, "/api/auth/login", {"email": user.email, "password": "wrong"})

    def test_without_a_request_only_the_event_is_counted(self, user):
        with counted(event("sign_in_failed")):
            assert authenticate(username=user.email, password="wrong") is None

    def test_a_password_that_the_server_was_too_busy_to_hash_is_counted(self, monkeypatch):
        monkeypatch.setattr(hashers, "PATIENCE", 0)
        turns = hashers.Turns(1)
        with counted(("hashings_refused_total",)), turns.turn(), pytest.raises(hashers.Busy), turns.turn():
            pass


class TestThrottledRequests:
    """Each is counted once, under the name of its rate."""

    @pytest.fixture(autouse=True)
    def _one_an_hour(self, throttled: Any, clock: Any) -> None:
        """Lets most rates permit one request. With the default rates these tests would send too few to be throttled."""
        throttled(**dict.fromkeys(NAMES, "1/h") | {"sign_in_network": "100/h"})

    @pytest.mark.parametrize("path", ["/api/auth/login", "/sign-in", "/admin/login/"])
    def test_sign_ins_are_counted_on_every_form_and_by_the_api(self, api, user, path):
        def guess() -> int:
            data = {"email": user.email, "username": user.email, "password": "wrong"}
            return int((post(api, path, data) if "api" in path else api.post(path, data)).status_code)

        with counted(*SIGN_IN_FAILED):
            guess()
        for _ in range(2):
            with counted(("throttled_total", "sign_in_account")):
                assert guess() == 429

    def test_refreshes_are_counted(self, signed_in):
        assert [refresh(signed_in).status_code for _ in range(2)] == [200, 200]
        with counted(*refreshed("repeated"), ("throttled_total", "refresh_session")):
            assert refresh(signed_in).status_code == 429

    def test_mails_that_are_not_sent_are_counted_even_where_the_response_does_not_say_so(self, user):
        asked, total = event("password_reset"), "throttled_total"
        for address, status, expected in [
            ("198.51.100.7", 202, [asked]),
            ("203.0.113.7", 202, [asked, (total, "reset_account"), (total, "events_all")]),
            ("203.0.113.8", 429, [(total, "reset_network")]),
        ]:
            browser = Client(REMOTE_ADDR=address)
            with counted(*expected):
                assert post(browser, "/api/auth/password/reset", {"email": user.email}).status_code == status


def test_revocations_are_counted_by_reason_when_they_are_committed(user):
    for _ in range(3):
        Holder(user)
    with counted(*[event("revoked"), ("revocations_total", "ended_by_command")] * 3):
        assert len(revoke_all(RefreshToken.objects.live(), RefreshToken.Reason.ENDED_BY_COMMAND, note="x 1\n")) == 3


@pytest.mark.urls("tests.urls")
def test_a_request_with_a_valid_access_token_counts_nothing(signed_in, user):
    who(signed_in)  # Reads the feed.
    with counted():
        assert who(signed_in) == str(user.pk)


class TestBoundSessions:
    @pytest.fixture(autouse=True)
    def _offered(self, settings: Any) -> None:
        """Switches binding on. It is off by default, and then every registration would be rejected."""
        settings.TOKENS = OFFERED

    def test_the_registration_the_first_proof_and_each_later_one_are_counted(self, user, clock):
        holder = KeyHolder(user)
        with counted(("device_registrations_total", "registered", "")):
            holder.register()
        with counted(*refreshed_by_key(("challenged", "no proof"), ("bound", "")), event("session_bound")):
            holder.prove()
        with counted(*refreshed_by_key(("challenged", "no proof"), ("refreshed", ""))):
            holder.prove()

    def test_each_refusal_is_counted_with_its_reason(self, user, clock):
        holder = KeyHolder(user).bind()
        challenge = holder.challenge()
        old = holder.proof(challenge)
        refusals = refreshed_by_key(("refused", "wrong proof"), ("refused", "malformed proof"))
        with counted(*refusals, event("unproven")):
            holder.prove(sign(a_key(), {"jti": challenge}))
            holder.prove("whatever a client makes up")
        holder.prove(old)
        with counted(*refreshed_by_key(("challenged", "stale challenge"))):
            holder.prove(old)
        with counted(("device_registrations_total", "refused", "wrong proof")):
            holder.register("whatever a client makes up")

    def test_a_refresh_that_the_database_did_not_answer_is_counted(self, user, clock):
        holder = KeyHolder(user).bind()
        with counted(*refreshed_by_key(("failed", ""))), failing(), pytest.raises(OperationalError):
            holder.challenge()

    @pytest.mark.parametrize(
        ("header", "reason"), [("quota_exceeded;session_identifier=x", "quota_exceeded"), ("made up", "other")]
    )
    def test_requests_whose_refresh_was_skipped_are_counted_with_the_reason(self, api, user, header, reason):
        with counted(("skipped_refreshes_total", reason)):
            assert api.get("/api/auth/me", headers={"Secure-Session-Skipped": header}).status_code == 503


def test_the_counters_of_alarms_exist_before_they_first_count():
    reasons = ("forged with a key of ours", "unknown key", "another storage mode", "reuse_detected")
    expected = {
        *(event(kind) for kind in SecurityEvent.Kind.values),
        *(("revocations_total", reason) for reason in RefreshToken.Reason.values),
        *(("throttled_total", name) for name in NAMES),
        *(("refreshes_total", "refused", reason) for reason in reasons),
        *(("refreshes_total", outcome, "") for outcome in ("caught up", "failed")),
        *(("bound_refreshes_total", "refused", "wrong proof"), ("bound_refreshes_total", "failed", "")),
        *(("skipped_refreshes_total", reason) for reason in ("quota_exceeded", "other")),
        ("feed_reads_total", "nobody"),
    }
    assert expected <= set(counts())


class TestTheFeed:
    def read(self) -> tuple[float, float]:
        """Let the feed be read, and return its lag in seconds, and whether it is unreadable."""
        feed.is_revoked(ANY_SESSION)
        found = counts()
        return found["feed_lag_seconds",], found["feed_unreadable",]

    def test_a_read_is_counted_and_has_no_lag(self, clock):
        before = counts().get(("feed_reads_total", "primary"), 0)
        assert self.read() == (0, 0)
        assert counts()["feed_reads_total", "primary"] == before + 1

    def test_while_it_cannot_be_read_its_lag_grows(self, clock):
        self.read()
        with failing():
            for age in (5, 10, 15):
                clock.forward(5)
                assert self.read() == (age, 1)
        clock.forward(1)
        assert self.read() == (0, 0)
