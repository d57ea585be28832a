"""The views of the API. docs/reference/api.md lists what each answers. Errors are `tokens.web.http.problems`."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from tokens.api.base import ApiView, Public, answered, proof_of, proof_of_delete, reauthentication_required
from tokens.api.errors import ProblemError
from tokens.api.reopening import answering_for_idle, may_answer
from tokens.api.schema import (
    LOGIN_EXAMPLE,
    PROVEN,
    SIGNED_IN,
    FactorOutput,
    GrantOutput,
    MeOutput,
    Operation,
    Parameter,
    ServiceTokenOutput,
    SessionOutput,
    SessionsOutput,
)
from tokens.api.serializers import (
    DeviceNameInput,
    LoginInput,
    ProofInput,
    ReauthenticationInput,
    RefreshInput,
    refuse_others_token,
    service_token_data,
    session_data,
    token_response,
    valid,
    who_data,
)
from tokens.conf import token_settings
from tokens.models import RefreshToken
from tokens.service import queries, reauthentication, service_tokens
from tokens.service.issuing import IssuedTokens
from tokens.service.refreshing import Refusal
from tokens.service.users import UserChanged
from tokens.web import factors, possession
from tokens.web.attempts import authenticate
from tokens.web.exchange import refuse_impersonation
from tokens.web.http import cookies, problems
from tokens.web.http.cookies import Presented
from tokens.web.operations import reopenable, reopening, session, signing_out
from tokens.web.possession import IN_BODY, Proof

PAGE = 50
"""Sessions on a page of the list."""
NO_STORE = {"Cache-Control": "no-store"}


class Login(Public):
    @Operation(
        "Sign in.",
        problems.INVALID_CREDENTIALS,
        problems.FACTOR_REQUIRED,
        problems.SIGN_IN_REFUSED,
        problems.TOO_MANY_PASSWORDS,
        answers=GrantOutput,
        takes=LoginInput,
        example_input=LOGIN_EXAMPLE,
    )
    def post(self, request: Request) -> HttpResponse:
        given = valid(LoginInput, request)
        self.exchange.device_token = given.get("device_token")
        # `tokens.backends` checks the password, with throttles.
        user = authenticate(request._request, username=given["name"], password=given["password"])
        if user is None:
            raise ProblemError(problems.INVALID_CREDENTIALS)
        return signed_in(request, user, given)


class Refresh(Public):
    @Operation(
        "A new access token, and the next refresh token.",
        problems.SESSION_ENDED,
        problems.SESSION_IDLE,
        problems.THROTTLED,
        answers=GrantOutput,
        takes=RefreshInput,
    )
    def post(self, request: Request) -> Response | HttpResponse:
        presented = _presented(request)
        if presented is None:
            issued = session.refresh_by_django_session(request._request)
            return granted(issued) if issued else self._refreshed_by_browser(is_token_missing=True)
        answer = session.refresh(request._request, presented)
        if isinstance(answer, IssuedTokens):
            return granted(answer)
        return self._refused(answer)

    def _refused(self, refusal: Refusal) -> Response | HttpResponse:
        if refusal.reopenable:
            raise ProblemError(problems.of_reopenable(refusal.reopenable), **reopenable.members_of(refusal.reopenable))
        if not refusal.bound and not refusal.foreign:
            raise ProblemError(problems.SESSION_ENDED)
        if self.exchange.access is None and cookies.read_access(self.request._request):
            return cookies.retry_without_access(self.request._request)
        return self._refreshed_by_browser()

    def _refreshed_by_browser(self, *, is_token_missing: bool = False) -> Response:
        """Answer a client that does not know that its session is bound: the browser has refreshed the access token."""
        access = self.exchange.access
        bound = queries.bound_session(access.session_id) if access else None
        if access is None or bound is None:
            if is_token_missing:
                refuse_others_token(self.request)
            raise ProblemError(problems.UNAVAILABLE if self.exchange.skipped else problems.SESSION_ENDED)
        return Response(who_data(bound.user, bound, access), headers=NO_STORE)


class Logout(Public):
    @Operation(
        "Sign out, also twice, also with an access token that has expired within a day.",
        problems.TOKEN_EXPIRED,
        status=204,
        takes=RefreshInput,
    )
    def post(self, request: Request) -> Response:
        presented = _presented(request)
        has_access = "HTTP_AUTHORIZATION" in request.META or cookies.read_access(request._request) is not None
        if presented is None and not has_access:
            refuse_others_token(request)
        has_ended = signing_out.sign_out_presented(request._request, presented)
        # Django's own session ends as well, and its signal is sent.
        logout(request._request)
        if not has_ended:
            raise ProblemError(problems.TOKEN_EXPIRED)  # The cookies are deleted anyway.
        return Response(status=204)


class Reauthenticate(ApiView):
    """Reopens an idle session, too, whose user is not signed in. The refresh token says whose session it is."""

    def get_permissions(self) -> Sequence[Any]:
        found = token_settings()
        reopens = self.request.method == "POST" and (found.reopened_sets or found.requires_factor is not None)
        return () if reopens else super().get_permissions()

    @Operation(
        "Give the password again, or answer another factor: a new access token with a fresh `auth_time`.",
        *SIGNED_IN,
        problems.INVALID_CREDENTIALS,
        problems.FACTOR_REQUIRED,
        problems.TOO_MANY_PASSWORDS,
        answers=FactorOutput,
        takes=ReauthenticationInput,
    )
    def post(self, request: Request) -> HttpResponse:
        if request.user.is_authenticated:
            return self._answer(request, session.reauthenticate)
        with answering_for_idle(request, self.exchange):
            return self._answer(request, reopening.reopen)

    def _answer(self, request: Request, carry_out: Callable[[HttpRequest, Any], IssuedTokens | None]) -> HttpResponse:
        refuse_impersonation(request._request)
        given = valid(ReauthenticationInput, request)
        self.exchange.refresh_token = given.get("refresh_token")
        idle = self.exchange.reopenable
        if idle is not None and "method" in given and not may_answer(request.user, idle, given["method"]):
            raise ProblemError(problems.INVALID_CREDENTIALS)
        if "password" not in given and "answer" not in given:
            options = factors.begin(request._request, request.user, given["method"])
            return JsonResponse({"options": options}, headers=NO_STORE)
        issued = carry_out(request._request, answered(request, given, "password"))
        if issued is None:
            problem, more = reopenable.problem_of(request._request)
            raise ProblemError(problem, **more)
        return granted(issued)


class ServiceToken(ApiView):
    """Answers 404 unless SERVICE_AUDIENCE is set."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if not token_settings().service_audience:
            raise NotFound
        super().initial(request, *args, **kwargs)

    @Operation(
        "An access token for services. It is not valid at this API.",
        *SIGNED_IN,
        problems.NOT_FOUND,
        answers=ServiceTokenOutput,
    )
    def post(self, request: Request) -> Response:
        access = self.access
        current = queries.session_of(access) if access else None
        if access is None or current is None:
            raise ProblemError(problems.SESSION_ENDED)
        # A voucher is no refresh token: a copy of it must not get a token that outlives it.
        is_held = current.bound_at is None and possession.is_held(request._request, current)
        issued = service_tokens.issue(current, access, is_held=is_held)
        return Response(service_token_data(*issued), headers=NO_STORE)


