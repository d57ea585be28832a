"""What tests of a project need of Latchkey: a pytest plugin, and functions for every other test runner.

A client of Django, of REST framework or an asynchronous one is signed in without a password and its hash::

    from tokens.testing import expire_access_token, sign_in

    sign_in(client, user, methods=["pwd", "otp"])
    expire_access_token(client)  # The next request refreshes.

`tokens.testing.plugin` has the fixtures. A project loads them with ``pytest_plugins = ["tokens.testing"]`` in its
conftest.py. There is no entry point, because with one each test run of a project would load the plugin, used or not.

Every function raises `NotTesting` unless tests run or DEBUG is on. Nothing else imports this package. The names are
imported when they are first used, because pytest loads a plugin before Django is set up. (PYTEST_DONT_REWRITE)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokens.testing.browsers import cypress_cookies, selenium_cookies, storage_state
    from tokens.testing.changes import (
        aage,
        aexpire_access_token,
        age,
        amake_idle,
        arevoke,
        expire_access_token,
        make_idle,
        revoke,
    )
    from tokens.testing.clients import asign_in, sign_in
    from tokens.testing.clocks import Clock, clock
    from tokens.testing.guard import NotTesting
    from tokens.testing.live import OverHttp, over_http
    from tokens.testing.opening import SignedIn, open_session
    from tokens.testing.throttling import throttles_off
    from tokens.testing.users import create_user

__all__ = [
    "Clock",
    "NotTesting",
    "OverHttp",
    "SignedIn",
    "aage",
    "aexpire_access_token",
    "age",
    "amake_idle",
    "arevoke",
    "asign_in",
    "clock",
    "create_user",
    "cypress_cookies",
    "expire_access_token",
    "make_idle",
    "open_session",
    "over_http",
    "revoke",
    "selenium_cookies",
    "sign_in",
    "storage_state",
    "throttles_off",
]

pytest_plugins = ["tokens.testing.plugin"]

_HOMES = {
    "browsers": "cypress_cookies selenium_cookies storage_state",
    "changes": "aage aexpire_access_token age amake_idle arevoke expire_access_token make_idle revoke",
    "clients": "asign_in sign_in",
    "clocks": "Clock clock",
    "guard": "NotTesting",
    "live": "OverHttp over_http",
    "opening": "SignedIn open_session",
    "throttling": "throttles_off",
    "users": "create_user",
}
"""The modules in which the public names are defined."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    for module, names in _HOMES.items():
        if name in names.split():
            return getattr(import_module(f"tokens.testing.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
