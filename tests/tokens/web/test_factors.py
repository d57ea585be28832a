"""Factors: what an account has, what an answer proves, and how often it may be wrong."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import RequestFactory

from tests.browsers import DEVICE, FIREFOX, login
from tests.factories import PASSWORD, UserFactory
from tests.tokens.web import steps
from tokens import checks, sessions
from tokens.protocol.methods import REGISTERED
from tokens.service import throttles
from tokens.service.throttles import Tally, Throttled
from tokens.sessions import factors

AT = "203.0.113.7"
HERE = f"{__name__}."


class Code(steps.Code):
    def begin(self, request: Any, user: Any) -> Any:
        return {"digits": 6}


class Mailed(Code):
    """A code by e-mail, which is no authentication factor."""

    name = "mailed"

    def verify(self, request: Any, user: Any, answer: Any) -> Any:
        return () if answer == "123456" else None


class Before(Code):
    """Something that was proved before."""

    name = "before"

    def verify(self, request: Any, user: Any, answer: Any) -> Any:
        return {"otp": datetime.now(UTC) - timedelta(seconds=60)}


@pytest.fixture
def _with_codes(settings: Any) -> None:
    """Adds factors to the password. Without them nothing but the password would be verified."""
    paths = ["tokens.web.factors.Password", f"{HERE}Code", f"{HERE}Mailed", f"{HERE}Before"]
    settings.TOKENS = {**settings.TOKENS, "FACTORS": paths}


def request_from(address: str = AT, **cookies: str) -> Any:
    sent = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return RequestFactory().get("/", REMOTE_ADDR=address, headers={"User-Agent": FIREFOX, "Cookie": sent})


def guess(user: Any, times: int, request: Any = None) -> list[Any]:
    found = []
    for _ in range(times):
        try:
            found.append(factors.verify(request or request_from(), user, "totp", "000000"))
        except Throttled as error:
            found.append(error.name)
    return found


pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]


@pytest.mark.usefixtures("_with_codes")
class TestFactors:
    def test_are_offered_in_the_order_of_the_setting_to_accounts_that_have_them(self, user):
        assert factors.offered(None, user) == ["password", "totp", "mailed", "before"]
        assert factors.offered(None, UserFactory(email="without@example.org")) == ["password"]
        user.set_unusable_password()
        assert factors.offered(None, user) == ["totp", "mailed", "before"]

    def test_may_give_the_client_what_it_needs(self, user):
        given = [factors.begin(None, user, name) for name in ("totp", "password", "unknown")]
        assert given == [{"digits": 6}, None, None]

    def test_prove_methods_with_their_times(self, user):
        assert factors.verify(None, user, "totp", "123456") == {"otp": timedelta()}
        assert factors.verify(None, user, "mailed", "123456") == {}
        (ago,) = factors.verify(None, user, "before", "").values()
        assert timedelta(seconds=60) <= ago < timedelta(seconds=70)

    @pytest.mark.parametrize("answer", ["", "000000", None, 5, [], {"a": 1}], ids=repr)
    def test_prove_nothing_by_a_wrong_answer(self, user, answer):
        for name in ("password", "totp", "mailed", "unknown"):
            assert factors.verify(request_from(), user, name, answer) is None, name

    def test_that_an_account_does_not_have_prove_nothing(self):
        assert factors.verify(None, UserFactory(email="without@example.org"), "totp", "123456") is None


class TestThePassword:
    def test_proves_what_the_backend_has_checked(self, user):
        assert factors.verify(request_from(), user, "password", PASSWORD) == {"pwd": timedelta()}

    def test_of_somebody_else_proves_nothing(self, user):
        somebody = UserFactory(password="somebody else's long password")
        assert factors.verify(request_from(), user, "password", "somebody else's long password") is None
        assert factors.verify(request_from(), somebody, "password", PASSWORD) is None

    def test_is_throttled_as_a_sign_in_is_and_not_a_second_time(self, user, throttled):
        throttled(sign_in_account="2/h", factor_account="1/h")
        assert [factors.verify(request_from(), user, "password", "wrong") for _ in range(2)] == [None, None]
        with pytest.raises(Throttled, match="sign_in_account"):
            factors.verify(request_from(), user, "password", PASSWORD)


@pytest.mark.usefixtures("_with_codes")
class TestGuesses:
    @pytest.fixture(autouse=True)
    def _on(self, throttled: Any, clock: Any) -> None:
        """Switches throttles on, by a clock that stands still."""
        throttled(factor_account="3/h", factor_device="2/h", factor_network="5/h")

    def test_are_limited_for_a_network(self):
        users = [UserFactory() for _ in range(6)]
        assert [guess(user, 1)[0] for user in users] == [None] * 5 + ["factor_network"]

    def test_from_elsewhere_do_not_keep_a_known_device_out(self, user, client):
        login(client, user)
        owner = request_from(**{DEVICE: client.cookies[DEVICE].value})
        assert guess(user, 4)[3] == "factor_account"
        assert factors.verify(owner, user, "totp", "123456") == {"otp": timedelta()}
        assert guess(user, 2, owner) == [None, "factor_device"]

    def test_of_a_factor_that_the_account_does_not_have_count_too(self, user):
        for _ in range(3):
            assert factors.verify(request_from(), user, "unknown", "") is None
        with pytest.raises(Throttled):
            factors.verify(request_from(), user, "unknown", "")

    def test_that_have_passed_the_check_together_are_counted_before_an_answer_is_verified(self, user, monkeypatch):
        """Ten requests have read the count before one of them adds to it."""
        tally, passed, original = Tally("factor_account", "somebody"), [], throttles.check
        monkeypatch.setattr(throttles, "check", lambda *asked: None if asked[0].more == 0 else original(*asked))
        for _ in range(10):
            with suppress(Throttled):
                throttles.take_exactly(tally)
                passed.append(1)
        assert len(passed) == 3


def test_no_factor_is_in_the_way_of_a_name_that_another_has(settings):
    settings.TOKENS = {**settings.TOKENS, "FACTORS": [f"{HERE}Code", f"{HERE}Code", f"{HERE}Mailed", f"{HERE}Named"]}
    assert [message.id for message in checks.settings.check_factors()] == ["tokens.E063"]
    settings.TOKENS = {**settings.TOKENS, "FACTORS": [f"{HERE}Missing", "tokens.web.factors.Factor"]}
    assert [message.id for message in checks.settings.check_factors()] == ["tokens.E063"] * 2


class Named(Code):
    """A second factor with the same name."""


def test_what_factors_prove_is_registered():
    assert factors.Password.proves | Code.proves <= REGISTERED
    assert sessions.factors.Password().label == "password"
