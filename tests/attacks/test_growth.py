"""A stranger behind many networks makes few rows: what is not sent by mail leaves none, and a ceiling limits the rest.

Every request is still a line in the log, a count in the metrics, and a signal.
"""

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from prometheus_client import REGISTRY

from accounts.models import PendingChange, Registration
from accounts.service import pending_changes
from tests.accounts.steps import DAY, HOUR, NEW_PASSWORD, ask, events, statements
from tests.browsers import browser_at, refresh
from tests.factories import PASSWORD, UserFactory
from tokens import sessions
from tokens.models import SecurityEvent
from tokens.service.client import networks

pytestmark = [pytest.mark.django_db, pytest.mark.long, pytest.mark.at_length_on("sqlite")]
committed = pytest.mark.django_db(transaction=True)
"""Lines, counts, signals and notices follow a commit."""
Kind = SecurityEvent.Kind
REQUESTS = 30
MAILS = 5
"""Mails of one kind to one address in an hour."""
CEILING = 12
REGISTER, RESET, LOGIN, CHANGE = "register", "password/reset", "login", "email/change"
KINDS = {REGISTER: Kind.REGISTRATION, RESET: Kind.PASSWORD_RESET, LOGIN: Kind.SIGN_IN_FAILED}


@pytest.fixture(autouse=True)
def _on(throttled: Any, clock: Any) -> None:
    """Switch throttles on, and stop the clock. A test that runs into the next period would fail at random."""


def flood(path: str, *addresses: str) -> list[int]:
    """Send requests about these addresses in turn, each from another network. Return the statuses."""
    answers = []
    for number in range(REQUESTS):
        given = {"email": addresses[number % len(addresses)], "password": NEW_PASSWORD}
        if path == RESET:
            del given["password"]
        answers.append(ask(browser_at(f"198.51.{number}.7"), path, given).status_code)
    return answers


def unknown_addresses() -> list[str]:
    return [f"nobody{number}@example.net" for number in range(REQUESTS)]


def counted(kind: str) -> float:
    return REGISTRY.get_sample_value("latchkey_security_events_total", {"kind": kind}) or 0.0


@committed
class TestRequestsForAReset:
    @pytest.fixture
    def lines(self, caplog: pytest.LogCaptureFixture) -> Any:
        """Returns how many lines of the log are about requests for a reset.

        Without it, a test would not notice that what leaves no row leaves no trace at all.
        """
        caplog.set_level(logging.INFO, "tokens")
        return lambda: sum("event=password_reset" in message for message in caplog.messages)

    def test_for_one_account_leave_as_many_rows_as_there_are_mails(self, user, mailoutbox, lines):
        before = counted(Kind.PASSWORD_RESET)
        assert set(flood(RESET, user.email)) == {202}
        assert len(mailoutbox) == len(events(Kind.PASSWORD_RESET)) == PendingChange.objects.count() == MAILS
        assert {event.user for event in events(Kind.PASSWORD_RESET)} == {user}
        assert lines() == counted(Kind.PASSWORD_RESET) - before == REQUESTS

    NOBODY = {"no account": None, "a deactivated one": {"is_active": False}, "one without password": {"password": None}}

    @pytest.mark.parametrize("fields", NOBODY.values(), ids=NOBODY)
    def test_for_an_address_that_gets_no_mail_leave_no_row(self, fields, mailoutbox, lines):
        addresses = unknown_addresses()
        for email in addresses if fields is not None else ():
            UserFactory(email=email, **fields)
        assert set(flood(RESET, *addresses)) == {202}
        assert (len(mailoutbox), len(events(Kind.PASSWORD_RESET)), PendingChange.objects.count()) == (0, 0, 0)
        assert lines() == REQUESTS

    @pytest.mark.parametrize("is_exceeded", [False, True], ids=["below the ceiling", "above it"])
    def test_take_the_same_statements_with_and_without_an_account(self, user, throttled, is_exceeded):
        throttled(events_all="1/h")
        if is_exceeded:
            ask(browser_at("203.0.113.7"), RESET, {"email": "first@example.net"})
        known = statements(browser_at("192.0.2.1"), RESET, {"email": user.email})
        if not is_exceeded:
            throttled(events_all="2/h")
        unknown = statements(browser_at("192.0.2.1"), RESET, {"email": "nobody@example.net"})
        assert known == unknown
        assert ("INSERT" in known[1], "DELETE" in known[1]) == (True, True)

    def test_are_signalled_also_without_a_row(self, user):
        received: list[Any] = []

        def receive(*, event: Any, **kwargs: Any) -> None:
            received.append(event.kind)

        sessions.happened.connect(receive)
        try:
            flood(RESET, user.email)
        finally:
            sessions.happened.disconnect(receive)
        assert received == [Kind.PASSWORD_RESET] * REQUESTS


