"""The one place that opens sessions for sign-ins. It asks the policy first (the setting SIGN_IN_POLICY).

The policy is a function of the project::

    def sign_in_policy(request, user, methods):
        if not user.is_staff or "mfa" in methods:
            return sessions.Open()
        return sessions.MoreNeeded()

It is asked before a row is written, whichever way the user signs in. A session that takes the place of another one is
no sign-in, and the policy is not asked: after a change of the password, and at the end of an impersonation.

When the policy admits a user, REQUIRED_FACTORS may still ask for a factor. It does not for an impersonation.

Nothing else calls `tokens.service.opening.open_session` for a user who signs in.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tokens.conf import token_settings
from tokens.protocol.access_tokens import instant
from tokens.protocol.methods import is_strong, loads
from tokens.service import events, opening, required_factors
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens
from tokens.service.opening import Proved, with_methods
from tokens.web.exchange import exchange_of
from tokens.web.trust import is_device_trusted


class Methods(dict[str, datetime]):
    """How a user has authenticated who is about to sign in: each authentication method by its name, with its time.

    ``actor`` is the person who is about to impersonate the user, or None. An impersonation has no methods.
    """

    actor: Any = None

    @property
    def acr(self) -> str | None:
        """The level that these methods support (ACR_VALUES), or None."""
        return token_settings().acr_of(self)


@dataclass(frozen=True, slots=True)
class Open:
    """The policy's answer: the session is opened."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The policy's answer: no session is opened. ``reason`` is shown to the person who signs in."""

    reason: str | Promise = _("You cannot sign in here.")


@dataclass(frozen=True, slots=True)
class MoreNeeded:
    """The policy's answer: a session is opened when the user has proved more.

    ``offered`` are names of factors (FACTORS), of which the account has at least one. None: all that the account has
    and that prove something else than the user has proved already.
    """

    offered: Iterable[str] | None = None


Answer = Open | Refuse | MoreNeeded


class SignInRefused(PermissionDenied):
    """The policy does not let this user sign in. ``reason`` is its text."""

    def __init__(self, reason: str | Promise) -> None:
        super().__init__(str(reason))
        self.reason = reason


class FactorRequired(SignInRefused):
    """The policy asks for more, or REQUIRED_FACTORS does (``is_required``). ``offered`` are those of `MoreNeeded`."""

    def __init__(self, offered: Iterable[str] | None, *, is_required: bool = False) -> None:
        super().__init__(_("One more step is needed to sign in."))
        self.offered = None if offered is None else tuple(offered)
        self.is_required = is_required


@dataclass(frozen=True, slots=True)
class Admitted:
    """The policy has said that a session may be opened for this user, who has proved this."""

    user: Any
    proved: Proved
    by_trusted_device: bool = False
    """Whether the policy was told that the device is trusted."""


def admit(request: Any, user: Any, proved: Proved, *, actor: Any = None) -> Admitted:
    """Ask the policy, then REQUIRED_FACTORS, whether a session may be opened. Raise `SignInRefused` unless it may.

    ``actor`` is the person who is about to impersonate the user, if any. An exception of the policy is not caught.
    """
    found = token_settings()
    if not found.restricts_sign_ins:
        return Admitted(user, proved)
    exchange = exchange_of(request)
    if exchange is not None:
        exchange.by_trusted_device = exchange.offers_trust = False
    if (policy := found.asks_before_sign_in) is not None:
        _ask_policy(policy, request, user, proved, actor)
    if actor is None and found.requires_factor is not None:
        _require(request, user, proved)
    return Admitted(user, proved, by_trusted_device=exchange is not None and exchange.by_trusted_device)


def _ask_policy(policy: Any, request: Any, user: Any, proved: Proved, actor: Any) -> None:
    times = loads(with_methods("", proved, timezone.now()))
    given = Methods({name: instant(at) for name, at in times.items()})
    given.actor = actor
    answer: Answer = policy(request, user, given)
    if isinstance(answer, Open):
        return
    if isinstance(answer, Refuse):
        events.log("sign-in refused", user=user.pk, reason=answer.reason, methods=" ".join(given))
        raise SignInRefused(answer.reason)
    if isinstance(answer, MoreNeeded):
        events.log("factor required", user=user.pk, methods=" ".join(given))
        raise FactorRequired(answer.offered)
    name = token_settings().sign_in_policy
    raise ImproperlyConfigured(f"SIGN_IN_POLICY: {name} has returned {answer!r}, and not Open, Refuse or MoreNeeded.")


def _require(request: Any, user: Any, proved: Proved) -> None:
    """Raise `FactorRequired` if the user lacks a factor that they need, unless they trust this device."""
    if is_strong(proved) or not required_factors.is_required_of(user):
        return
    if is_device_trusted(request, user):
        return
    events.log("factor required", user=user.pk, methods=" ".join(proved))
    raise FactorRequired(None, is_required=True)


def open_admitted(admitted: Admitted, client: Client, **options: Any) -> IssuedTokens:
    """Open a session for a user whom the policy admits. ``options`` are those of `tokens.service.opening`."""
    return opening.open_session(
        admitted.user, client, proved=admitted.proved, by_trusted_device=admitted.by_trusted_device, **options
    )
