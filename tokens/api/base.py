"""The base classes of all API views. They do not depend on the project's own settings for REST framework."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, UnreadablePostError
from django.http.response import HttpResponseBase
from django.urls import re_path
from django.views.decorators.debug import sensitive_variables
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.schemas import DefaultSchema
from rest_framework.views import APIView

from tokens.api.authentication import TokenAuthentication
from tokens.api.errors import ProblemError, answer_with_problem
from tokens.api.serializers import ProofInput, valid
from tokens.protocol.access_tokens import AccessToken
from tokens.web import bodies, factors
from tokens.web.attempts import authenticate
from tokens.web.exchange import Exchange, exchange_of, refuse_impersonation, required_exchange
from tokens.web.http import problems
from tokens.web.http.origins import is_cross_origin, is_unsafe
from tokens.web.operations import factor_answers
from tokens.web.possession import Proof

MAX_BODY = 64 * 1024
"""Bytes of a request body. The longest valid one has a few thousand."""


class BoundedJSONParser(BaseParser):
    """Parses JSON objects of at most `MAX_BODY` bytes. Larger bodies are not read."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> dict[str, Any]:
        body = read_bounded(stream)
        try:
            # NaN and Infinity are not JSON (RFC 8259 section 6).
            data = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise ParseError from None
        if not isinstance(data, dict):
            raise ParseError
        return data


def read_bounded(stream: Any) -> bytes:
    """Return the body of a request. A body larger than `MAX_BODY` is not read, and raises an error."""
    try:
        body: bytes = stream.read(MAX_BODY + 1)
    except UnreadablePostError:
        raise ParseError from None  # The client has closed the connection.
    if len(body) > MAX_BODY:
        raise ProblemError(problems.PAYLOAD_TOO_LARGE)
    return body


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


class JSONAlways(BaseContentNegotiation):
    """Answers in JSON, whatever the client accepts."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        media_type = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == media_type), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class LazySchema(DefaultSchema):
    """The ``schema`` of the views. It describes a view to drf-spectacular when a generator first asks for it."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        from tokens.api import openapi  # `openapi` imports drf-spectacular, which most processes never need.

        openapi.describe(owner)
        return super().__get__(instance, owner)


class ApiView(APIView):
    """A view that requires a signed-in user."""

    authentication_classes: Sequence[type[BaseAuthentication]] = (TokenAuthentication,)
    permission_classes: Sequence[type[BasePermission]] = (IsAuthenticated,)
    parser_classes: Sequence[type[BaseParser]] = (BoundedJSONParser,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = JSONAlways
    throttle_classes = ()
    versioning_class = None
    schema = LazySchema()

    # Even with ATOMIC_REQUESTS, a revocation must be committed when an error is answered.
    @transaction.non_atomic_requests
    @sensitive_variables()
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # `sensitive_post_parameters` does this. As a decorator of a method it would be applied anew to each request.
        request.sensitive_post_parameters = "__ALL__"  # type: ignore[attr-defined]
        return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # Views without authentication classes read cookies even if there is a Bearer token. Beside a token that is not
        # ours, cookies count.
        exchange = exchange_of(request)
        by_bearer = bool(self.authentication_classes) and exchange is not None and exchange.by_bearer
        if is_unsafe(request._request) and not by_bearer and is_cross_origin(request._request):
            raise ProblemError(problems.CROSS_ORIGIN)
        super().initial(request, *args, **kwargs)
        # The user was deleted or deactivated after the access token was issued. The next refresh ends the session.
        if isinstance(request.auth, AccessToken) and not request.user.is_active:
            raise ProblemError(problems.SESSION_ENDED)
        if is_unsafe(request._request) and (problem := bodies.measure(request._request, MAX_BODY)):
            raise ProblemError(problem)

    def get_exception_handler(self) -> Any:
        return answer_with_problem

    @property
    def exchange(self) -> Exchange:
        return required_exchange(self.request)

    @property
    def access(self) -> AccessToken | None:
        """The access token that the request was authenticated with. None: something else has authenticated it."""
        access: Any = self.request.auth
        return access if isinstance(access, AccessToken) else None

    @property
    def session_id(self) -> UUID | None:
        """The id of the session of the access token."""
        return self.access.session_id if self.access else None


class Public(ApiView):
    """A view for everyone. It does not authenticate, so that an invalid cookie cannot prevent a sign-in."""

    authentication_classes: Sequence[type[BaseAuthentication]] = ()
    permission_classes = (AllowAny,)


def authenticated(request: Request, password: str) -> Any:
    """Return the request's user, as `django.contrib.auth.authenticate` returns it for this password.

    Raise `ProblemError` if the password is wrong, and `ImpersonationRefused` in an impersonation.
    """
    refuse_impersonation(request._request)
    user = authenticate(request._request, username=request.user.get_username(), password=password)
    if user is None or user.pk != request.user.pk:
        raise ProblemError(problems.INVALID_CREDENTIALS)
    return user


def answered(request: Request, given: Mapping[str, Any], password: str) -> Any:
    """Return the request's user, who has given the right answer to a factor. None: the body has no answer.

    ``given`` is a valid `AnswerInput`. ``password`` is the name of its field for the password, which is a factor too.
    Raise `ProblemError` if the answer is wrong, and `ImpersonationRefused` in an impersonation.
    """
    if given.get(password) is not None:
        return authenticated(request, given[password])
    if "method" not in given:
        return None
    user = factor_answers.answered(request._request, given["method"], given["answer"])
    if user is None:
        raise ProblemError(problems.INVALID_CREDENTIALS)
    return user


def reauthentication_required(request: Request) -> ProblemError:
    """Return the error that asks the user to authenticate again. It says by which factors they can."""
    offered = factors.offered(request._request, request.user)
    return ProblemError(problems.REAUTHENTICATION_REQUIRED, offered=offered)


def proof_of(request: Request, given: Mapping[str, Any]) -> Proof:
    """Return the proof in a request's body for `tokens.sessions.change_account`. ``given`` is a valid `ProofInput`.

    If a factor was answered, the key is ``authenticated``, and its value the user. Raise `ProblemError` if the
    answer is wrong.
    """
    required_exchange(request).refresh_token = given.get("refresh_token")
    user = answered(request, given, "current_password")
    return {"refresh_token": given.get("refresh_token")} if user is None else {"authenticated": user}


def proof_of_delete(request: Request) -> Proof:
    """Return the proof in the body of a DELETE request, like `proof_of`.

    A body that cannot be read is ignored, because clients need not know that it means something.
    """
    try:
        given = valid(ProofInput, request)
    except (ParseError, UnsupportedMediaType):
        given = {}
    return proof_of(request, given)


def endpoint(route: str, view: type[ApiView], name: str) -> Any:
    """Return the URL pattern of a view. A trailing slash is optional."""
    return re_path(rf"^{route}(?:/)?$", view.as_view(), name=name)
