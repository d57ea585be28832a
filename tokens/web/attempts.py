"""Which throttles count an attempt to sign in, and whose account it is for.

Before a password is checked, the wrong ones are counted: a correct password after too many wrong ones is rejected too,
with `Throttled`, which is answered 429. Only wrong passwords count, and they count whether or not the account exists.
Where an attempt comes from decides what it counts against:

- A device of the account: that device only. Attempts from elsewhere do not keep the owner out, and neither do those of
  others in the same network (OWASP calls this a device cookie).
- A session of the account: that session only. The user is asked for the password again.
- The network that has just reset the password: that network and account only, for an hour.
- Anywhere else: the account, and the client's network.

The password hash is part of what an account is counted under, so that the count starts at zero after a new password.
"""

import unicodedata
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.utils import timezone

from tokens.conf import token_settings
from tokens.database.statements import Read
from tokens.database.transactions import reader
from tokens.models import Device
from tokens.service import devices, throttles
from tokens.service.client import Client, network
from tokens.service.throttles import Tally
from tokens.web.client import client_of
from tokens.web.exchange import Exchange, exchange_of

ALLOWED_FOR = 3600
"""Seconds after a reset of the password during which the network that did it has a count of its own."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to sign in.

    ``user`` is None if no account has this name. ``tallies`` are the counts that it adds to.
    """

    user: Any
    tallies: tuple[Tally, ...]


def attempt(request: HttpRequest | None, name: str) -> Attempt:
    """Return whose account an attempt is for, and what it counts against.

    The statements are the same for every account.
    """
    user = _user(name)
    if token_settings().throttles.are_off:
        return Attempt(user, ())
    exchange = exchange_of(request)
    client = client_of(request, exchange.device_token if exchange else None) if request is not None else Client()
    account = _account(name, user.password if user else "")
    known = _known_source(user, client, exchange)
    if known is not None:
        return Attempt(user, (Tally("sign_in_device", f"{account}\n{known}"),))
    after_reset = _after_reset(account, client)
    if after_reset and throttles.is_marked(after_reset):
        return Attempt(user, (Tally("sign_in_device", after_reset),))
    tallies = [Tally("sign_in_account", account)]
    if client_network := network(client.ip):
        tallies.append(Tally("sign_in_network", client_network))
    return Attempt(user, tuple(tallies))


def allow_after_reset(request: HttpRequest, user: Any) -> None:
    """Let the client that has just reset the user's password sign in, however many others try to meanwhile."""
    if after_reset := _after_reset(_account(user.get_username(), user.password), client_of(request)):
        throttles.mark(after_reset, ALLOWED_FOR)


def _user(name: str) -> Any:
    """Return the user with this name by Django's own rules, or None."""
    model = get_user_model()
    try:
        # PostgreSQL stores no NUL in a text.
        return model._default_manager.get_by_natural_key(name) if "\0" not in name else None
    except model.DoesNotExist:
        return None


def _known_source(user: Any, client: Client, exchange: Exchange | None) -> Any:
    """Return the id of the user's device or session that the attempt comes from, or None."""
    rows = _devices(reader(Device), token_digest=devices.digest_of(client.device_token or ""))
    now = timezone.now()
    own = [row for row in rows if user and row[1] == user.pk and devices.is_credible(client, row[2], now)]
    device_id = own[0][0] if own else None
    access = exchange.access if exchange else None
    if device_id is None and access is not None and user and access.subject == str(user.pk):
        return access.session_id
    return device_id


@Read
def _devices(alias: str, **digest: Any) -> Any:
    """Select the devices with this token, their users, and when they were created."""
    return Device.objects.using(alias).filter(**digest).values_list("pk", "user", "created_at")


def _account(name: str, password: str) -> str:
    """Return what an account is counted under. Spellings that may name the same account count as one."""
    return f"{unicodedata.normalize('NFKC', name).casefold().strip()}\n{password}"


def _after_reset(account: str, client: Client) -> str:
    """Return what an account and a network are counted under together, or "" if the network is not known."""
    client_network = network(client.ip)
    return f"{account}\n{client_network}" if client_network else ""
