"""The clock of the testing kit moves every clock that Latchkey reads. Throttles are off where a test says so."""

import sys
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client, SimpleTestCase
from django.utils import timezone

from tests.browsers import post
from tokens import sessions
from tokens.conf import token_settings
from tokens.testing import clock, plugin, sign_in, throttles_off
from tokens.testing.plugin import latchkey_clock  # noqa: F401

throttles_off_fixture = plugin.throttles_off

DAY = 86400


@pytest.mark.django_db
class TestTheClock:
    def test_moves_the_clocks_of_the_process_and_the_database(self):
        at = datetime(2031, 5, 1, 12, tzinfo=UTC)
        with clock(at) as found:
            found.forward(60)
            minute_later = datetime(2031, 5, 1, 12, 1, tzinfo=UTC)
            assert [found.now, timezone.now(), sessions.now()] == [minute_later] * 3
            assert time.time() == minute_later.timestamp()
        assert abs((sessions.now() - timezone.now()).total_seconds()) < DAY
        assert sessions.now() < at

    def test_a_session_ends_when_it_is_forwarded(self, user, client, latchkey_clock):  # noqa: F811
        sign_in(client, user, remember=True)
        for seconds, status in ((13 * DAY, 200), (15 * DAY, 401)):
            latchkey_clock.forward(seconds)
            assert client.get("/api/auth/me").status_code == status

    def test_it_says_what_it_needs(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "time_machine", None)
        with pytest.raises(ModuleNotFoundError) as raised, clock():
            pass
        assert "pip install time-machine" in raised.value.__notes__[0]
        assert abs(sessions.now().timestamp() - time.time()) < DAY


def wrong_sign_ins(user: Any) -> set[int]:
    """Return the statuses of more wrong sign-ins than an account may have."""
    data = {"email": user.email, "password": "wrong"}
    return {post(Client(), "/api/auth/login", data).status_code for _ in range(12)}


@pytest.mark.django_db
class TestThrottlesOff:
    def test_as_a_block(self, user, throttled):
        assert wrong_sign_ins(user) == {401, 429}
        with throttles_off():
            assert wrong_sign_ins(user) == {401}
        assert wrong_sign_ins(user) == {429}

    def test_as_a_fixture(self, user, throttled, throttles_off_fixture):
        assert wrong_sign_ins(user) == {401}

    def test_as_a_decorator_of_a_function(self, throttled):
        @throttles_off()
        def inside() -> Any:
            return token_settings().throttles.of("sign_in_account")

        assert token_settings().throttles.of("sign_in_account") is not None
        assert inside() is None
        assert token_settings().throttles.of("sign_in_account") is not None

    def test_as_a_decorator_of_a_test_case(self, throttled):
        found = []

        class Inside(SimpleTestCase):
            def runTest(self):
                found.append(token_settings().throttles.of("sign_in_account"))

        assert Inside().run().wasSuccessful()
        assert throttles_off()(Inside)().run().wasSuccessful()
        assert found[0] is not None
        assert found[1:] == [None]

    def test_over_the_environment_which_is_restored(self, throttled, settings):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TOKENS_THROTTLES", "sign_in_account=1/1h")
            settings.TOKENS = {}  # So that the environment is read anew.
            with throttles_off():
                assert token_settings().throttles.of("sign_in_account") is None
            assert token_settings().throttles.of("sign_in_account").limit == 1
