"""Device Bound Session Credentials: where the browser itself registers its key, and refreshes by it (`tokens.dbsc`).

No page's script calls these. A browser that is told 401, 404 or 429, or 403 without a challenge, forgets its key: so an
outage is a 503, and nothing here is throttled. No cookie is needed: on the way from another site none may come along.
"""

from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from tokens import cookies, dbsc, problems
from tokens.api.base import Public
from tokens.api.errors import ProblemError
from tokens.api.schema import BoundOutput, Operation
from tokens.conf import OFF, token_settings
from tokens.network import client_of
from tokens.problems import CONTENT_TYPE
from tokens.service import binding
from tokens.service.binding import Challenge
from tokens.service.grants import Grant
from tokens.service.refreshing import Refusal

NO_STORE = {"Cache-Control": "no-store"}


class DeviceView(Public):
    """Not there where DEVICE_BOUND is off."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if token_settings().device_bound == OFF:
            raise NotFound
        super().initial(request, *args, **kwargs)

    def answer(self, grant: Grant) -> Response:
        self.exchange.answer(grant)
        name, attributes = cookies.bound_cookie(grant.session.mode)
        configuration = dbsc.configuration(
            grant.session.id,
            reverse("tokens:device-refresh"),
            name,
            attributes,
            token_settings().origin,
            settings.STATIC_URL,
        )
        ahead = dbsc.challenge_header(binding.next_challenge(grant.session), grant.session.id)
        return Response(configuration, headers={**NO_STORE, dbsc.CHALLENGE: ahead})


class DeviceRegister(DeviceView):
    @Operation(
        "The browser registers the key that it keeps for this session.",
        problems.NOT_AUTHENTICATED,
        problems.NOT_FOUND,
        answers=BoundOutput,
    )
    def post(self, request: Request) -> Response:
        answer = binding.register(request.headers.get(dbsc.PROOF, ""), timezone.now())
        if isinstance(answer, Refusal):
            raise ProblemError(problems.NOT_AUTHENTICATED)
        return self.answer(answer)


class DeviceRefresh(DeviceView):
    @Operation(
        "The browser refreshes its session by the key.",
        problems.SESSION_ENDED,
        problems.PROOF_REQUIRED,
        problems.NOT_FOUND,
        answers=BoundOutput,
    )
    def post(self, request: Request) -> Response:
        session_id = dbsc.unverified_session_id(request.headers.get(dbsc.SESSION_ID, ""))
        answer = binding.refresh(session_id, request.headers.get(dbsc.PROOF), client_of(request._request))
        if isinstance(answer, Refusal):
            raise ProblemError(problems.SESSION_ENDED)
        if isinstance(answer, Challenge):
            header = dbsc.challenge_header(answer.text, answer.session_id)
            problem = problems.PROOF_REQUIRED
            return Response(
                problem.as_json(),
                status=problem.status,
                headers={**NO_STORE, dbsc.CHALLENGE: header},
                content_type=CONTENT_TYPE,
            )
        return self.answer(answer)
