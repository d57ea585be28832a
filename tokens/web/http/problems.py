"""Problems: every error that a client sees, with its status and a stable code (RFC 9457).

Under ``/api/``, and for clients that ask for JSON, a problem is ``application/problem+json``::

    {"type": "about:blank", "title": "Unauthorized", "status": 401, "code": "session_ended",
     "detail": "The session has ended. Sign in again."}

``code`` is for programs. ``detail`` is for the user, in the language of the request. The response to a rejected refresh
token is always SESSION_ENDED, byte for byte the same whatever the reason. It is SESSION_IDLE if the token reopens its
session together with a factor.

Other requests from browsers get the page ``tokens/problem.html``, if the project has that template, and all others a
line of plain text.
"""

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from tokens.models import RefreshToken
from tokens.service import events
from tokens.service.addresses import no_such_account
from tokens.service.claims import ClaimsHookFailed
from tokens.service.revocation_feed import FeedUnavailable
from tokens.service.throttles import Throttled
from tokens.web.http.client import client_ip

DATABASE_DOWN = (OperationalError, InterfaceError, FeedUnavailable, ClaimsHookFailed)
"""The exceptions of a database, or a claims hook, that does not answer. The client can repeat the request."""
CONTENT_TYPE = "application/problem+json"
API_PREFIX = "/api/"
RETRY_AFTER = 2
"""Seconds after which a client should repeat a request that got 503."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error: the HTTP ``status``, the stable ``code``, and the ``detail`` for the user, in English.

    `text` translates the detail. ``scheme`` and ``challenge`` are the value of WWW-Authenticate. ``wait`` is the
    seconds of Retry-After, or 0.
    """

    status: HTTPStatus
    code: str
    detail: str
    challenge: str = ""
    scheme: str = "Bearer"
    wait: int = 0

    def as_json(self, **more: Any) -> dict[str, Any]:
        return {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "code": self.code,
            "detail": self.text,
            **more,
        }

    @property
    def text(self) -> str:
        """The detail in the active language."""
        return gettext(self.detail)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that the status requires (RFC 6750 section 3, RFC 9110 section 10.2.3)."""
        if self.status is HTTPStatus.UNAUTHORIZED:
            return {"WWW-Authenticate": f"{self.scheme} {self.challenge}".strip(), "Cache-Control": "no-store"}
        if self.wait:
            return {"Retry-After": str(self.wait), "Cache-Control": "no-store"}
        return {}


_CHALLENGE = 'error="invalid_token"'

NOT_AUTHENTICATED = Problem(HTTPStatus.UNAUTHORIZED, "not_authenticated", _("Sign in first."))
NOT_OUR_TOKEN = Problem(HTTPStatus.UNAUTHORIZED, "not_authenticated", _("Sign in first."), _CHALLENGE)
"""The same code and text, with the error ``invalid_token`` in WWW-Authenticate (RFC 6750 section 3.1)."""
TOKEN_EXPIRED = Problem(
    HTTPStatus.UNAUTHORIZED, "token_expired", _("The access token has expired. Refresh, and try again."), _CHALLENGE
)
SESSION_ENDED = Problem(
    HTTPStatus.UNAUTHORIZED, "session_ended", _("The session has ended. Sign in again."), _CHALLENGE
)
SESSION_IDLE = Problem(
    HTTPStatus.UNAUTHORIZED,
    "session_idle",
    _("The session was not used for a while. Enter your password to go on."),
    'error="insufficient_user_authentication", error_description="The session is idle"',
)
"""Only a client that has the session's refresh token, or its access token, is told so (RFC 9470 section 3)."""
FACTOR_MISSING = replace(
    SESSION_IDLE,
    detail=_("Your account needs one more step to go on."),
    challenge='error="insufficient_user_authentication", error_description="The session lacks a factor"',
)
"""The same code for a session that lacks a required factor: a client does the same."""
INVALID_CREDENTIALS = Problem(
    HTTPStatus.UNAUTHORIZED,
    "invalid_credentials",
    no_such_account(),
)
FACTOR_REQUIRED = Problem(HTTPStatus.UNAUTHORIZED, "factor_required", _("One more step is needed to sign in."))
FACTOR_REFUSED = Problem(
    HTTPStatus.UNAUTHORIZED, "factor_refused", _("That did not work. Try again, or sign in from the beginning.")
)
PASSKEY_UNKNOWN = Problem(
    HTTPStatus.UNAUTHORIZED, "passkey_unknown", _("This passkey is not known here any more. Sign in in another way.")
)
"""Only where it is certain: a client may then tell its authenticators to forget the passkey."""
SIGN_IN_REFUSED = Problem(HTTPStatus.FORBIDDEN, "sign_in_refused", _("You cannot sign in here."))
NO_FACTOR = replace(SIGN_IN_REFUSED, detail=_("One more step is needed to sign in, which is not possible here."))
INVALID_CLIENT = Problem(
    HTTPStatus.UNAUTHORIZED,
    "invalid_client",
    _("Send the client's id and secret with HTTP Basic authentication."),
    'realm="introspection", charset="UTF-8"',
    scheme="Basic",
)
CROSS_ORIGIN = Problem(HTTPStatus.FORBIDDEN, "cross_origin", _("This request came from a page of another origin."))
FORM_OUTDATED = Problem(
    HTTPStatus.FORBIDDEN, "form_outdated", _("This form has expired. Reload the page, and submit it again.")
)
PROOF_REQUIRED = Problem(HTTPStatus.FORBIDDEN, "proof_required", _("Sign the challenge with the device's key."))
REAUTHENTICATION_REQUIRED = Problem(
    HTTPStatus.FORBIDDEN, "reauthentication_required", _("Authenticate again, and repeat the request.")
)
REFRESH_TOKEN_REQUIRED = Problem(
    HTTPStatus.FORBIDDEN,
    "refresh_token_required",
    _("An access token is not enough for this. Send the session's refresh token too, or the current password."),
)
INSUFFICIENT = Problem(
    HTTPStatus.UNAUTHORIZED,
    "insufficient_user_authentication",
    _("Authenticate again for this, and repeat the request."),
    'error="insufficient_user_authentication"',
)
"""`tokens.web.operations.step_up` adds what is required (RFC 9470 section 3)."""
PERMISSION_DENIED = Problem(HTTPStatus.FORBIDDEN, "permission_denied", _("You may not do this."))
OUT_OF_REACH = replace(PERMISSION_DENIED, detail=_("This needs another factor than those of your account."))
MALFORMED = Problem(HTTPStatus.BAD_REQUEST, "malformed", _("The request could not be read."))
INVALID = Problem(HTTPStatus.BAD_REQUEST, "invalid", _("Some fields are not valid."))
INVALID_TOKEN = Problem(HTTPStatus.BAD_REQUEST, "invalid_token", _("This link is not valid. Request a new one."))
LINK_USED = Problem(HTTPStatus.BAD_REQUEST, "link_used", _("This link has been used already."))
WRONG_CODE = Problem(
    HTTPStatus.BAD_REQUEST, "wrong_code", _("This code is not right. Enter the one that your app shows now.")
)
PASSKEY_REFUSED = Problem(HTTPStatus.BAD_REQUEST, "passkey_refused", _("The passkey was not created. Try again."))
TOO_MANY_PASSKEYS = replace(
    PASSKEY_REFUSED, detail=_("This account has as many passkeys as it can have. Remove one first.")
)
LAST_FACTOR = Problem(
    HTTPStatus.CONFLICT, "last_factor", _("There would be no way left into your account. Set a password first.")
)
NOT_FOUND = Problem(HTTPStatus.NOT_FOUND, "not_found", _("There is nothing here."))
METHOD_NOT_ALLOWED = Problem(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", _("This method is not allowed here."))
LENGTH_REQUIRED = Problem(
    HTTPStatus.LENGTH_REQUIRED, "length_required", _("Send the length of the request body (Content-Length).")
)
PAYLOAD_TOO_LARGE = Problem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "payload_too_large", _("The request body is too large.")
)
UNSUPPORTED_MEDIA_TYPE = Problem(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", _("Send application/json.")
)
FORM_EXPECTED = Problem(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", _("Send application/x-www-form-urlencoded.")
)
ERROR = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "error", _("Something went wrong on our side."))
UNAVAILABLE = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "unavailable",
    _("The service is not available at the moment. Nothing is lost. Try again."),
    wait=RETRY_AFTER,
)
THROTTLED = Problem(
    HTTPStatus.TOO_MANY_REQUESTS, "throttled", _("Too many requests. Wait a while, and try again."), wait=RETRY_AFTER
)
TOO_MANY_PASSWORDS = replace(
    THROTTLED, detail=_("There were too many wrong passwords. Wait a while, or reset the password by e-mail.")
)


