"""Whose request it is. The first of these that applies decides::

    a body that is too large    answered 413, before anybody is authenticated (`tokens.web.bodies`)
    a Bearer token of ours      decides who it is, and cookies are ignored
    a session that another      if it is not the session of the cookie, and somebody is signed in to it: that user is
    middleware has put there    ``request.user``, as in Django
    an access cookie            verified, and its session is not revoked: authenticated without a query. One that was
                                verified before takes a short way (`authenticate_known`)
    a refresh cookie, and
    a page of another origin    not refreshed: a navigation gets a page that refreshes
                                (`tokens.web.http.cross_site_page`), anything else is anonymous, with the reason that
                                the access token has expired
    a refresh cookie            the session is refreshed (`tokens.service.refreshing`): authenticated
    none of them                anonymous: the exchange holds the reason, and the view decides what to answer

A Bearer token is ours if it says so: it is a JWT of our type with our issuer (`Codec.claims_to_be_ours`). Any other one
is for another package, such as django-oauth-toolkit. As in Django, ``request.user`` is then who the cookies say, and
all rules for requests with cookies hold, the check of the origin too.

Which pages are of another origin is said by `tokens.web.http.origins`. An unsafe request of theirs is rejected. They
can cancel each request before its response arrives, so none of them may rotate.

At the auth API an access token for services counts only if it comes in a cookie, and a refresh token of the same
session comes with it. That refresh token must be of the same or a later generation, or be one that a refresh would
accept.

A sign-in that only Django's session knows becomes a session of ours (`django_sign_in`), also if the cookies have
authenticated an earlier one. If the session of the request has ended, Django's session is deleted before the view runs.

Sessions that are bound to their device (`tokens.protocol.dbsc`) are refreshed by the browser itself, before it sends
the request. For them there are two more cases. A stale access cookie, which is rejected although the browser considers
it valid, is deleted, and the browser is redirected to the same URL: it refreshes on the way. A browser that could not
refresh says so in a header: the user stays anonymous, but gets 503 instead of the page to sign in.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from time import time
from typing import NamedTuple

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_variables

from tokens import metrics
from tokens.conf import SUBDOMAIN, codec, codec_of, tenants, token_settings
from tokens.protocol import dbsc
from tokens.protocol.access_tokens import AccessToken, ExpiredAccessToken, InvalidAccessToken
from tokens.service import acknowledgements, possession, queries
from tokens.service.issuing import IssuedTokens
from tokens.service.refreshing import Refusal, is_token_of, refresh
from tokens.service.revocation_feed import feed, feed_of
from tokens.web import bodies
from tokens.web.django import deferred, django_session, django_sign_in
from tokens.web.django.deferred import Deferred
from tokens.web.django.in_transaction import find_user
from tokens.web.django.session_cookie import is_replaced
from tokens.web.exchange import Exchange
from tokens.web.flow import Flow
from tokens.web.http import cookies, cross_site_page, problems
from tokens.web.http.bearer import bearer_token
from tokens.web.http.client import presenting_client
from tokens.web.http.origins import is_cross_origin, is_unsafe
from tokens.web.http.paths import handles_refresh_token, is_auth_api, is_for_device, is_navigation, is_refresh
from tokens.web.http.problems import DATABASE_DOWN, Problem
from tokens.web.request_user import auser, set_user, user_of

metrics.start_at_zero(metrics.SKIPPED, *((reason,) for reason in sorted({*dbsc.SKIP_REASONS, dbsc.OTHER})))


class Arrival(NamedTuple):
    """What became of a request before its view.

    ``response`` answers it without the view, or is None. ``is_stale`` says that its access cookie has to be deleted.
    ``from_other_origin``: its session was not refreshed because a page of another origin has sent the request.
    """

    response: HttpResponse | None = None
    is_stale: bool = False
    from_other_origin: bool = False


UNANSWERED = Arrival()
"""The request goes on to its view, and its access cookie stays."""


def authenticate_known(request: HttpRequest, exchange: Exchange) -> bool:
    """Authenticate a request by an access cookie that this process has verified before, if possible.

    Return whether that was possible. Nearly all requests are like this. The function does what `authenticate` does in
    the case that needs no query and rejects nothing. In every other case it does nothing, and `authenticate` starts
    from the beginning.
    """
    if "HTTP_AUTHORIZATION" in request.META or (text := cookies.read_access(request)) is None:
        return False
    now, tenant = time(), tenants.current()
    token = codec_of(tenant).remembered(text, now)
    if (
        token is None
        or token.while_open
        or (token.for_services and is_auth_api(request))
        or (feed_of(tenant) if tenant else feed).knows_revoked(token.session_id, token.subject) is not False
        or (is_unsafe(request) and is_cross_origin(request))
        or django_session.may_have_another_user(request, token)
        or (request.META.get("CONTENT_LENGTH") and bodies.is_too_large(request))
    ):
        return False
    acknowledgements.note(token, now)
    exchange.access = token
    set_user(request, exchange)
    return True


def authenticate(request: HttpRequest, exchange: Exchange, *, may_defer: bool = False) -> Flow[Arrival]:
    """Find out whose request it is, and set ``request.user``, ``request.auser`` and ``request.auth``.

    ``may_defer``: whether Django's session may be examined when the view asks for it (`tokens.web.django.deferred`).
    """
    if bodies.is_too_large(request):
        # Nothing is refreshed: the server may close the connection before the client reads the response.
        bodies.log_too_large(request)
        set_user(request, exchange)
        return Arrival(problems.respond(request, problems.PAYLOAD_TOO_LARGE))
    found = _ByCookies()
    try:
        bearer = bearer_token(request)
        if bearer is not None and codec().claims_to_be_ours(bearer):
            exchange.by_bearer = True
            if (yield from _is_only_for_services(bearer, request, in_cookie=False)):
                exchange.problem = problems.NOT_OUR_TOKEN
            else:
                yield from _verify(bearer, exchange)
            if django_session.may_have_another_user(request, exchange.access):
                yield partial(django_session.put_aside_unless_own, request, exchange)
        else:
            found = yield from _authenticate_by_cookies(request, exchange, may_defer=may_defer)
            if bearer is not None and exchange.problem is problems.NOT_AUTHENTICATED:
                exchange.problem = problems.NOT_OUR_TOKEN
    except DATABASE_DOWN:
        found = found._replace(rejected=problems.UNAVAILABLE)
    set_user(request, exchange)
    if found.later is not None:
        examine = partial(_examine, exchange, found.later.examine)
        Deferred(request, exchange, examine, found.later.find_user, partial(user_of, request, exchange))
        request.auser = partial(auser, request.user)
    response = None
    if found.rejected is not None:
        response = problems.respond(request, found.rejected)
    elif found.from_other_origin and cross_site_page.is_harmless_navigation(request):
        response = cross_site_page.page(request)
    elif found.is_stale and (is_navigation(request) or is_refresh(request)):
        response = cookies.retry_without_access(request)
    return Arrival(response, found.is_stale, found.from_other_origin)


class _Later(NamedTuple):
    """How Django's session is examined when the view asks for it, outside of its transactions and in one."""

    examine: Callable[[], IssuedTokens | None]
    find_user: Callable[[], bool]


