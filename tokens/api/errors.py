"""Errors of the API as problems: what a view raises, and what Django REST framework does."""

from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from tokens import problems
from tokens.exchange import exchange_of
from tokens.middleware import DATABASE_DOWN
from tokens.problems import CONTENT_TYPE, Problem


class ProblemError(exceptions.APIException):
    """Answer with this problem. ``errors``: what is wrong with each field."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail, problem.code)
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
    (DATABASE_DOWN, problems.UNAVAILABLE),
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
    return Response(problem.as_json(**more), status=problem.status, headers=headers, content_type=CONTENT_TYPE)


def _problem_of(error: Exception, request: Any) -> Problem | None:
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        exchange = exchange_of(request)
        return exchange.problem if exchange else problems.NOT_AUTHENTICATED
    return next((problem for kinds, problem in _PROBLEMS if isinstance(error, kinds)), None)
