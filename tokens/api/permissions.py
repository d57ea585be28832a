"""A permission for views of REST framework, also for those of other apps: step-up (`tokens.web.operations.step_up`)."""

from datetime import timedelta
from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from tokens.api.errors import ProblemError
from tokens.web.http import problems
from tokens.web.operations import step_up


def requires(*, acr: str = "", max_age: int | timedelta | None = None) -> type[BasePermission]:
    """Return a permission for users who have authenticated so well, and so recently: ``[requires(acr="aal2")]``.

    ``max_age`` is in seconds. A request that falls short is answered 401 with the challenge of RFC 9470.
    """
    found = step_up.requirement(acr, max_age)

    class StepUp(BasePermission):
        def has_permission(self, request: Request, view: Any) -> bool:
            lacking = step_up.shortfall(request._request, request.user, found)
            if lacking is None:
                return True
            if lacking.problem.code not in {problems.INSUFFICIENT.code, problems.SESSION_IDLE.code}:
                return False  # REST framework asks an anonymous user to sign in.
            error = ProblemError(lacking.problem, **lacking.members)
            # REST framework's own exception handler reads this attribute.
            error.auth_header = lacking.problem.headers["WWW-Authenticate"]  # type: ignore[attr-defined]
            raise error

    return StepUp