class _ByCookies(NamedTuple):
    """What the cookies of a request lead to.

    ``rejected``: why the request is rejected, or None. ``later``: what is done when the view asks for the session. The
    others are those of `Arrival`.
    """

    rejected: Problem | None = None
    is_stale: bool = False
    from_other_origin: bool = False
    later: _Later | None = None


def _authenticate_by_cookies(request: HttpRequest, exchange: Exchange, *, may_defer: bool) -> Flow[_ByCookies]:
    if (yield from _is_of_another_session(request)):
        exchange.by_session = True
        return _ByCookies(problems.CROSS_ORIGIN if is_unsafe(request) and is_cross_origin(request) else None)
    is_stale, sent = False, cookies.read_access(request)
    access = sent
    if access and (yield from _is_only_for_services(access, request, in_cookie=True)):
        access = None
    if access:
        yield from _verify(access, exchange)
        if exchange.access and exchange.access.while_open and not cookies.is_open(request):
            exchange.access, exchange.problem, exchange.has_ended = None, problems.SESSION_ENDED, True
    presented = None if exchange.access else cookies.read_refresh(request)
    if access and exchange.access is None and presented is None:
        is_stale = yield from _is_stale(access, request, exchange)
    # These views say by themselves whether the session has ended, and do not use Django's session.
    left_to_view = is_for_device(request) or (presented is not None and is_refresh(request))
    if presented and handles_refresh_token(request):
        presented = None
    if (exchange.access or presented) and is_unsafe(request) and is_cross_origin(request):
        return _ByCookies(problems.CROSS_ORIGIN, is_stale)
    if presented and is_cross_origin(request):
        exchange.problem = problems.TOKEN_EXPIRED
        if not cross_site_page.is_harmless_navigation(request) and django_session.may_have_another_user(request, None):
            yield partial(django_session.put_aside_unless_own, request, exchange)
        return _ByCookies(None, is_stale, from_other_origin=True)
    later = None
    if presented:
        answer = yield partial(_refresh, presented, request)
        if isinstance(answer, Refusal):
            is_stale = _note_refusal(answer, request, exchange)
        else:
            _note_issued(answer, exchange)
    if not left_to_view and django_session.may_have_another_user(request, exchange.access):
        may_open = not is_cross_origin(request) or cross_site_page.is_harmless_navigation(request)
        examine = partial(django_session.examine, request, exchange, may_open=may_open)
        if (
            may_defer
            and sent is None
            and presented is None
            and "HTTP_SECURE_SESSION_SKIPPED" not in request.META
            and deferred.session_allows(request.session)
        ):
            later = _Later(examine, partial(find_user, request, exchange, may_open=may_open))
        elif issued := (yield examine):
            _note_issued(issued, exchange)
            is_stale = False
    if exchange.access is None and (why := request.META.get("HTTP_SECURE_SESSION_SKIPPED")) is not None:
        # The client sets this header, so it proves nothing about who is asking.
        metrics.SKIPPED.labels(dbsc.skip_reason(why)).inc()
        exchange.skipped, exchange.problem = True, problems.UNAVAILABLE
    return _ByCookies(None, is_stale, later=later)