def of_reopenable(session: RefreshToken) -> Problem:
    """Return the problem of a session that a factor reopens. ``session`` has the database's clock."""
    return SESSION_IDLE if session.is_idle(session.now) else FACTOR_MISSING


def throttled(request: HttpRequest, error: Throttled) -> Problem:
    """Return the problem that says how long to wait, and log that the client was throttled."""
    events.log("throttled", name=error.name, wait=error.wait, ip=client_ip(request))
    problem = TOO_MANY_PASSWORDS if error.name.startswith("sign_in") else THROTTLED
    return replace(problem, wait=error.wait)


def wants_page(request: HttpRequest) -> bool:
    """Return whether a request wants a page: that of a browser, and not below the API."""
    return not request.path_info.startswith(API_PREFIX) and "text/html" in _accepted(request)


def refused(reason: str) -> Problem:
    """Return the problem of a sign-in that the policy refuses for this reason."""
    return replace(SIGN_IN_REFUSED, detail=reason)


def is_for_program(request: HttpRequest) -> bool:
    """Return whether a problem is answered in JSON."""
    # Programs that accept JSON often accept anything (axios: "application/json, text/plain, */*"). Browsers name HTML.
    accepted = _accepted(request)
    return request.path_info.startswith(API_PREFIX) or ("json" in accepted and "text/html" not in accepted)


def respond(request: HttpRequest, problem: Problem, **more: Any) -> HttpResponse:
    """Return the response for a problem: problem+json with ``more`` members, a page, or a line of plain text."""
    is_api = request.path_info.startswith(API_PREFIX)
    headers = problem.headers if is_api else {**problem.headers, "Vary": "Accept"}
    if is_for_program(request):
        return JsonResponse(problem.as_json(**more), status=problem.status, content_type=CONTENT_TYPE, headers=headers)
    page = _page(request, problem) if "text/html" in _accepted(request) else None
    kind = "text/plain" if page is None else "text/html"
    text = page or f"{problem.text}\n"
    return HttpResponse(text, status=problem.status, content_type=f"{kind}; charset=utf-8", headers=headers)


def _accepted(request: HttpRequest) -> str:
    # `request.accepts` raises an error for a header that it cannot parse.
    return request.headers.get("Accept", "").lower()


def _page(request: HttpRequest, problem: Problem) -> str | None:
    # Rendered without the request, so that the user is not loaded: the database may be down.
    try:
        return render_to_string("tokens/problem.html", {"problem": problem, "repeatable": request.method == "GET"})
    except TemplateDoesNotExist:
        return None
