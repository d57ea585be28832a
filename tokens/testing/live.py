"""A live server of tests, which serves over http, whatever the settings say of https.

Over https cookies are Secure, and their names have a prefix. Browsers keep no such cookie from http, and ORIGIN is
another one than that of the live server.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from django.conf import settings
from django.test import LiveServerTestCase, override_settings

from tokens.conf import validation
from tokens.testing.guard import require_tests

PREFIXES = ("__Host-Http-", "__Host-", "__Secure-", "__Http-")
"""What browsers keep from https only (RFC 6265bis section 4.1.3)."""
NAMES = ("SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME", "LANGUAGE_COOKIE_NAME")


@contextmanager
def over_http(origin: str = "") -> Iterator[None]:
    """Let sessions work over http in the block, at this origin. Empty: ORIGIN stays, for what has none yet."""
    require_tests()
    changed = {**_for_http(), **({"ORIGIN": origin} if origin else {})}
    # With DEBUG off, an ORIGIN with http is an error. Here it is none, and pages of errors stay those of production.
    with patch.object(validation, "_is_development", lambda: True), override_settings(**changed):
        yield


class OverHttp:
    """Makes sessions work in a `LiveServerTestCase`: ``class OrderTests(OverHttp, StaticLiveServerTestCase)``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        bases = cls.__mro__
        if LiveServerTestCase in bases and bases.index(LiveServerTestCase) < bases.index(OverHttp):
            raise TypeError(f"In {cls.__name__}, OverHttp has to stand before the test case, whose server it prepares.")

    @classmethod
    def setUpClass(cls) -> None:
        found: Any = cls
        found.enterClassContext(over_http())
        # Some middlewares read their settings when the server starts. Those of a decorator would replace ours by then.
        found._overridden_settings = {**(found._overridden_settings or {}), **_for_http()}
        super().setUpClass()  # type: ignore[misc]
        found.enterClassContext(over_http(found.live_server_url))


def _for_http() -> dict[str, Any]:
    """Return the settings with which browsers keep Django's own cookies, and are not sent to https."""
    return {
        "SECURE_SSL_REDIRECT": False,
        "SESSION_COOKIE_SECURE": False,
        "CSRF_COOKIE_SECURE": False,
        "LANGUAGE_COOKIE_SECURE": False,
        **{name: _without_prefix(getattr(settings, name)) for name in NAMES},
    }


def _without_prefix(name: str) -> str:
    return next((name.removeprefix(prefix) for prefix in PREFIXES if name.startswith(prefix)), name)
