"""The middleware: authenticates a request by its access token, and refreshes when that has expired.

It replaces `django.contrib.auth.middleware.AuthenticationMiddleware`, and is a subclass of it. In MIDDLEWARE it stands
after `SessionMiddleware`. Before the view it asks `tokens.web.incoming` whose request it is. After the view it asks
`tokens.web.outgoing` for the response's cookies.
"""

from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.middleware import AuthenticationMiddleware, RemoteUserMiddleware
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from tokens.conf import token_settings
from tokens.hashers import Busy
from tokens.service.claims import ClaimsHookFailed
from tokens.service.possession import RefreshTokenRequired
from tokens.service.throttles import Throttled
from tokens.service.users import SessionEnded
from tokens.web import bodies, incoming, outgoing, possession, tenants
from tokens.web.django import deferred
from tokens.web.exchange import attach, peek, refuse_impersonation, required_exchange
from tokens.web.factors import StrongerRequired
from tokens.web.flow import arun, run
from tokens.web.http import cookie_names, problems
from tokens.web.http.client import distrust_scheme
from tokens.web.http.origins import is_unsafe
from tokens.web.http.problems import DATABASE_DOWN
from tokens.web.operations import reopenable
from tokens.web.sign_in_policy import SignInRefused


class TokenMiddleware(AuthenticationMiddleware):
    """Works for WSGI and ASGI. Both run the same two flows, one before the view and one after it."""

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        token_settings()  # A server with wrong settings must not start.
        self._has_tenants = token_settings().tenant_of is not None
        # A view may have selected the schema of another tenant when it asks for the user.
        self._may_defer = deferred.project_allows() and not self._has_tenants
        # Under ASGI, Django's RemoteUserMiddleware reads the session that Django's own middleware has loaded before.
        self._loads_session = self.async_mode and any(map(_is_for_remote_users, settings.MIDDLEWARE))
        self._follows_monitoring = "tokens.monitoring.middleware" in settings.MIDDLEWARE  # It distrusts the scheme.

    def __call__(self, request: HttpRequest) -> Any:
        if self.async_mode:
            return self.__acall__(request)
        if not self._follows_monitoring:
            distrust_scheme(request)
        cookie_names.join_headers(request)
        tenant = tenants.enter(request) if self._has_tenants else None
        exchange, arrival = attach(request), incoming.UNANSWERED
        try:
            if not incoming.authenticate_known(request, exchange):
                arrival = run(incoming.authenticate(request, exchange, may_defer=self._may_defer))
            response: Any = arrival.response or bodies.refuse_form(request)
            if response is None:
                response = self.get_response(request)
            if exchange.deferred is not None:
                exchange.deferred.close()
            if outgoing.is_needed(request, exchange, arrival):
                response = run(outgoing.finish(request, exchange, arrival, response))
            return outgoing.describe_audience(request, exchange, arrival, response)
        finally:
            if exchange.refused_writes is not None:
                exchange.refused_writes.is_on = False  # The request was cancelled.
            if tenant is not None:
                tenants.leave(tenant)

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        if not self._follows_monitoring:
            distrust_scheme(request)
        cookie_names.join_headers(request)
        tenant = tenants.enter(request) if self._has_tenants else None
        exchange, arrival = attach(request), incoming.UNANSWERED
        try:
            if not incoming.authenticate_known(request, exchange):
                arrival = await arun(incoming.authenticate(request, exchange))
            if self._loads_session:
                await request.session.aget(SESSION_KEY)
            response: Any = arrival.response or bodies.refuse_form(request)
            if response is None:
                response = await self.get_response(request)  # type: ignore[misc]
            if outgoing.is_needed(request, exchange, arrival):
                response = await arun(outgoing.finish(request, exchange, arrival, response))
            return outgoing.describe_audience(request, exchange, arrival, response)
        finally:
            if exchange.refused_writes is not None:
                exchange.refused_writes.is_on = False  # The request was cancelled.
            if tenant is not None:
                tenants.leave(tenant)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """Before the admin changes anything, check the row of the session, and that the client holds the session.

        If a check fails, the user is treated as anonymous, and the admin redirects to its sign-in page. That page is
        checked too, because it redirects a signed-in user back. If the access token is for services, every page of the
        admin is checked. An impersonation changes nothing in the admin. Before an async view, Django's session is
        examined if that was deferred.
        """
        exchange = peek(request)
        if exchange.deferred is not None and iscoroutinefunction(view):
            exchange.deferred.resolve()
        match = request.resolver_match
        if match is None or "admin" not in match.app_names:
            return
        access = required_exchange(request).access
        is_for_services = access is not None and access.for_services
        if not is_unsafe(request) and match.url_name != "login" and not is_for_services:
            return
        possession.treat_as_anonymous(request, needs_proof=match.url_name != "logout" or is_for_services)
        if is_unsafe(request) and match.url_name != "logout":
            # The admin's log would name the user, and not the actor.
            refuse_impersonation(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer for a view that could not check a password or read a body, or that may not change the account."""
        if isinstance(exception, RequestDataTooBig):
            return problems.respond(request, problems.PAYLOAD_TOO_LARGE)
        if isinstance(exception, Throttled):
            return problems.respond(request, problems.throttled(request, exception))
        if isinstance(exception, SessionEnded):
            problem, more = reopenable.problem_of(request)
            return problems.respond(request, problem, **more)
        if isinstance(exception, SignInRefused):
            return HttpResponseForbidden()  # `tokens.web.operations.refusals` replaces it.
        if isinstance(exception, RefreshTokenRequired):
            return problems.respond(request, problems.REFRESH_TOKEN_REQUIRED)
        if isinstance(exception, StrongerRequired):
            return problems.respond(request, problems.REAUTHENTICATION_REQUIRED, **exception.more)
        if isinstance(exception, Busy | ClaimsHookFailed) or (
            isinstance(exception, DATABASE_DOWN) and deferred.has_failed(peek(request))
        ):
            return problems.respond(request, problems.UNAVAILABLE)
        return None


def _is_for_remote_users(path: str) -> bool:
    found = import_string(path)
    return isinstance(found, type) and issubclass(found, RemoteUserMiddleware)
