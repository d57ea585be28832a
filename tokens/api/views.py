"""The views of the API. What each answers is in the README's table; errors are problems (`tokens.problems`)."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.contrib.auth import authenticate, logout
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import cache_control
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from tokens import cookies, problems, throttles
from tokens.access_tokens import InvalidAccessToken, codec
from tokens.api.base import ApiView, Public
from tokens.api.errors import ProblemError
from tokens.api.schema import (
    LOGIN_EXAMPLE,
    SIGNED_IN,
    GrantOutput,
    Operation,
    Parameter,
    SessionOutput,
    SessionsOutput,
    WhoOutput,
)
from tokens.api.serializers import (
    DeviceNameInput,
    LoginInput,
    PasswordInput,
    RefreshInput,
    grant_data,
    session_data,
    valid,
    who_data,
)
from tokens.conf import BODY, token_settings
from tokens.cookies import Presented
from tokens.keys import keyring
from tokens.middleware import bearer_token, once_more
from tokens.models import RefreshToken
from tokens.network import client_of
from tokens.rotation import Decision
from tokens.service import binding, keeping
from tokens.service.client import network
from tokens.service.ending import end, end_all
from tokens.service.grants import Grant
from tokens.service.opening import open_session
from tokens.service.refreshing import Refusal, presented_session, refresh
from tokens.throttles import Tally

PAGE = 50
JWKS_MAX_AGE = 300
"""Seconds that verifiers may keep the public keys: a new key must be a fall-back for longer than this."""

NO_STORE = {"Cache-Control": "no-store"}
IN_BODY = frozenset({BODY})
"""The storage mode of a session whose refresh token comes in a request's body."""

_Reason = RefreshToken.Reason


class Login(Public):
    @Operation(
        "Sign in.",
        problems.INVALID_CREDENTIALS,
        problems.TOO_MANY_PASSWORDS,
        answers=GrantOutput,
        takes=LoginInput,
        example_input=LOGIN_EXAMPLE,
    )
    def post(self, request: Request) -> HttpResponse:
        given = valid(LoginInput, request)
        self.exchange.device_token = given.get("device_token")
        user = authenticate(request._request, username=given["email"], password=given["password"])
        if user is None:
            raise ProblemError(problems.INVALID_CREDENTIALS)
        grant = open_session(
            user,
            client_of(request._request, self.exchange.device_token),
            mode=given.get("mode", token_settings().modes[0]),
            remember=given.get("remember", False),
            device_name=given.get("device_name", ""),
        )
        self.exchange.answer(grant)
        user_logged_in.send(sender=type(user), request=request._request, user=user)
        return _granted(grant)


class Refresh(Public):
    """A rotation costs the throttles nothing: what is counted is what an honest client seldom needs."""

    @Operation(
        "A new access token, and the next refresh token.",
        problems.SESSION_ENDED,
        problems.THROTTLED,
        answers=GrantOutput,
        takes=RefreshInput,
    )
    def post(self, request: Request) -> Response | HttpResponse:
        presented = _presented(request)
        if presented is None:
            return self._renewed_by_the_browser()
        client = client_of(request._request)
        answer = refresh(presented.text, presented.modes, client)
        if isinstance(answer, Refusal):
            if from_here := network(client.ip):
                throttles.take(Tally("refresh_network", from_here))
            if answer.bound:
                self.exchange.bound = answer.bound
                if self.exchange.access is None and cookies.read_access(request._request):
                    return once_more(request._request)
                return self._renewed_by_the_browser()
            if answer.definite and presented.modes != IN_BODY:
                self.exchange.refuse()
            raise ProblemError(problems.SESSION_ENDED)
        if answer.decision is Decision.REPEAT:
            throttles.take(Tally("refresh_session", str(answer.session.id)))
        self.exchange.answer(answer)
        return _granted(answer)

    def _renewed_by_the_browser(self) -> Response:
        """Answer a client that does not know that its session is bound: the browser has renewed the access token."""
        access = self.exchange.access
        session = binding.bound_session(access.session_id) if access else None
        if access is None or session is None:
            raise ProblemError(problems.UNAVAILABLE if self.exchange.skipped else problems.SESSION_ENDED)
        return Response(who_data(session.user, session, access), headers=NO_STORE)


class Logout(Public):
    @Operation("Sign out, also with an expired access token, also twice.", status=204, takes=RefreshInput)
    def post(self, request: Request) -> Response:
        client = client_of(request._request)
        for session_id in _own_sessions(request):
            end(RefreshToken.objects.filter(id=session_id), _Reason.SIGNED_OUT, client=client)
        # What Django keeps of a sign-in goes too, and its signal is sent.
        logout(request._request)
        self.exchange.end()
        return Response(status=204)


class Reauthenticate(ApiView):
    @Operation(
        "Give the password again: a new access token with a fresh `auth_time`.",
        *SIGNED_IN,
        problems.INVALID_CREDENTIALS,
        problems.TOO_MANY_PASSWORDS,
        answers=GrantOutput,
        takes=PasswordInput,
    )
    def post(self, request: Request) -> HttpResponse:
        given = valid(PasswordInput, request)
        name = request.user.get_username()
        user = authenticate(request._request, username=name, password=given["password"])
        if user is None or user.pk != request.user.pk:
            raise ProblemError(problems.INVALID_CREDENTIALS)
        grant = keeping.reauthenticate(user, self.access.session_id)
        if grant is None:
            raise ProblemError(problems.SESSION_ENDED)
        self.exchange.answer(grant)
        return _granted(grant)