class Me(ApiView):
    """Who is signed in. `accounts` adds a method."""

    @Operation("Who is signed in, and by which session.", *SIGNED_IN, answers=MeOutput)
    def get(self, request: Request) -> Response:
        if self.session_id is None:
            return Response(who_data(request.user, None, None))
        current = queries.live_sessions(request.user).filter(id=self.session_id).first()
        if current is None or not request.user.is_authenticated:
            raise ProblemError(problems.SESSION_ENDED)
        return Response(who_data(request.user, current, self.access))


class Sessions(ApiView):
    @Operation(
        "The user's live sessions, newest first.",
        *SIGNED_IN,
        problems.NOT_FOUND,
        answers=SessionsOutput,
        parameters=[Parameter("before", UUID, "The last session of the page before.")],
    )
    def get(self, request: Request) -> Response:
        sessions = queries.live_sessions(request.user)
        if before := request.query_params.get("before"):
            sessions = sessions.filter(id__lt=_session_id(before))
        page = list(sessions[: PAGE + 1])
        results = [session_data(row, self.session_id) for row in page[:PAGE]]
        return Response(
            {"results": results, "next": f"{request.path}?before={page[PAGE - 1].id}" if page[PAGE:] else None}
        )

    @Operation(
        "End all other sessions.",
        *PROVEN,
        problems.REAUTHENTICATION_REQUIRED,
        status=204,
        takes=ProofInput,
        name="auth_sessions_destroy_others",
    )
    def delete(self, request: Request) -> Response:
        session.sign_out_elsewhere(request._request, **self._proof_of_recent_sign_in())
        return Response(status=204)

    def _proof_of_recent_sign_in(self) -> Proof:
        """Return the proof in the body. Raise `ProblemError` unless the sign-in is recent, or a factor is answered."""
        proof = proof_of_delete(self.request)
        if "authenticated" not in proof and not (self.access and reauthentication.is_recent(self.access)):
            raise reauthentication_required(self.request)
        return proof


