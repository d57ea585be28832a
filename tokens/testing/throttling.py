"""Tests sign in more often than people do."""

from typing import Any
from unittest.mock import patch

from django.core.signals import setting_changed
from django.test.utils import TestContextDecorator

from tokens.conf import reading
from tokens.conf.rates import OFF
from tokens.testing.guard import require_tests

NAME = "THROTTLES"


class throttles_off(TestContextDecorator):
    """Throttle nothing, in a block (``with throttles_off():``), a function or a test case (``@throttles_off()``)."""

    def enable(self) -> None:
        require_tests()
        given = reading._given_values

        def without() -> list[tuple[str, str, Any]]:
            # The environment takes precedence over the settings, so both are left out.
            return [*(value for value in given() if value[1] != NAME), ("settings", NAME, OFF)]

        self._patch = patch.object(reading, "_given_values", without)
        self._patch.start()
        _read_anew()

    def disable(self) -> None:
        self._patch.stop()
        _read_anew()


def _read_anew() -> None:
    setting_changed.send(sender=throttles_off, setting="TOKENS", value=None, enter=True)
