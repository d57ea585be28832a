"""The exchange: what the middleware knows of one request, and what its views and receivers tell the middleware."""

from dataclasses import replace
from time import perf_counter
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

from tokens.access_tokens import AccessToken
from tokens.models import RefreshToken
from tokens.problems import NOT_AUTHENTICATED, Problem
from tokens.service.grants import Grant

_ATTRIBUTE = "_tokens_exchange"


class Exchange:
    """``access``: the valid access token that the request is served by. ``problem``: why there is none.

    ``grant``: tokens that the response shall carry. ``refreshed``: the middleware got them, before the view.
    ``clear``: the response shall clear the cookies; ``refused``: for their session is refused, not because a view said
    so. ``bound``: the session of a refresh token that is refused for its device has a key: that cookie alone shall go.
    ``stale``: the access cookie, which came alone, is refused before its time, and shall go. ``skipped``: the browser
    says that it could not renew a bound session. ``signed_in``, ``signed_out``: what `django.contrib.auth` was asked
    for while the view ran. ``user_asked``: the view looked at ``request.user``. ``device_token``: the one that came in
    the request's body. ``began``: by `perf_counter`.
    """

    # On the class: nearly no request changes any of them but the first.
    access: AccessToken | None = None
    problem: Problem = NOT_AUTHENTICATED
    grant: Grant | None = None
    refreshed: bool = False
    clear: bool = False
    refused: bool = False
    bound: RefreshToken | None = None
    stale: bool = False
    skipped: bool = False
    signed_in: Any = None
    signed_out: bool = False
    user_asked: bool = False
    device_token: str | None = None

    def __init__(self) -> None:
        self.began = perf_counter()

    @property
    def is_unfinished(self) -> bool:
        """Whether anything is to be done for the response: somebody asked for it, or its cookies change."""
        return (
            self.grant is not None
            or self.clear
            or self.signed_in is not None
            or self.signed_out
            or self.bound is not None
            or self.stale
            or self.skipped
        )

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return perf_counter() - self.began

    def note_user_asked(self) -> None:
        self.user_asked = True

    def answer(self, grant: Grant) -> None:
        """Let the response carry this grant: a view opened or refreshed a session itself."""
        before = self.grant
        if before is not None and not grant.is_new and before.session.id == grant.session.id:
            # The middleware has rotated meanwhile: without its token the client would be a generation behind.
            grant = replace(grant, refresh_token=grant.refresh_token or before.refresh_token)
        self.grant, self.refreshed, self.clear, self.refused, self.stale = grant, False, False, False, False

    def end(self) -> None:
        """Let the response clear the cookies: a view ended the session itself."""
        self.grant, self.clear, self.refused = None, True, False

    def refuse(self) -> None:
        """Let the response clear the cookies, unless the browser has others by then: their session is refused."""
        self.grant, self.clear, self.refused = None, True, True


def attach(request: HttpRequest) -> Exchange:
    """Begin the exchange of a request."""
    exchange = Exchange()
    setattr(request, _ATTRIBUTE, exchange)
    return exchange


def exchange_of(request: Any) -> Exchange | None:
    """Return the exchange of a request, or None where it did not pass the middleware. DRF's requests will do."""
    return getattr(request, _ATTRIBUTE, None)


def required_exchange(request: Any) -> Exchange:
    """Return the exchange of a request. Raises `ImproperlyConfigured` where it did not pass the middleware."""
    exchange = exchange_of(request)
    if exchange is None:
        raise ImproperlyConfigured("tokens.middleware.TokenMiddleware is not in MIDDLEWARE.")
    return exchange
