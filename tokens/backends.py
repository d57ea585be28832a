"""Django's authentication backend, behind the throttles: every door that asks `django.contrib.auth.authenticate`.

    AUTHENTICATION_BACKENDS = ["tokens.backends.ModelBackend"]

Before a password is looked at, wrong ones are counted: a good one that comes when there were too many is refused as a
wrong one would be, by `Throttled`, which is answered 429. Only wrong passwords count, and they do whether or not there
is such an account. Whom an attempt counts against depends on where it comes from:

==============================  =====================================================================================
a device of the account's       that device, and nobody else: what strangers do does not keep its owner out, nor does
                                what others do in the same network (OWASP calls it a device cookie)
a session of the account's      likewise: the password is asked for once more
whoever has just reset it       likewise, for an hour, from the network in which they did
anybody else                    the account, which all of them share, and their network
==============================  =====================================================================================

A new password, by whichever door it was set, begins at nought, for its hash is a part of what is counted.
"""

import unicodedata
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import backends, get_user_model
from django.http import HttpRequest

from tokens import throttles
from tokens.compiled import Read
from tokens.conf import token_settings
from tokens.database import reader
from tokens.exchange import exchange_of
from tokens.models import Device
from tokens.network import client_of
from tokens.service.client import Client, digest_of_device_token, network
from tokens.throttles import Tally

OPEN_FOR = 3600
"""Seconds for which a reset of the password opens a door to whoever did it."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in that is tried. ``user``: whose, or None if nobody has this name; ``tallies``: what it counts in."""

    user: Any
    tallies: tuple[Tally, ...]


class ModelBackend(backends.ModelBackend):
    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        name = username if username is not None else kwargs.get(get_user_model().USERNAME_FIELD)
        if name is None or password is None:
            return None
        tried = attempt(request, name)
        throttles.check(*tried.tallies)
        # From here on as Django's own does, which would look the user up once more.
        if tried.user is None:
            get_user_model()().set_password(password)  # So that a stranger waits as long.
            return None
        good = tried.user.check_password(password) and self.user_can_authenticate(tried.user)
        return tried.user if good else None

    async def aauthenticate(self, *args: Any, **kwargs: Any) -> Any:
        # In a thread: the hashing takes its turn there, and the cache is asked.
        return await sync_to_async(self.authenticate)(*args, **kwargs)


@Read
def _devices(alias: str, **digest: Any) -> Any:
    """The devices of this token, and their users."""
    return Device.objects.using(alias).filter(**digest).values_list("pk", "user")


def attempt(request: HttpRequest | None, name: str) -> Attempt:
    """Find out whose account is tried, and from where, by the same statements whoever it is."""
    user = _user(name)
    if token_settings().throttles.are_off:
        return Attempt(user, ())
    exchange = exchange_of(request)
    client = client_of(request, exchange.device_token if exchange else None) if request is not None else Client()
    devices = _devices(reader(Device), token_digest=digest_of_device_token(client.device_token or ""))
    device_id = next((id for id, user_id in devices if user and user_id == user.pk), None)
    account = _account(name, user.password if user else "")
    access = exchange.access if exchange else None
    if device_id is None and access is not None and user and access.subject == str(user.pk):
        device_id = access.session_id
    if device_id is not None:
        return Attempt(user, (Tally("sign_in_device", f"{account}\n{device_id}"),))
    door = _door(account, client)
    if door and throttles.is_marked(door):
        return Attempt(user, (Tally("sign_in_device", door),))
    from_here = network(client.ip)
    tallies = [Tally("sign_in_account", account)]
    if from_here:
        tallies.append(Tally("sign_in_network", from_here))
    return Attempt(user, tuple(tallies))


def _user(name: str) -> Any:
    """Who has this name, by Django's own rules, or None."""
    model = get_user_model()
    try:
        # PostgreSQL has no text with a NUL in it.
        return model._default_manager.get_by_natural_key(name) if "\0" not in name else None
    except model.DoesNotExist:
        return None


def open_door(request: HttpRequest, user: Any) -> None:
    """Let whoever has just reset this user's password sign in with it, however many others try to meanwhile."""
    if door := _door(_account(user.get_username(), user.password), client_of(request)):
        throttles.mark(door, OPEN_FOR)


def _account(name: str, password: str) -> str:
    """What stands for an account. Spellings that may be one account are one, as far as strangers can tell."""
    return f"{unicodedata.normalize('NFKC', name).casefold().strip()}\n{password}"


def _door(account: str, client: Client) -> str:
    """What stands for an account and a network together, or nothing where the network is not known."""
    from_here = network(client.ip)
    return f"{account}\n{from_here}" if from_here else ""
