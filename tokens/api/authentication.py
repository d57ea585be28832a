"""The authentication class for views of Django REST framework, also for those of other apps."""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from tokens.web.exchange import exchange_of
from tokens.web.http.bearer import bearer_token
from tokens.web.http.origins import is_cross_origin, is_unsafe


class TokenAuthentication(BaseAuthentication):
    """Uses the result of the middleware: ``request.user``, and the access token as ``request.auth``.

    An invalid Bearer token of ours is rejected. One that is not ours is left to the view's other authentication
    classes, also if cookies authenticate the request. An invalid cookie makes the user anonymous, so that it cannot
    prevent a sign-in. A user whom another middleware or a test has set counts, unless a page of another origin has sent
    an unsafe request: the browser may have sent what authenticates the user by itself.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        exchange = exchange_of(request)
        if exchange is None:
            return _other_user(request)
        exchange.note_user_asked()  # The view may use only ``request.auth``.
        user: Any = request._request.user
        if exchange.by_bearer and (exchange.access is None or not user.is_authenticated):
            raise AuthenticationFailed(exchange.problem.text, exchange.problem.code)
        if not exchange.by_bearer and bearer_token(request._request) is not None:
            return None
        if exchange.access is not None and str(user.pk) == exchange.access.subject:
            return user, exchange.access
        return _other_user(request)

    def authenticate_header(self, request: Request) -> str:
        exchange = exchange_of(request)
        return exchange.problem.headers.get("WWW-Authenticate", "Bearer") if exchange else "Bearer"


def _other_user(request: Request) -> tuple[Any, Any] | None:
    """Return the user of a request that no token of ours has authenticated, or None."""
    user = getattr(request._request, "user", None)
    if user is None or not (user.is_authenticated and user.is_active):
        return None
    return None if is_unsafe(request._request) and is_cross_origin(request._request) else (user, None)
