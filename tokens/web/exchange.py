"""The exchange: what one request carries from `tokens.web.incoming`, through the view, to `tokens.web.outgoing`."""

from dataclasses import replace
from enum import Enum
from time import perf_counter
from typing import Any
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

from tokens.models import RefreshToken
from tokens.protocol.access_tokens import AccessToken
from tokens.service.impersonation import ImpersonationRefused
from tokens.service.issuing import IssuedTokens
from tokens.service.opening import NOTHING, Proved
from tokens.web.http.problems import NOT_AUTHENTICATED, Problem

_ATTRIBUTE = "_tokens_exchange"


class Clear(Enum):
    """Why the response deletes the cookies."""

    SIGNED_OUT = "a view ended the session"
    REJECTED = "the session was rejected"
    """The cookies stay if the browser has signed in anew while the view ran."""


class Exchange:
    """What is known of one request. Most requests set only ``access``, so the defaults are on the class."""

    access: AccessToken | None = None
    """The valid access token that the request was authenticated with."""
    by_bearer: bool = False
    """Whether the request has a Bearer token of ours. Then cookies are ignored, whether it is valid or not."""
    problem: Problem = NOT_AUTHENTICATED
    """Why there is no access token."""
    by_session: bool = False
    """Whether the user is that of a session that another middleware has put on the request."""
    issued: IssuedTokens | None = None
    """The tokens that the response carries."""
    issued_before_view: bool = False
    """Whether ``issued`` comes from the middleware. A view that signs in then replaces it."""
    clear: Clear | None = None
    """Why the response deletes the cookies, or None if it keeps them."""
    bound: RefreshToken | None = None
    """A session that is bound to its device, whose refresh token was presented: the response deletes that cookie."""
    reopenable: RefreshToken | None = None
    """The session of a presented refresh token, if it is idle or lacks a required factor. Both together reopen it."""
    has_ended: bool = False
    """Whether the session of the request has certainly ended. Another token or sign-in may still authenticate it."""
    session_replaced: bool = False
    """Whether the view got an empty ``request.session`` instead of the one that the cookie names."""
    withheld: Any = None
    """Django's session, which the view does not get: ours lacks a factor (`tokens.service.required_factors`)."""
    session_deleted: bool = False
    """Whether the session that the cookie names was deleted."""
    skipped: bool = False
    """Whether the browser says that it could not refresh a bound session (``Secure-Session-Skipped``)."""
    signed_in: Any = None
    """The user whom a view has passed to `django.contrib.auth.login`."""
    proved: Proved = NOTHING
    """How that user has authenticated."""
    admitted: Any = None
    """The policy's admission of this user (`tokens.web.sign_in_policy.Admitted`), with how they had authenticated."""
    continues_as: Any = None
    """The primary key of a user for whom an adapter calls Django's ``login`` although it is no sign-in."""
    refused: Exception | None = None
    """Why the sign-in of a view was refused. The response says so, whatever the view has returned."""
    pending_session: UUID | None = None
    """The id of the session that the pending sign-in of this request opens, while a factor of it is answered."""
    by_trusted_device: bool = False
    """Whether the policy was told that the device is trusted (`tokens.web.trust`)."""
    offers_trust: bool = False
    """Whether the policy has asked for it. The next step then offers to trust the device."""
    session_to_open: Any = None
    """What a pending sign-in will open (`tokens.web.operations.admission.SessionToOpen`), if a factor is asked for."""
    refused_writes: Any = None
    """What keeps a view from writing after its ``login`` was refused (`tokens.database.refusing`)."""
    signed_out: bool = False
    """Whether a view has called `django.contrib.auth.logout`."""
    is_over: bool = False
    """Whether the response has left our middleware. A middleware outside of ours may still sign somebody in or out."""
    deferred: Any = None
    """The examination of Django's session, if it waits until a view asks for it (`tokens.web.django.deferred`)."""
    user_asked: bool = False
    """Whether the view has read ``request.user``. The response then depends on the cookies."""
    device_token: str | None = None
    """The device token in the request's body. Clients in mode ``body`` send it there."""
    refresh_token: str | None = None
    """The refresh token in the request's body, beside a password. `tokens.web.possession` reads it."""
    began: float
    """The time at which the exchange began, in seconds of `time.perf_counter`."""

    @property
    def is_unfinished(self) -> bool:
        """Whether something is left to do for the response: a sign-in, a sign-out, or a change of its cookies."""
        return (
            self.issued is not None
            or self.clear is not None
            or self.signed_in is not None
            or self.refused is not None
            or self.signed_out
            or self.bound is not None
            or self.skipped
            or self.session_replaced
        )

    @property
    def is_opened_by_view(self) -> bool:
        """Whether a view has opened the session whose tokens the response carries."""
        return self.issued is not None and self.issued.is_new and not self.issued_before_view

    @property
    def seconds(self) -> float:
        """How many seconds the request has taken so far."""
        return perf_counter() - self.began

    def note_user_asked(self) -> None:
        self.user_asked = True

    def issue(self, issued: IssuedTokens) -> None:
        """Let the response carry these tokens, which a view has obtained."""
        before = self.issued
        if before is not None and not issued.is_new and before.session.id == issued.session.id:
            # The middleware has rotated before the view. Without its token the client would be a generation behind.
            issued = replace(issued, refresh_token=issued.refresh_token or before.refresh_token)
        self.issued, self.issued_before_view, self.clear = issued, False, None

    def sign_out(self) -> None:
        """Let the response delete the cookies: a view has ended the session."""
        self.issued, self.clear = None, Clear.SIGNED_OUT

    def reject(self) -> None:
        """Let the response delete the cookies, unless the browser has newer ones by then: the session was rejected."""
        self.issued, self.clear = None, Clear.REJECTED


def attach(request: HttpRequest) -> Exchange:
    """Begin the exchange of a request, and return it."""
    exchange = Exchange()
    exchange.began = perf_counter()
    setattr(request, _ATTRIBUTE, exchange)
    return exchange


def exchange_of(request: Any) -> Exchange | None:
    """Return the exchange of a request of Django or REST framework. None: it did not pass the middleware.

    Django's session is examined first, if that was deferred.
    """
    exchange: Exchange | None = getattr(request, _ATTRIBUTE, None)
    if exchange is not None and exchange.deferred is not None:
        exchange.deferred.resolve()
    return exchange


def peek(request: HttpRequest) -> Exchange:
    """Return the exchange of a request that has passed the middleware, as it is."""
    exchange: Exchange = getattr(request, _ATTRIBUTE)
    return exchange


def beginning_of(request: Any) -> float | None:
    """Return the time at which the exchange of a request began, which no other request has. None: it has no exchange.

    Nothing is examined for this.
    """
    exchange: Exchange | None = getattr(request, _ATTRIBUTE, None)
    return None if exchange is None else exchange.began


def required_exchange(request: Any) -> Exchange:
    """Return the exchange of a request. Raise `ImproperlyConfigured` if it did not pass the middleware."""
    exchange = exchange_of(request)
    if exchange is None:
        raise ImproperlyConfigured("tokens.middleware.TokenMiddleware is not in MIDDLEWARE.")
    return exchange


def current_id(request: Any) -> UUID | None:
    """Return the id of the session that this request was authenticated with, or None."""
    exchange = exchange_of(request)
    return exchange.access.session_id if exchange is not None and exchange.access is not None else None


def refuse_impersonation(request: Any) -> None:
    """Raise `ImpersonationRefused` if somebody else uses the account of this request's user."""
    exchange = exchange_of(request)
    if exchange is not None and exchange.access is not None and exchange.access.actor is not None:
        raise ImpersonationRefused