def _is_of_another_session(request: HttpRequest) -> Flow[bool]:
    """Return whether the session that another middleware has put on the request decides who the user is."""
    if not is_replaced(request) or not (yield partial(request.session.has_key, SESSION_KEY)):
        return False
    yield partial(django_sign_in.delete_if_revoked, request.session)
    return True


@sensitive_variables()
def _refresh(presented: cookies.Presented, request: HttpRequest) -> IssuedTokens | Refusal:
    text, modes, old_name, others = presented
    return refresh(text, modes, presenting_client(request), old_name=old_name, others=others)


def _is_only_for_services(text: str, request: HttpRequest, *, in_cookie: bool) -> Flow[bool]:
    """Return whether an access token, which may have expired, is for services and does not count here.

    Below the auth API it would open the user's account to each service that sees it. There it counts only beside a
    refresh token of its session, in the cookie of mode ``subdomain``, which no service sees. An old refresh token
    counts for the access tokens of its time only, which soon expire. A token without a generation needs a query.
    """
    if not token_settings().service_audience or not is_auth_api(request):
        return False
    try:
        token = codec().loads_expired(text)
    except InvalidAccessToken:
        return False
    if not token.for_services:
        return False
    beside = cookies.read_refresh_of(request, token.session_id) if in_cookie else None
    if beside is None or SUBDOMAIN not in beside.modes:
        return True
    if token.generation is not None and is_token_of(beside.text, token.session_id, since=token.generation):
        return False
    return not (yield partial(_is_of_holder, token, beside))


@sensitive_variables()
def _is_of_holder(token: AccessToken, beside: cookies.Presented) -> bool:
    """Return whether the refresh token beside an access token would not be rejected now."""
    session = queries.session_of(token)
    return session is not None and possession.is_token_of(
        session, session.now, beside.text, beside.modes, old_name=beside.old_name
    )


def _verify(text: str, exchange: Exchange) -> Flow[None]:
    """Verify an access token, and note that its use acknowledges its generation.

    This needs no query, except when the revocation feed is due to be read.
    """
    now = datetime.now(UTC)
    try:
        token = codec().loads(text, now)
    except ExpiredAccessToken:
        exchange.problem = problems.TOKEN_EXPIRED
        return
    except InvalidAccessToken:
        exchange.problem = problems.NOT_OUR_TOKEN
        return
    of_tenant = feed_of(tenants.current())
    is_revoked = of_tenant.knows_revoked(token.session_id, token.subject)
    if is_revoked is None:
        is_revoked = yield partial(of_tenant.is_revoked, token.session_id, token.subject)
    if is_revoked:
        exchange.problem, exchange.has_ended = problems.SESSION_ENDED, True
    else:
        acknowledgements.note(token, now.timestamp())
        exchange.access = token


def _is_stale(access: str, request: HttpRequest, exchange: Exchange) -> Flow[bool]:
    """Return whether an access cookie that came alone, and was rejected, keeps the browser from refreshing.

    A browser refreshes a bound session only when the access cookie is missing. Without the cookie it refreshes, and
    gets another one or learns that the session has ended. If a newer sign-in has replaced the cookie meanwhile, its
    deletion costs one refresh.
    """
    if not token_settings().offers_binding or not (is_navigation(request) or is_auth_api(request)):
        return False
    if exchange.problem in {problems.NOT_OUR_TOKEN, problems.SESSION_ENDED}:
        return True
    if exchange.problem is problems.TOKEN_EXPIRED:
        # The cookie of a bound session expires before its token, unless the browser's clock was set back.
        token = codec().loads_expired(access)
        return token.generation is None and bool((yield partial(queries.bound_session, token.session_id)))
    return False


def _examine(exchange: Exchange, examine: Callable[[], IssuedTokens | None]) -> None:
    if issued := examine():
        _note_issued(issued, exchange)


def _note_issued(issued: IssuedTokens, exchange: Exchange) -> None:
    exchange.issue(issued)
    exchange.access, exchange.issued_before_view = issued.access, True


def _note_refusal(refusal: Refusal, request: HttpRequest, exchange: Exchange) -> bool:
    """Note that the refresh token was rejected. Return whether the access cookie is stale."""
    exchange.problem = problems.TOKEN_EXPIRED if refusal.late else problems.SESSION_ENDED
    exchange.bound = refusal.bound
    if refusal.reopenable is not None:
        exchange.reopenable, exchange.problem = refusal.reopenable, problems.of_reopenable(refusal.reopenable)
    exchange.has_ended = refusal.definite and refusal.bound is None
    # Other requests leave the cookies alone: a page sends several at once, and some responses arrive late.
    if not (is_navigation(request) or is_auth_api(request)):
        return False
    if refusal.bound:
        # An expired access cookie keeps the browser from refreshing.
        return cookies.read_access(request) is not None
    if refusal.definite:
        exchange.reject()
    return False
