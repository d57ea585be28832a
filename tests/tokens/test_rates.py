"""Rates: how they are written, and how long one has to wait for room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokens.rates import NAMES, NO_RATES, Rate, Rates, from_text, parse, read

PERIOD = 600
COUNTS = st.integers(0, 300)
ELAPSED = st.floats(0, PERIOD, exclude_max=True)
RATE = Rate(10, PERIOD)
A_MOMENT = 0.001


@pytest.mark.parametrize(
    ("text", "limit", "seconds"),
    [("10/15m", 10, 900), ("100/h", 100, 3600), ("1/s", 1, 1), ("5/2d", 5, 172800), (" 300/m ", 300, 60)],
)
def test_a_rate_is_so_many_in_so_long(text, limit, seconds):
    rate = parse(text)
    assert rate == Rate(limit, seconds)
    assert str(rate) == text.strip()


@pytest.mark.parametrize("text", ["", "10", "/m", "10/", "0/m", "01/m", "10/0m", "10/m5", "10/1.5h", "10 / m", "١/m"])
def test_what_is_written_otherwise_is_none(text):
    with pytest.raises(ValueError, match="is no rate"):
        parse(text)


def test_what_is_not_named_keeps_its_default():
    found = read({"reset_account": "1/d", "reset_network": "off"})
    assert (found.reset_account, found.reset_network) == (Rate(1, 86400), None)
    assert all(found.of(name) == Rates().of(name) for name in NAMES if not name.startswith("reset"))


def test_off_is_off_for_all():
    assert read("off") == read(from_text(" Off ".strip())) == read(dict.fromkeys(NAMES, "off")) == NO_RATES
    assert NO_RATES.are_off
    assert not read({"reset_account": "off"}).are_off


WAITS = [
    # before, now, elapsed; the wait; why
    (0, 0, 0, 0, "nothing was counted"),
    (0, 9, 0, 0, "there is room for the tenth"),
    (0, 10, 0, 660, "the ten are past but for nine a tenth into the next period"),
    (0, 10, 599, 61, "the same, when that is near"),
    (10, 0, 0, 60, "a tenth of the ten has to pass"),
    (10, 0, 60, 0, "and has"),
    (10, 4, 300, 0, "half of the ten, and four: room for one"),
    (10, 5, 300, 60, "half of the ten, and five: none"),
    (5, 0, 0, 0, "half as many before leave room at once"),
    (0, 100, 0, 1146, "ten times too many pass but for nine in nine tenths of the next period, and a bit"),
]


@pytest.mark.parametrize(("before", "now", "elapsed", "wait", "why"), WAITS, ids=[row[4] for row in WAITS])
def test_how_long_to_wait(before, now, elapsed, wait, why):
    assert RATE.wait(before, now, elapsed) == pytest.approx(wait)


@given(COUNTS, COUNTS, ELAPSED)
def test_after_the_wait_there_is_room_and_before_it_there_is_none(before, now, elapsed):
    def wait_at(seconds: float) -> float:
        later = elapsed + seconds
        periods, rest = divmod(later, PERIOD)
        counted = [(before, now), (now, 0), (0, 0)][int(periods)]
        return RATE.wait(*counted, rest)

    wait = RATE.wait(before, now, elapsed)
    assert 0 <= wait < 2 * PERIOD
    assert wait_at(wait + A_MOMENT) == 0
    if wait > 2 * A_MOMENT:
        assert wait_at(wait - A_MOMENT) > 0


@given(st.lists(st.floats(0, 3 * PERIOD), max_size=80))
def test_no_period_sees_twice_the_limit(moments):
    """Two numbers cannot tell when exactly: whoever spreads their tries oddly gets some more, and never twice."""
    counts: dict[int, int] = {}
    passed: list[float] = []
    for moment in sorted(moments):
        period, elapsed = divmod(moment, PERIOD)
        if RATE.wait(counts.get(int(period) - 1, 0), counts.get(int(period), 0), elapsed) == 0:
            counts[int(period)] = counts.get(int(period), 0) + 1
            passed.append(moment)
    for start in passed:
        assert sum(start <= moment < start + PERIOD for moment in passed) < 2 * RATE.limit
