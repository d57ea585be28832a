"""Signs in a real browser: the cookies of a new session, as Playwright, Selenium and Cypress take them.

Each function takes a user and the arguments of `open_session`, or what that function has returned.
"""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from tokens.conf import BODY
from tokens.testing.guard import only_in_tests
from tokens.testing.opening import SignedIn, open_session


@only_in_tests
def storage_state(user: Any, **options: Any) -> dict[str, Any]:
    """Return the ``storage_state`` of a context of Playwright that is signed in. As JSON it can be a file."""
    return {
        "cookies": [
            {**_common(found), "domain": found["domain"] or found["host"], "expires": found["expires"] or -1}
            for found in _cookies(user, options)
        ],
        "origins": [],
    }


@only_in_tests
def selenium_cookies(user: Any, **options: Any) -> list[dict[str, Any]]:
    """Return what ``add_cookie`` of a driver takes, one after the other. Open a page of the site before."""
    return [
        _common(found)
        | ({"domain": found["domain"]} if found["domain"] else {})
        | ({"expiry": found["expires"]} if found["expires"] else {})
        for found in _cookies(user, options)
    ]


@only_in_tests
def cypress_cookies(user: Any, **options: Any) -> list[dict[str, Any]]:
    """Return the names, the values and the options of ``cy.setCookie(cookie.name, cookie.value, cookie)``."""
    return [
        _common(found)
        | {"sameSite": {"None": "no_restriction"}.get(found["sameSite"], found["sameSite"].lower())}
        | ({"domain": found["domain"]} if found["domain"] else {"domain": found["host"], "hostOnly": True})
        | ({"expiry": found["expires"]} if found["expires"] else {})
        for found in _cookies(user, options)
    ]


def _common(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in ("name", "value", "path", "secure", "httpOnly", "sameSite")}


def _cookies(user: Any, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the cookies. ``domain`` is empty if only the host gets the cookie. ``expires``: POSIX seconds, or None."""
    signed_in = user if isinstance(user, SignedIn) else open_session(user, **options)
    if signed_in.session.mode == BODY:
        raise ValueError("In mode body a browser has no cookies of the session. Use another mode.")
    for name, morsel in signed_in.cookies.items():
        if morsel.value and morsel["max-age"] != 0:
            yield {
                "name": name,
                "value": morsel.value,
                "host": urlsplit(signed_in.origin).hostname,
                "domain": f".{morsel['domain'].lstrip('.')}" if morsel["domain"] else "",
                "path": morsel["path"] or "/",
                "expires": int(time.time()) + int(morsel["max-age"]) if morsel["max-age"] else None,
                "secure": bool(morsel["secure"]),
                "httpOnly": bool(morsel["httponly"]),
                "sameSite": morsel["samesite"] or "Lax",
            }
