"""How long sessions last by the level of their methods (LIFETIMES)."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from tests.tokens.service.holders import STILL_TIME, Holder
from tokens.conf import token_settings
from tokens.models import RefreshToken
from tokens.protocol.access_tokens import instant
from tokens.protocol.methods import added
from tokens.service import lifetimes, opening
from tokens.service.reauthentication import reauthenticate
from tokens.service.users import UserChanged

pytestmark = pytest.mark.django_db

NOW = timedelta()
PASSWORD, CODE, BOTH, KEY = {"pwd": NOW}, {"otp": NOW}, {"pwd": NOW, "otp": NOW}, {"hwk": NOW, "pin": NOW, "mfa": NOW}
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TABLE: dict[str, tuple[Any, timedelta, timedelta]] = {
    # what was proved: the absolute and the idle lifetime of a session with “remember me”
    "nothing that is known": ({}, 30 * DAY, 14 * DAY),
    "an address by a code": ({"kba": NOW}, 30 * DAY, 14 * DAY),
    "a password": (PASSWORD, 30 * DAY, 14 * DAY),
    "a password and a code": (BOTH, DAY, HOUR),
    "a security key with a PIN": (KEY, 12 * HOUR, 15 * MINUTE),
}


@pytest.fixture
def lasting(settings: Any) -> Any:
    """A function that sets LIFETIMES. The default has none, so that all sessions would last the same."""

    def set_to(value: Any = "nist", **more: Any) -> None:
        settings.TOKENS = {**settings.TOKENS, "LIFETIMES": value, "ACCESS_LIFETIME": 300, **more}

    return set_to


def use_until_refused(holder: Holder, clock: Any, every: timedelta) -> timedelta:
    """Refresh the session in these steps until it has ended. Return after how long that was."""
    began = clock.now
    while not holder.is_refused():
        clock.forward(every.total_seconds())
        assert clock.now - began <= 31 * DAY
        if holder.row.ends_at > clock.now:
            holder.refresh()
    passed: timedelta = clock.now - began
    return passed


@pytest.mark.parametrize(("proved", "absolute", "idle"), TABLE.values(), ids=TABLE)
def test_a_session_has_the_lifetimes_of_its_level(lasting, user, clock, proved, absolute, idle):
    lasting()
    holder = Holder(user, proved=proved, remember=True)
    assert (holder.row.expires_at - clock.now, holder.row.idle_expires_at - clock.now) == (absolute, idle)
    for _ in range(3):
        clock.forward(STILL_TIME)
        holder.refresh()
        assert holder.row.idle_expires_at - clock.now == idle
    clock.forward(idle.total_seconds() - 1)
    holder.refresh()
    clock.forward(idle.total_seconds())
    assert holder.is_refused()


def test_by_default_all_sessions_last_the_same(user, clock):
    for proved, absolute, idle in ((row[0], 30 * DAY, 14 * DAY) for row in TABLE.values()):
        row = Holder(user, proved=proved, remember=True).row
        assert (row.expires_at - clock.now, row.idle_expires_at - clock.now) == (absolute, idle)


@pytest.mark.parametrize(
    ("proved", "absolute", "every"),
    [(BOTH, DAY, DAY / 25), (KEY, DAY / 2, DAY / 100)],
    ids=["by two factors", "by a key"],
)
def test_ends_at_its_absolute_end_however_much_it_is_used(lasting, user, clock, proved, absolute, every):
    lasting()
    holder = Holder(user, proved=proved, remember=True)
    assert use_until_refused(holder, clock, every) == absolute


def test_its_access_tokens_end_when_it_does(lasting, user, clock):
    lasting({"aal2": {"idle": 120}, "aal3": {"idle": 120}})
    holder = Holder(user, proved=BOTH, remember=True)
    assert instant(holder.issued.access.expires_at) <= clock.now + timedelta(seconds=120)


def test_the_general_lifetimes_are_limits_too(lasting, user, clock):
    lasting({"aal2": {"absolute": 10**8, "idle": 10**7}, "aal3": {"absolute": 10**8, "idle": 10**7}})
    row = Holder(user, proved=BOTH).row
    assert (row.expires_at - clock.now, row.idle_expires_at - clock.now) == (30 * DAY, DAY / 2)
    row = Holder(user, proved=BOTH, lasts=HOUR).row
    assert row.expires_at - clock.now == HOUR


class TestAnotherMethod:
    def test_gives_the_session_the_lifetimes_of_its_new_level(self, lasting, user, clock):
        lasting()
        holder = Holder(user, proved=PASSWORD, remember=True)
        clock.forward(5 * 86400)
        assert reauthenticate(user, holder.id, CODE)
        assert (holder.row.expires_at - clock.now, holder.row.idle_expires_at - clock.now) == (DAY, HOUR)
        clock.forward(STILL_TIME)
        holder.refresh()
        assert holder.row.idle_expires_at - clock.now == HOUR

    @pytest.mark.parametrize("proved", [PASSWORD, CODE], ids=["the password", "a code"])
    def test_alone_moves_the_idle_end_only(self, lasting, user, clock, proved):
        """Otherwise a session of two factors would go on for ever by one of them (SP 800-63B-4 section 2.2.3)."""
        lasting()
        holder = Holder(user, proved=BOTH, remember=True)
        end = holder.row.expires_at
        clock.forward(1800)
        assert reauthenticate(user, holder.id, proved)
        assert (holder.row.expires_at, holder.row.idle_expires_at) == (end, clock.now + HOUR)

    def test_of_each_factor_moves_the_end_every_time(self, lasting, user, clock):
        lasting()
        holder = Holder(user, proved=BOTH, remember=True)
        for proved, moved in [(BOTH, True), (PASSWORD, False), (BOTH, True), (BOTH, True)]:
            clock.forward(1800)
            end = holder.row.expires_at
            assert reauthenticate(user, holder.id, proved)
            assert holder.row.expires_at == (clock.now + DAY if moved else end)

    def test_moves_both_ends_where_nothing_limits_the_level(self, user, clock):
        holder = Holder(user, proved=PASSWORD, remember=True)
        clock.forward(10 * 86400)
        assert reauthenticate(user, holder.id, PASSWORD)
        assert (holder.row.expires_at - clock.now, holder.row.idle_expires_at - clock.now) == (30 * DAY, 14 * DAY)

    @pytest.mark.parametrize("value", ["nist", {}], ids=["with the profile", "without lifetimes"])
    def test_leaves_the_span_that_the_project_decided_on(self, lasting, user, clock, value):
        lasting(value)
        holder = Holder(user, proved=PASSWORD, remember=True, lasts=2 * HOUR)
        for _ in range(3):
            clock.forward(3600)
            assert reauthenticate(user, holder.id, PASSWORD)
            assert holder.row.expires_at - clock.now == 2 * HOUR
        opening.end_after(holder.id, 3 * HOUR)
        assert holder.row.expires_at - clock.now == 3 * HOUR
        opening.end_after(holder.id, None)
        assert holder.row.expires_at - clock.now == 30 * DAY

    def test_lets_no_later_change_go_beyond_the_level(self, lasting, user, clock):
        lasting()
        holder = Holder(user, proved=BOTH, remember=True)
        clock.forward(1800)
        opening.end_after(holder.id, None)
        assert holder.row.expires_at - clock.now == DAY - HOUR / 2
        opening.end_after(holder.id, 5 * DAY)
        assert holder.row.expires_at - clock.now == DAY - HOUR / 2


def test_a_sign_in_that_is_older_than_its_level_allows_opens_no_session(lasting, user, clock):
    """One that is moved over may be that old. Its first access token would have expired when it is issued."""
    lasting()
    old = dict.fromkeys(BOTH, DAY)
    with pytest.raises(UserChanged):
        Holder(user, proved=old)
    assert not RefreshToken.objects.exists()
    row = Holder(user, proved=dict.fromkeys(BOTH, DAY - HOUR)).row
    assert row.expires_at - clock.now == HOUR


def test_a_session_that_is_used_without_its_tokens_has_the_idle_limit_too(lasting, user, clock):
    lasting()
    holder = Holder(user, proved=BOTH, remember=True)
    for _ in range(3):
        clock.forward(1800)
        assert opening.note_use(holder.id)
        assert holder.row.idle_expires_at - clock.now == HOUR
    clock.forward(3600)
    assert not opening.note_use(holder.id)


NAMES = ["", "pwd", "otp", "pwd otp", "hwk", "hwk pin", "pop user mfa", "x.mfa", "mfa-x", "amfa", "badge_1", "badgex1"]
LEVELS: dict[str, dict[str, Any]] = {
    "the profile": {"LIFETIMES": "nist"},
    "a level without a limit between two": {"LIFETIMES": {"aal1": {"idle": 600}, "aal3": {"idle": 60}}},
    "levels of the project": {
        "ACR_VALUES": {"low": ["pwd", "mfa"], "high": ["badge_1", "x.mfa pwd", "otp pwd"]},
        "LIFETIMES": {"low": {"idle": 7000}, "high": {"idle": 700}},
    },
    "no lifetimes": {},
    "no idle lifetime": {"LIFETIMES": {"aal2": {"absolute": 600}}},
}


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("given", LEVELS.values(), ids=LEVELS)
def test_the_one_statement_of_a_rotation_finds_the_same_idle_end(settings, user, clock, given):
    settings.TOKENS = {**settings.TOKENS, "OWN_METHODS": ["badge_1", "badgex1", "x.mfa", "mfa-x", "amfa"], **given}
    holder = Holder(user)
    holder.refresh()
    found = set()
    for names, remember in product(NAMES, [True, False]):
        clock.forward(STILL_TIME)
        text = added("", {name: int(clock.now.timestamp()) for name in names.split()})
        holder.put_back(methods=text, remember=remember, idle_expires_at=clock.now + DAY, expires_at=clock.now + DAY)
        holder.refresh()
        row = holder.row
        assert row.idle_expires_at == lifetimes.idle_until(row, clock.now), (names, remember)
        found.add(row.idle_expires_at - clock.now)
    limits = {limits.idle for _, limits in token_settings().lifetimes if limits.idle}
    assert limits <= found
