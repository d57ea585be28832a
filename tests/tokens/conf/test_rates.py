"""Rates: how they are written, and how long a client has to wait until one more request is allowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokens.conf.rates import NAMES, NO_RATES, Rate, Rates, from_text, parse, read

PERIOD = 600
COUNTS = st.integers(0, 300)
ELAPSED = st.floats(0, PERIOD, exclude_max=True)
RATE = Rate(10, PERIOD)
A_MOMENT = 0.001
WRITTEN = {"10/15m": (10, 900), "100/h": (100, 3600), "1/s": (1, 1), "5/2d": (5, 172800), " 300/m ": (300, 60)}


@pytest.mark.parametrize(("text", "expected"), WRITTEN.items(), ids=WRITTEN)
def test_a_rate_is_a_number_of_requests_in_a_period(text, expected):
    rate = parse(text)
    assert rate == Rate(*expected)
    assert str(rate) == text.strip()


@pytest.mark.parametrize("text", ["", "10", "/m", "10/", "0/m", "01/m", "10/0m", "10/m5", "10/1.5h", "10 / m", "١/m"])
def test_another_spelling_is_rejected(text):
    with pytest.raises(ValueError, match="is not a rate"):
        parse(text)


def test_a_rate_that_is_not_given_keeps_its_default():
    found = read({"reset_account": "1/d", "reset_network": "off"})
    assert (found.reset_account, found.reset_network) == (Rate(1, 86400), None)
    assert all(found.of(name) == Rates().of(name) for name in NAMES if not name.startswith("reset"))


def test_off_turns_all_rates_off():
    assert read("off") == read(from_text("Off")) == read(dict.fromkeys(NAMES, "off")) == NO_RATES
    assert NO_RATES.are_off
    assert not read({"reset_account": "off"}).are_off


WAITS = {
    # requests in the period before and in this one, seconds of this one that have passed, seconds to wait
    "no request yet": (0, 0, 0, 0),
    "the tenth is allowed": (0, 9, 0, 0),
    "ten now count as nine when a tenth of the next period has passed": (0, 10, 0, 660),
    "the same near the end of the period": (0, 10, 599, 61),
    "ten before count as nine when a tenth of this period has passed": (10, 0, 0, 60),
    "a tenth of this period has passed": (10, 0, 60, 0),
    "half of ten before and four now leave room for one": (10, 4, 300, 0),
    "half of ten before and five now leave none": (10, 5, 300, 60),
    "half as many as the limit before leave room": (5, 0, 0, 0),
    "a hundred now count as nine when nine tenths of the next period and a bit have passed": (0, 100, 0, 1146),
}


@pytest.mark.parametrize(("before", "now", "elapsed", "wait"), WAITS.values(), ids=WAITS)
def test_how_long_to_wait(before, now, elapsed, wait):
    assert RATE.wait(before, now, elapsed) == pytest.approx(wait)


@given(COUNTS, COUNTS, ELAPSED)
def test_a_request_is_allowed_after_the_wait_and_not_before(before, now, elapsed):
    def wait_at(seconds: float) -> float:
        periods, rest = divmod(elapsed + seconds, PERIOD)
        counted = [(before, now), (now, 0), (0, 0)][int(periods)]
        return RATE.wait(*counted, rest)

    wait = RATE.wait(before, now, elapsed)
    assert 0 <= wait < 2 * PERIOD
    assert wait_at(wait + A_MOMENT) == 0
    if wait > 2 * A_MOMENT:
        assert wait_at(wait - A_MOMENT) > 0


@given(st.lists(st.floats(0, 3 * PERIOD), max_size=80))
def test_no_period_has_twice_the_limit(moments):
    """Two counters do not record the time of each request, so an uneven distribution lets some more through."""
    counts: dict[int, int] = {}
    passed: list[float] = []
    for moment in sorted(moments):
        period, elapsed = divmod(moment, PERIOD)
        if RATE.wait(counts.get(int(period) - 1, 0), counts.get(int(period), 0), elapsed) == 0:
            counts[int(period)] = counts.get(int(period), 0) + 1
            passed.append(moment)
    for start in passed:
        assert sum(start <= moment < start + PERIOD for moment in passed) < 2 * RATE.limit