class Me(ApiView):
    @Operation("Who is signed in, and by which session.", *SIGNED_IN, answers=WhoOutput)
    def get(self, request: Request) -> Response:
        session = keeping.live_sessions(request.user).filter(id=self.access.session_id).first()
        if session is None or not request.user.is_authenticated:
            raise ProblemError(problems.SESSION_ENDED)
        return Response(who_data(request.user, session, self.access))


class Sessions(ApiView):
    @Operation(
        "The user's live sessions, newest first.",
        *SIGNED_IN,
        problems.NOT_FOUND,
        answers=SessionsOutput,
        parameters=[Parameter("before", UUID, "The last session of the page before.")],
    )
    def get(self, request: Request) -> Response:
        sessions = keeping.live_sessions(request.user)
        if before := request.query_params.get("before"):
            sessions = sessions.filter(id__lt=_session_id(before))
        page = list(sessions[: PAGE + 1])
        results = [session_data(session, self.access.session_id) for session in page[:PAGE]]
        return Response(
            {"results": results, "next": f"{request.path}?before={page[PAGE - 1].id}" if page[PAGE:] else None}
        )

    @Operation(
        "End all other sessions.",
        *SIGNED_IN,
        problems.REAUTHENTICATION_REQUIRED,
        status=204,
        name="auth_sessions_destroy_others",
    )
    def delete(self, request: Request) -> Response:
        self._require_recent_sign_in()
        others = keeping.live_sessions(request.user).exclude(id=self.access.session_id)
        end_all(others, _Reason.ENDED_BY_USER, client=client_of(request._request))
        return Response(status=204)

    def _require_recent_sign_in(self) -> None:
        if not keeping.is_recent(self.access):
            raise ProblemError(problems.REAUTHENTICATION_REQUIRED)


class Session(Sessions):
    http_method_names = ["patch", "delete", "options"]

    @Operation(
        "Name the device of one of the user's sessions.",
        *SIGNED_IN,
        problems.NOT_FOUND,
        answers=SessionOutput,
        takes=DeviceNameInput,
    )
    def patch(self, request: Request, session_id: str) -> Response:
        session = self._session(session_id)
        keeping.rename_device(session, valid(DeviceNameInput, request)["device_name"])
        return Response(session_data(session, self.access.session_id))

    @Operation(
        "End one of the user's sessions.",
        *SIGNED_IN,
        problems.REAUTHENTICATION_REQUIRED,
        problems.NOT_FOUND,
        status=204,
    )
    def delete(self, request: Request, session_id: str) -> Response:  # type: ignore[override]
        session = self._session(session_id)
        is_current = session.id == self.access.session_id
        if not is_current:
            self._require_recent_sign_in()
        reason = _Reason.SIGNED_OUT if is_current else _Reason.ENDED_BY_USER
        end(RefreshToken.objects.filter(id=session.id), reason, client=client_of(request._request))
        if is_current:
            self.exchange.end()
        return Response(status=204)

    def _session(self, session_id: str) -> RefreshToken:
        """One of the user's own; another's is not told from one that is not there."""
        session = keeping.live_sessions(self.request.user).filter(id=_session_id(session_id)).first()
        if session is None:
            raise NotFound
        return session


class Nothing(Public):
    """Any path under the API that is not one of the above."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound


@login_not_required
@cache_control(public=True, max_age=JWKS_MAX_AGE)
def jwks(request: HttpRequest) -> JsonResponse:
    """The public keys of access tokens (RFC 7517 section 5)."""
    return JsonResponse(keyring().jwks, content_type="application/jwk-set+json")


def _granted(grant: Grant) -> JsonResponse:
    """Not a `Response`: how it is written is not for a client to say, and asking costs a refresh time."""
    # RFC 6749 section 5.1: an answer that holds tokens is not stored.
    return JsonResponse(grant_data(grant), headers=NO_STORE)


def _presented(request: Request) -> Presented | None:
    """Return the refresh token of this request as it came: in the body, which goes first, or by cookie."""
    has_body = request._request.META.get("CONTENT_LENGTH") not in {None, "", "0"}
    in_body = valid(RefreshInput, request).get("refresh_token") if has_body else None
    return Presented(in_body, IN_BODY) if in_body else cookies.read_refresh(request._request)


def _own_sessions(request: Request) -> set[UUID]:
    """The sessions that a sign-out names: by its refresh token of any generation, or its access token, even expired."""
    presented = _presented(request)
    session_ids = {presented_session(presented.text, presented.modes)} if presented else set()
    access = bearer_token(request._request) or cookies.read_access(request._request)
    if access:
        with suppress(InvalidAccessToken):
            session_ids.add(codec().loads_expired(access).session_id)
    return {session_id for session_id in session_ids if session_id is not None}


def _session_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound from None
