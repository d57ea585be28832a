"""Device Bound Session Credentials: the endpoints at which browsers register a key and refresh.

`tokens.protocol.dbsc` is the protocol. The browser itself calls them, and not a script. A browser that gets 401, 404 or
429, or 403 without a challenge, deletes its key. So an outage is answered 503, and nothing here is throttled. A refresh
requires no cookie, because on a navigation from another site the browser may send none. A registration requires the
refresh token of the session.
"""

from dataclasses import replace
from functools import partial
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from tokens.api.base import Public
from tokens.api.errors import ProblemError
from tokens.api.schema import BoundOutput, Operation, Parameter
from tokens.conf import OFF, token_settings
from tokens.protocol import dbsc
from tokens.service import binding
from tokens.service.binding import Challenge, RefreshTokenMissing
from tokens.service.issuing import IssuedTokens
from tokens.service.refreshing import Refusal
from tokens.web import possession
from tokens.web.http import claim_cookie, cookies, problems
from tokens.web.http.client import client_of
from tokens.web.http.problems import CONTENT_TYPE, Problem

_EXAMPLE = dbsc.configuration(
    UUID("01a20a65-5189-764f-8426-b0731478d342"),
    "/api/auth/device/refresh",
    "__Host-access",
    "Path=/; Secure; HttpOnly; SameSite=Lax",
    "https://example.org",
    "/static/",
)


class DeviceView(Public):
    def respond_with(self, issued: IssuedTokens) -> Response:
        """Return the response with the cookie, the session's configuration, and the challenge of the next refresh."""
        self.exchange.issue(issued)
        name, attributes = cookies.bound_cookie(issued.session.mode)
        configuration = dbsc.configuration(
            issued.session.id,
            reverse("tokens:device-refresh"),
            name,
            attributes,
            token_settings().origin,
            settings.STATIC_URL,
        )
        return Response(configuration, headers=_challenge(binding.next_challenge(issued.session), issued.session.id))


class DeviceRegister(DeviceView):
    @Operation(
        "The browser registers the key that it keeps for this session.",
        problems.NOT_AUTHENTICATED,
        problems.NOT_FOUND,
        answers=BoundOutput,
        example=_EXAMPLE,
        parameters=[
            Parameter(dbsc.PROOF, str, "A JWS with the public key in its header.", "header", required=True),
        ],
    )
    def post(self, request: Request) -> Response:
        if token_settings().device_bound == OFF:
            raise NotFound
        proof, sent = request.headers.get(dbsc.PROOF, ""), cookies.read_refresh(request._request)
        is_held = partial(possession.is_held, request._request) if sent else None
        answer = binding.register(proof, timezone.now(), is_held)
        if isinstance(answer, Refusal):
            raise ProblemError(problems.NOT_AUTHENTICATED)
        if isinstance(answer, RefreshTokenMissing):
            response = _refusal(problems.NOT_AUTHENTICATED)
            claim_cookie.keep(response, answer.claim)
            return response
        return self.respond_with(answer)


class DeviceRefresh(DeviceView):
    """With DEVICE_BOUND off this still answers for sessions that are bound already."""

    @Operation(
        "The browser refreshes its session by the key.",
        problems.SESSION_ENDED,
        problems.PROOF_REQUIRED,
        problems.NOT_FOUND,
        answers=BoundOutput,
        example=_EXAMPLE,
        parameters=[
            Parameter(dbsc.SESSION_ID, str, "The session.", "header", required=True),
            Parameter(dbsc.PROOF, str, "A JWS of the challenge. Without one, the answer is a challenge.", "header"),
        ],
    )
    def post(self, request: Request) -> Response:
        session_id = dbsc.unverified_session_id(request.headers.get(dbsc.SESSION_ID, ""))
        proof, client = request.headers.get(dbsc.PROOF), client_of(request._request)
        answer = binding.refresh(session_id, proof, client, is_open=cookies.is_open(request._request))
        if isinstance(answer, Refusal):
            raise NotFound if token_settings().device_bound == OFF else ProblemError(problems.SESSION_ENDED)
        if isinstance(answer, Challenge):
            return _refusal(problems.PROOF_REQUIRED, **_challenge(answer.text, answer.session_id))
        if cookies.read_refresh_of(request._request, answer.session.id):
            answer = replace(answer, binds=True)  # The response that should have deleted this cookie was lost.
        return self.respond_with(answer)


def _refusal(problem: Problem, **headers: str) -> Response:
    headers = {**problem.headers, **headers}
    return Response(problem.as_json(), status=problem.status, headers=headers, content_type=CONTENT_TYPE)


def _challenge(text: str, session_id: UUID) -> dict[str, str]:
    return {"Cache-Control": "no-store", dbsc.CHALLENGE: dbsc.challenge_header(text, session_id)}
