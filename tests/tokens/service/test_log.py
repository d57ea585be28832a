"""The lines of the log ``tokens``: one for each event that is committed, in the format logfmt."""

import json
import logging
import logging.handlers
import re
from collections.abc import Callable

import pytest
from django.db import transaction
from hypothesis import example, given
from hypothesis import strategies as st

from tests.tokens.service.holders import Holder
from tokens.models import RefreshToken, SecurityEvent
from tokens.service import events
from tokens.service.client import Client
from tokens.service.revocation import revoke

Lines = Callable[[], list[dict[str, str]]]

FIELD = re.compile(r'(?:^| )([a-z]+)=(?:("(?:[^"\\]|\\.)*")|([^" ]+))')
FORGED = 'x" event=signed_in user=1\n\x1b[2J\x7f\u2028event=alarm \\'


def fields(line: str) -> dict[str, str]:
    """Parse a line. Raise `AssertionError` if any part of it is not ``key=value``, or if a key is repeated."""
    assert FIELD.sub("", line) == "", line
    found = [(key, json.loads(quoted) if quoted else plain) for key, quoted, plain in FIELD.findall(line)]
    assert len(dict(found)) == len(found), line
    return dict(found)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Return a function that parses the lines since its last call. Each line must be logfmt and nothing else.

    A test that only searched the text would not notice a forged field.
    """

    def take() -> list[dict[str, str]]:
        found = [fields(record.getMessage()) for record in caplog.records if record.name == "tokens"]
        caplog.clear()
        return found

    caplog.set_level(logging.INFO, "tokens")
    return take


@given(st.text())
@example(FORGED)
def test_a_value_is_read_back_unchanged_and_cannot_end_its_line(value):
    handler = logging.handlers.BufferingHandler(10)
    events.logger.addHandler(handler)
    try:
        events.log("said", by=value, ip="192.0.2.7")
    finally:
        events.logger.removeHandler(handler)
    [record] = handler.buffer
    line = record.getMessage()
    assert line.isascii()
    assert line.isprintable()
    assert fields(line) == {"event": "said", **({"by": value} if value else {}), "ip": "192.0.2.7"}


@pytest.mark.django_db(transaction=True)
class TestAnEvent:
    def test_is_a_line_with_the_same_content_as_its_row(self, user, lines):
        holder = Holder(user)
        client = Client("192.0.2.9", "Firefox (X11)")
        lines()
        row = RefreshToken.objects.filter(id=holder.id)
        revoke(row, RefreshToken.Reason.ENDED_BY_STAFF, by=user, client=client, note='a "stolen" laptop')
        assert lines() == [
            {
                "event": "revoked",
                "session": str(holder.id),
                "user": str(user.pk),
                "device": str(holder.row.device_id),
                "reason": 'ended_by_staff: a "stolen" laptop',
                "by": str(user.pk),
                "ip": "192.0.2.9",
                "agent": "Firefox (X11)",
            }
        ]

    def test_has_one_line_for_each_row_that_is_committed(self, user, lines):
        with transaction.atomic():
            Holder(user)
            transaction.set_rollback(True)
        Holder(user).end()
        kinds = list(SecurityEvent.objects.order_by("id").values_list("kind", flat=True))
        assert [line["event"] for line in lines()] == kinds
