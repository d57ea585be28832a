"""Turns exceptions into `tokens.web.http.problems`: our own, those of REST framework, and those of other apps.

A project can set `answer_with_problem` as REST framework's ``EXCEPTION_HANDLER`` for its own views.
"""

from dataclasses import replace
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from tokens.hashers import Busy
from tokens.protocol.access_tokens import AccessToken
from tokens.service.possession import RefreshTokenRequired
from tokens.service.throttles import Throttled
from tokens.service.users import SessionEnded
from tokens.web.exchange import exchange_of
from tokens.web.factors import StrongerRequired
from tokens.web.http import problems
from tokens.web.http.problems import CONTENT_TYPE, DATABASE_DOWN, Problem, throttled
from tokens.web.operations import reopenable


class ProblemError(exceptions.APIException):
    """Raise this to answer with a problem."""

    def __init__(self, problem: Problem, **more: Any) -> None:
        """``more``: further members of the problem."""
        super().__init__(problem.text, problem.code)
        self.problem = problem
        self.more = more
        self.status_code = problem.status


_PROBLEMS: list[tuple[type[Exception] | tuple[type[Exception], ...], Problem]] = [
    (exceptions.ValidationError, problems.INVALID),
    (exceptions.ParseError, problems.MALFORMED),
    ((exceptions.NotFound, Http404), problems.NOT_FOUND),
    (exceptions.MethodNotAllowed, problems.METHOD_NOT_ALLOWED),
    (exceptions.UnsupportedMediaType, problems.UNSUPPORTED_MEDIA_TYPE),
    ((exceptions.PermissionDenied, PermissionDenied), problems.PERMISSION_DENIED),
    (RequestDataTooBig, problems.PAYLOAD_TOO_LARGE),
    (SessionEnded, problems.SESSION_ENDED),
    (RefreshTokenRequired, problems.REFRESH_TOKEN_REQUIRED),
    (StrongerRequired, problems.REAUTHENTICATION_REQUIRED),
    ((*DATABASE_DOWN, Busy), problems.UNAVAILABLE),
]


def answer_with_problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the response for an exception. None for an unexpected one, which Django answers with 500."""
    problem = _problem_of(error, context["request"])
    if problem is None:
        return None
    more = {"errors": error.detail} if isinstance(error, exceptions.ValidationError) else getattr(error, "more", {})
    # Of a token that the view has accepted. A view for everyone, such as the refresh, answers another token.
    if problem is problems.SESSION_ENDED and isinstance(context["request"].auth, AccessToken):
        problem, more = reopenable.problem_of(context["request"])
    set_rollback()
    headers = dict(problem.headers)
    if isinstance(error, exceptions.MethodNotAllowed):
        headers["Allow"] = ", ".join(context["view"].allowed_methods)
    if isinstance(error, exceptions.Throttled) and (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(wait)  # Seconds.
    if problem.status is HTTPStatus.UNAUTHORIZED and (challenge := getattr(error, "auth_header", None)):
        # From the view's first authentication class, which may be of another app.
        headers["WWW-Authenticate"] = challenge
    return Response(
        problem.as_json(**more), status=problem.status, headers=headers, content_type=_content_type(context["request"])
    )


def _content_type(request: Any) -> str | None:
    """Return the content type of a problem. None if the view does not render JSON, as in the browsable API."""
    renderer = getattr(request, "accepted_renderer", None)
    return CONTENT_TYPE if renderer is None or renderer.format == "json" else None


def _problem_of(error: Exception, request: Any) -> Problem | None:
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, Throttled):
        return throttled(request, error)
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        exchange = exchange_of(request)
        return exchange.problem if exchange else problems.NOT_AUTHENTICATED
    problem = next((problem for kinds, problem in _PROBLEMS if isinstance(error, kinds)), None)
    if isinstance(error, exceptions.APIException) and problem in {None, problems.PERMISSION_DENIED, problems.NOT_FOUND}:
        return _in_its_own_words(error, problem)
    return problem


def _in_its_own_words(error: exceptions.APIException, problem: Problem | None) -> Problem | None:
    """Return the problem with the text of another app's exception. None if HTTP does not have its status."""
    detail: Any = error.detail
    if problem is None:
        if error.status_code not in {status.value for status in HTTPStatus}:
            return None
        problem = Problem(HTTPStatus(error.status_code), error.default_code, str(error.default_detail))
    if not isinstance(detail, exceptions.ErrorDetail) or detail == error.default_detail:
        return problem
    return replace(problem, code=detail.code or problem.code, detail=str(detail))
