"""Whether a policy need not ask for the second factor, because the user trusts this device (`tokens.service.trust`).

If a policy asks this, the next step of the sign-in offers to trust the device. A sign-in without the second factor is
checked again when its session is opened, so the exchange notes what the policy was told.
"""

from datetime import timedelta
from typing import Any

from tokens.conf import token_settings
from tokens.service import trust
from tokens.web.exchange import exchange_of
from tokens.web.http.client import client_of


def is_device_trusted(request: Any, user: Any) -> bool:
    """Return whether the user has said that this device is not asked for a second factor, and it still holds.

    A policy asks it (SIGN_IN_POLICY). If the policy then asks for more, the next step offers to trust the device. False
    outside of our middleware, where it could not be checked again when the session is opened.
    """
    exchange = exchange_of(request)
    if exchange is None or exchange.is_over:
        return False
    exchange.offers_trust = True
    exchange.by_trusted_device = trust.is_trusted(user, client_of(request, exchange.device_token))
    return exchange.by_trusted_device


def offered() -> timedelta | None:
    """Return for how long a device can be trusted. None: the site does not offer it."""
    return token_settings().trust_devices_for or None


def end_device_trust(user: Any) -> None:
    """Ask the user for a second factor again on all devices. Call it when a factor is replaced, with the user locked.

    A security event that a factor was removed does the same, and so does whatever ends the other sessions of the user.
    """
    trust.end(user=user.pk)
