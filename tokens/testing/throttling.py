"""Tests sign in more often than people do."""

import os
from typing import Any

from django.conf import settings
from django.test import override_settings
from django.test.utils import TestContextDecorator

from tokens.testing.guard import require_tests

VARIABLE = "TOKENS_THROTTLES"
"""The environment variable takes precedence over the settings."""


class throttles_off(TestContextDecorator):
    """Throttle nothing, in a block (``with throttles_off():``), a function or a test case (``@throttles_off()``)."""

    def enable(self) -> None:
        require_tests()
        self._variable = os.environ.pop(VARIABLE, None)
        self._override: Any = override_settings(TOKENS={**getattr(settings, "TOKENS", {}), "THROTTLES": "off"})
        self._override.enable()

    def disable(self) -> None:
        if self._variable is not None:
            os.environ[VARIABLE] = self._variable
        self._override.disable()  # Afterwards, because the settings are read anew.