class Session(Sessions):
    http_method_names = ["patch", "delete", "options"]

    @Operation(
        "Name the device of one of the user's sessions.",
        *PROVEN,
        problems.NOT_FOUND,
        answers=SessionOutput,
        takes=DeviceNameInput,
    )
    def patch(self, request: Request, session_id: str) -> Response:
        row = self._session(session_id)
        given = valid(DeviceNameInput, request)
        session.rename_device(request._request, row, given["device_name"], **proof_of(request, given))
        return Response(session_data(row, self.session_id))

    @Operation(
        "End one of the user's sessions. The session of this request needs nothing in the body.",
        *PROVEN,
        problems.REAUTHENTICATION_REQUIRED,
        problems.NOT_FOUND,
        status=204,
        takes=ProofInput,
    )
    def delete(self, request: Request, session_id: str) -> Response:  # type: ignore[override]
        row = self._session(session_id)
        proof: Proof = {} if row.id == self.session_id else self._proof_of_recent_sign_in()
        session.revoke(request._request, row.id, **proof)
        return Response(status=204)

    def _session(self, session_id: str) -> RefreshToken:
        """Return one of the user's own sessions. Another user's is not found, exactly like one that does not exist."""
        row = queries.live_sessions(self.request.user).filter(id=_session_id(session_id)).first()
        if row is None:
            raise NotFound
        return row


class NotFoundView(Public):
    """Answers 404 for every other path under the API."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound


def signed_in(request: Request, user: Any, given: Mapping[str, Any]) -> JsonResponse:
    """Open a session for a user who has just authenticated, and return the response with its tokens.

    ``given`` is a valid `SignInInput`. Raise `ProblemError` if the user is not any more what they were, and what
    `tokens.web.operations.session.open_session` raises.
    """
    try:
        issued = session.open_session(
            request._request,
            user,
            mode=given["mode"],
            remember=given.get("remember", False),
            device_name=given.get("device_name", ""),
        )
    except UserChanged:
        raise ProblemError(problems.INVALID_CREDENTIALS) from None
    return granted(issued)


def granted(issued: IssuedTokens) -> JsonResponse:
    """Return the response that carries these tokens. It must not be stored (RFC 6749 section 5.1).

    A `JsonResponse`, because REST framework's content negotiation would take time, and the client may not choose the
    format.
    """
    return JsonResponse(token_response(issued), headers=NO_STORE)


def _presented(request: Request) -> Presented | None:
    """Return the refresh token of this request. One in the body takes precedence over the cookie."""
    has_body = request._request.META.get("CONTENT_LENGTH") not in {None, "", "0"}
    in_body = valid(RefreshInput, request).get("refresh_token") if has_body else None
    return Presented(in_body, IN_BODY) if in_body else cookies.read_refresh(request._request)


def _session_id(text: str) -> UUID:
    """Return the id that is written in its canonical form. `UUID` also accepts braces, and digits of other scripts."""
    with suppress(ValueError):
        if str(found := UUID(text)) == text:
            return found
    raise NotFound
