"""The authentication class for views of Django REST framework, also for those of other apps."""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from tokens.web.exchange import exchange_of
from tokens.web.incoming import bearer_token


class TokenAuthentication(BaseAuthentication):
    """Uses the result of the middleware: ``request.user``, and the access token as ``request.auth``.

    An invalid Bearer token of ours is rejected. One that is not ours is left to the view's other authentication
    classes, also if cookies authenticate the request. An invalid cookie makes the user anonymous, so that it cannot
    prevent a sign-in.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        exchange = exchange_of(request)
        if exchange is None:
            return None
        exchange.note_user_asked()  # The view may use only ``request.auth``.
        is_somebody = exchange.access is not None and request._request.user.is_authenticated
        if exchange.by_bearer:
            if not is_somebody:
                raise AuthenticationFailed(exchange.problem.text, exchange.problem.code)
        elif not is_somebody or bearer_token(request._request) is not None:
            return None
        return request._request.user, exchange.access

    def authenticate_header(self, request: Request) -> str:
        exchange = exchange_of(request)
        return exchange.problem.headers.get("WWW-Authenticate", "Bearer") if exchange else "Bearer"
