"""What a request proves before it changes factors."""

from typing import Any

from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.request import Request

from factors.api.serializers import ChangeInput
from factors.service import change_permission
from tokens import sessions
from tokens.api.public import PROVEN, problems, proof_of, reauthentication_required, valid

CHANGES = (*PROVEN, problems.REAUTHENTICATION_REQUIRED)
PRIVATE = {"Cache-Control": "no-store"}


def proof_for_change(request: Request, given: dict[str, Any]) -> Any:
    """Return the proof for `factors.service`. Raise `ProblemError` unless the sign-in is recent, or it is an answer.

    In an impersonation raise `ImpersonationRefused`, whether it is recent or not.
    """
    proof = proof_of(request, given)
    is_own, known = sessions.actor_id(request._request) is None, proof.get("authenticated")
    if is_own and known is None and not sessions.is_recent(request._request):
        if found := change_permission.missing(request._request, request.user):
            raise sessions.factors.StrongerRequired(found)
        raise reauthentication_required(request)
    return proof


def given_with_delete(request: Request) -> dict[str, Any]:
    """Return the body of a DELETE request. One that cannot be read is ignored.

    Clients need not know that the body of a DELETE request means something.
    """
    try:
        return valid(ChangeInput, request)
    except (ParseError, UnsupportedMediaType):
        return {}
