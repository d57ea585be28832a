"""Errors as problems: what views of ours raise, what Django REST framework does, and what anybody's views do.

A project may set `answer_with_problem` as REST framework's ``EXCEPTION_HANDLER`` for its own views.
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
from tokens.service.throttles import Throttled
from tokens.web import problems
from tokens.web.exchange import exchange_of
from tokens.web.problems import CONTENT_TYPE, DATABASE_DOWN, Problem, throttled


class ProblemError(exceptions.APIException):
    """Answer with this problem. ``errors``: what is wrong with each field."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text, problem.code)
        self.problem = problem
        self.status_code = problem.status


_PROBLEMS: list[tuple[type[Exception] | tuple[type[Exception], ...], Problem]] = [
    (exceptions.ValidationError, problems.INVALID),
    (exceptions.ParseError, problems.MALFORMED),
    ((exceptions.NotFound, Http404), problems.NOT_FOUND),
    (exceptions.MethodNotAllowed, problems.METHOD_NOT_ALLOWED),
    (exceptions.UnsupportedMediaType, problems.UNSUPPORTED_MEDIA_TYPE),
    ((exceptions.PermissionDenied, PermissionDenied), problems.PERMISSION_DENIED),
    (RequestDataTooBig, problems.PAYLOAD_TOO_LARGE),
    ((*DATABASE_DOWN, Busy), problems.UNAVAILABLE),
]


def answer_with_problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the problem that answers this exception, or None for one that nobody expected (Django's 500 then)."""
    problem = _problem_of(error, context["request"])
    if problem is None:
        return None
    set_rollback()
    more = {"errors": error.detail} if isinstance(error, exceptions.ValidationError) else {}
    headers = dict(problem.headers)
    if isinstance(error, exceptions.MethodNotAllowed):
        headers["Allow"] = ", ".join(context["view"].allowed_methods)
    if isinstance(error, exceptions.Throttled) and (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(wait)  # Seconds.
    if problem.status is HTTPStatus.UNAUTHORIZED and (challenge := getattr(error, "auth_header", None)):
        headers["WWW-Authenticate"] = challenge  # Of the view's first authentication class, which may be another's.
    return Response(
        problem.as_json(**more), status=problem.status, headers=headers, content_type=_content_type(context["request"])
    )


def _content_type(request: Any) -> str | None:
    """Of a problem in JSON; None where the view renders something else: the pages of the browsable API, say."""
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
    """What a view or permission of somebody else's says of it; None for a status that HTTP does not have."""
    detail: Any = error.detail
    if problem is None:
        if error.status_code not in {status.value for status in HTTPStatus}:
            return None
        problem = Problem(HTTPStatus(error.status_code), error.default_code, str(error.default_detail))
    if not isinstance(detail, exceptions.ErrorDetail) or detail == error.default_detail:
        return problem
    return replace(problem, code=detail.code or problem.code, detail=str(detail))