class TestOtherRequests:
    def test_registrations_beyond_the_mails_leave_no_row(self, mailoutbox):
        flood(REGISTER, "new@example.net")
        assert len(mailoutbox) == len(events(Kind.REGISTRATION)) == Registration.objects.count() == MAILS

    @committed
    def test_changes_to_an_address_beyond_its_mails_leave_no_row(self, signed_in, user, mailoutbox):
        for _ in range(3 * MAILS):
            assert ask(signed_in, CHANGE, {"email": "new@example.net"}).status_code == 202
        assert len(events(Kind.EMAIL_CHANGE)) == PendingChange.objects.count() == MAILS
        told = [mail.to[0] for mail in mailoutbox]
        assert (told.count("new@example.net"), told.count(user.email)) == (MAILS, MAILS + 1), "one is of the sign-in"


class TestTheCeiling:
    @committed
    @pytest.mark.parametrize("path", KINDS)
    def test_turns_the_rows_of_all_networks_into_lines(self, throttled, caplog, path):
        caplog.set_level(logging.INFO, "tokens")
        throttled(events_all=f"{CEILING}/h")
        addresses = unknown_addresses()
        if path == RESET:
            for email in addresses:
                UserFactory(email=email)
        flood(path, *addresses)
        assert len(events(KINDS[path])) == CEILING
        assert sum(f"event={KINDS[path].value}" in message for message in caplog.messages) == REQUESTS

    def test_does_not_keep_a_mail_from_being_sent(self, throttled, user, mailoutbox):
        throttled(events_all="1/h")
        flood(RESET, "nobody@example.net")
        ask(browser_at("192.0.2.1"), RESET, {"email": user.email})
        assert [mail.to for mail in mailoutbox] == [[user.email]]

    def test_is_one_for_each_kind(self, throttled, user):
        throttled(events_all=f"{CEILING}/h")
        flood(RESET, user.email)
        ask(browser_at("192.0.2.1"), LOGIN, {"email": user.email, "password": "wrong"})
        assert len(events(Kind.SIGN_IN_FAILED)) == 1

    def test_limits_nothing_that_takes_a_session(self, throttled, user):
        throttled(events_all="1/h")
        for number in range(3):
            given = {"email": user.email, "password": PASSWORD}
            assert ask(browser_at(f"192.0.2.{number}"), LOGIN, given).status_code == 200
        assert len(events(Kind.SIGNED_IN)) == 3

    def test_ends_with_its_period(self, throttled, clock, user):
        throttled(events_all="1/h")
        for _ in range(2):
            ask(browser_at("192.0.2.1"), RESET, {"email": user.email})
        clock.forward(2 * HOUR)
        ask(browser_at("192.0.2.1"), RESET, {"email": user.email})
        assert len(events(Kind.PASSWORD_RESET)) == 2


LIMIT = 3
IPV6 = {
    "one network of 64 bits": ([f"2001:db8:0:1::{n:x}" for n in range(1, 30)], LIMIT),
    "many of one network of 48 bits": ([f"2001:db8:0:{n:x}::7" for n in range(1, 30)], 4 * LIMIT),
    "many networks of 48 bits": ([f"2001:db8:{n:x}::7" for n in range(1, 30)], 29),
    "one network of IPv4": ([f"198.51.100.{n}" for n in range(1, 30)], LIMIT),
}


class TestNetworksOfIPv6:
    @pytest.mark.parametrize(("clients", "expected"), IPV6.values(), ids=IPV6)
    @pytest.mark.parametrize("path", [RESET, LOGIN, "refresh"])
    def test_are_counted_at_two_lengths(self, throttled, path, clients, expected):
        throttled(**dict.fromkeys(["reset_network", "sign_in_network", "refresh_network"], f"{LIMIT}/h"))
        answers = []
        for number, address in enumerate(clients):
            browser, given = browser_at(address), {"email": f"u{number}@example.net"}
            if path == "refresh":
                answers.append(refresh(browser, "not a token").status_code)
            else:
                answers.append(ask(browser, path, given | ({"password": "wrong"} if path == LOGIN else {})).status_code)
        assert answers.index(429) == expected if 429 in answers else expected == len(clients)

    def test_are_named_from_the_smallest(self):
        assert networks("2001:db8:1:2::7") == ("2001:db8:1:2::/64", "2001:db8:1::/48")
        assert networks("198.51.100.7") == ("198.51.100.0/24",)
        assert networks(None) == ()


AGES = {
    "a reset that is waiting": ("password-reset", "pending", 1800, True),
    "a reset whose link has expired": ("password-reset", "pending", HOUR + 1, False),
    "a reset that was used": ("password-reset", "used", HOUR + 1, False),
    "a reset that the alarm has cancelled": ("password-reset", "cancelled", DAY, False),
    "a new address that is waiting": ("email-change", "pending", HOUR + 1, True),
    "a new address whose link has expired": ("email-change", "pending", DAY + 1, False),
}


@pytest.mark.parametrize(("purpose", "state", "age", "is_kept"), AGES.values(), ids=AGES)
def test_the_purge_of_links_keeps_a_row_as_long_as_it_is_needed(user, purpose, state, age, is_kept):
    made_at = timezone.now() - timedelta(seconds=age)
    PendingChange.objects.create(
        purpose=purpose, user=user, email=user.email, password_digest=b"", state=state, created_at=made_at
    )
    assert (sum(pending_changes.purge()), PendingChange.objects.count()) == (not is_kept, is_kept)
