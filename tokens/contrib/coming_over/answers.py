"""What the views of an old package have in common: how they answer, and how they open a session."""

from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.debug import sensitive_variables
from rest_framework import exceptions
from rest_framework.views import exception_handler

from tokens.contrib.coming_over.errors import in_their_form
from tokens.service.issuing import IssuedTokens
from tokens.service.refreshing import Refusal
from tokens.web.exchange import required_exchange
from tokens.web.http.origins import is_cross_origin, is_unsafe
from tokens.web.operations import session
from tokens.web.operations.taking_over import Wanted
from tokens.web.sign_in_policy import SignInRefused


class Alias:
    """To be inherited from before a view of the old package. Its errors keep the form of REST framework."""

    @property
    def sets_cookies(self) -> bool:
        """Whether a page of another origin must not use the view. Without cookies it could only use its own tokens."""
        return False

    # Even with ATOMIC_REQUESTS, a revocation must be committed when an error is answered.
    @transaction.non_atomic_requests
    @sensitive_variables()
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.sensitive_post_parameters = "__ALL__"  # type: ignore[attr-defined]
        found: HttpResponseBase = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
        found["Cache-Control"] = "no-store"
        return found

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        if self.sets_cookies and is_unsafe(request._request) and is_cross_origin(request._request):
            raise exceptions.PermissionDenied
        super().initial(request, *args, **kwargs)  # type: ignore[misc]

    def get_exception_handler(self) -> Any:
        return exception_handler

    def handle_exception(self, error: Exception) -> Any:
        return super().handle_exception(in_their_form(error))  # type: ignore[misc]


def opened(request: Any, user: Any, wanted: Wanted) -> IssuedTokens:
    """Open a session for a user whom the old package's serializer has just authenticated.

    Raise `SignInRefused` unless the policy admits the user, and `UserChanged`.
    """
    try:
        return session.open_session(
            of_django(request), user, mode=wanted.mode, remember=wanted.remember, device_name=wanted.device_name
        )
    except SignInRefused:
        # The middleware would answer in our form, and begin a sign-in that an old client cannot finish.
        exchange = required_exchange(request)
        exchange.refused, exchange.session_to_open = None, None
        raise


def of_django(request: Any) -> Any:
    """Return Django's request of one of REST framework, or the request itself."""
    return getattr(request, "_request", request)


def tokens_of(answer: IssuedTokens | Refusal, refused: Exception) -> IssuedTokens:
    """Return what was issued. Raise ``refused`` for a refusal."""
    if isinstance(answer, Refusal):
        raise refused
    return answer
