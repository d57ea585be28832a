"""Which throttles count an attempt to sign in, and whose account it is for.

Before a password is checked, the attempts are counted: a correct password after too many wrong ones is rejected too,
with `Throttled`, which is answered 429. Wrong passwords count, whether or not the account exists, and so do passwords
that were not checked because too many were waiting. All attempts count too, with higher limits, because correct
passwords also take the hasher's time. Where an attempt comes from decides which limits apply:

- One of the five devices of the account on which the user signed in last: that device's only. Attempts from elsewhere
  do not keep the owner out, and neither do those of others in the same network (OWASP calls this a device cookie). The
  device is known by its cookie, or by a refresh token of its session when the user is asked for the password again. An
  access token is not enough: others may see it, and could keep the owner's device out.
- The network that has just reset the password: that network's and account's only, for an hour.
- Anywhere else: the account's, and those of the client's network.

The client's network counts all of them. An account is counted under its canonical name, which depends on the request
only. Nothing that is counted depends on whether the account exists, or on its password: otherwise the limits would tell
who has an account.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import auth
from django.db import OperationalError
from django.http import HttpRequest

from tokens.conf import tenants, token_settings
from tokens.database.transactions import unless_overtaken, writer
from tokens.hashers import Asker, Busy, hashing_for
from tokens.service import addresses, devices, throttles
from tokens.service.canonical_names import canonical
from tokens.service.client import Client, network
from tokens.service.throttles import Tally
from tokens.web.exchange import exchange_of
from tokens.web.http.client import client_of
from tokens.web.possession import has_refresh_token

ALLOWED_FOR = 3600
"""Seconds after a reset of the password during which the network that did it has a count of its own."""

CHECKS = 5
"""How often a password is checked again because a parallel sign-in has replaced its outdated hash."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to sign in.

    ``user`` is None if no account has this name. ``limits`` must not be exceeded. ``in_any_case`` and ``if_wrong`` are
    the counts that it adds to.
    """

    user: Any
    asker: Asker
    limits: tuple[Tally, ...] = ()
    in_any_case: tuple[Tally, ...] = ()
    if_wrong: tuple[Tally, ...] = ()

    @contextmanager
    def checking(self) -> Iterator[None]:
        """Check the password in this block. Raise `Throttled`, or `Busy` if it has no place to wait."""
        throttles.check(*self.limits)
        throttles.count(*self.in_any_case)
        with hashing_for(_at_tenant(self.asker)):
            try:
                yield
            except Busy:
                throttles.count(*(tally for tally in self.if_wrong if tally.name == "sign_in_network"))
                raise


def verified(user: Any, name: str, is_right: Callable[[Any], bool]) -> Any:
    """Return the user if ``is_right`` says that this is their password, or None.

    It also replaces an outdated hash. Other isolation levels than READ COMMITTED let this fail if a parallel sign-in
    has replaced it first. Then the new one is checked.
    """
    for _ in range(CHECKS):
        with unless_overtaken(writer(auth.get_user_model())):
            return user if is_right(user) else None
        user = addresses.user_of(name)
        if user is None:
            return None
    raise OperationalError("a sign-in lost every race for the hash of the password")


def attempt(request: HttpRequest | None, name: str) -> Attempt:
    """Return whose account an attempt is for, and what it counts against.

    The statements are the same for every account.
    """
    user = addresses.user_of(name)
    exchange = exchange_of(request)
    client = client_of(request, exchange.device_token if exchange else None)
    asker = Asker(canonical(name), network(client.ip) or "")
    if token_settings().throttles.are_off:
        return Attempt(user, asker)
    own = _own_budget(user, asker, client, _held_session(request))
    kind, whom = ("device", own) if own else ("account", asker.account)
    wrong, every = Tally(f"sign_in_{kind}", whom), Tally(f"attempts_{kind}", whom)
    wrong_there = throttles.of_networks("sign_in_network", client.ip)
    every_there = throttles.of_networks("attempts_network", client.ip)
    return Attempt(
        user,
        asker,
        limits=(wrong, every) if own else (wrong, every, *wrong_there, *every_there),
        in_any_case=(every, *every_there),
        if_wrong=(wrong, *wrong_there),
    )


def tallies_of_factor(request: HttpRequest | None, user: Any) -> tuple[Tally, ...]:
    """Return what an answer to a factor of this user counts against (`tokens.web.factors`).

    All networks that reset the password share one count. Otherwise somebody who reads the owner's mail could guess
    a code by one reset after the other.
    """
    if token_settings().throttles.are_off:
        return ()
    exchange = exchange_of(request)
    client = client_of(request, exchange.device_token if exchange else None)
    asker = Asker(canonical(str(user.get_username())), network(client.ip) or "")
    device = devices.with_own_budget(user, client, _held_session(request))
    own = [Tally("factor_device", str(device))] if device else []
    if asker.network and throttles.mark_of(_reset_by(asker)) is not None:
        own.append(Tally("factor_device", f"{user.pk}\nreset"))
    if own:
        return (own[1] if len(own) > 1 and throttles.is_exceeded(own[0]) else own[0],)
    return (Tally("factor_account", str(user.pk)), *throttles.of_networks("factor_network", client.ip))


def authenticate(request: HttpRequest | None, **credentials: Any) -> Any:
    """Do what `django.contrib.auth.authenticate` does. Return None too if several users have this name.

    A backend of the project that ignores case raises an exception for such a name.
    """
    try:
        return auth.authenticate(request, **credentials)
    except auth.get_user_model().MultipleObjectsReturned:
        given = {"username": str(credentials.get("username", "")), "password": "********************"}
        auth.user_login_failed.send(sender=__name__, credentials=given, request=request)
        return None


def allow_after_reset(request: HttpRequest, user: Any) -> None:
    """Let the client that has just reset the user's password sign in, however many others try to meanwhile.

    Each reset begins a new count.
    """
    there = network(client_of(request).ip)
    if there:
        for name in {canonical(str(name)) for name in (user.get_username(), addresses.address_of(user)) if name}:
            throttles.mark(_reset_by(Asker(name, there)), ALLOWED_FOR)


def _at_tenant(asker: Asker) -> Asker:
    """Return who takes a place to wait for the hasher. Accounts of other tenants can have the same name.

    The network stays the same for all tenants, because they share the processor.
    """
    return asker._replace(account=f"{tenants.current()}\n{asker.account}") if tenants.current() else asker


def _held_session(request: HttpRequest | None) -> UUID | None:
    """Return the id of the session of a request that also has a refresh token of it, or None."""
    exchange = exchange_of(request)
    if request is None or exchange is None or exchange.access is None or not has_refresh_token(request):
        return None
    return exchange.access.session_id


def _own_budget(user: Any, asker: Asker, client: Client, session_id: UUID | None) -> str:
    """Return the key under which an attempt is counted separately, or "".

    It names a known device of the user, or a network from which the password has just been reset.
    """
    device = devices.with_own_budget(user, client, session_id)
    number = throttles.mark_of(_reset_by(asker)) if asker.network else None
    found = [str(device)] if device else []
    if number is not None:
        found.append(f"{_reset_by(asker)}\n{number}")
    if len(found) > 1 and throttles.is_exceeded(
        *(Tally(f"{what}_device", found[0]) for what in ("sign_in", "attempts"))
    ):
        # A thief may have a copy of the device's cookie. The owner has just reset the password.
        return found[1]
    return found[0] if found else ""


def _reset_by(asker: Asker) -> str:
    return f"{asker.account}\n{asker.network}"
