"""Impersonation in a request: it begins, and it ends. `tokens.service.impersonation` says what holds."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest
from django.middleware.csrf import rotate_token

from tokens.conf import codec
from tokens.protocol.access_tokens import InvalidAccessToken
from tokens.service import impersonation, refreshing
from tokens.service.impersonation import ImpersonationRefused
from tokens.service.issuing import IssuedTokens
from tokens.service.opening import NOTHING
from tokens.web import sign_in_policy
from tokens.web.django import django_session
from tokens.web.exchange import Exchange, exchange_of, required_exchange
from tokens.web.http import cookies
from tokens.web.http.client import client_of
from tokens.web.http.origins import is_cross_origin, is_unsafe
from tokens.web.lazy_user import primary_key
from tokens.web.request_user import set_user
from tokens.web.sign_in_policy import SignInRefused


def impersonate(request: HttpRequest, user: Any) -> None:
    """Let the person of this request use the account of ``user``, from this request on.

    **The caller decides who may impersonate whom**, and has to check that before, for example by a permission. Only
    this is refused always: a superuser as the target of somebody else, an inactive user, oneself, an impersonation in
    an impersonation, and a session whose tokens are not in cookies. Then `ImpersonationRefused` is raised, which is a
    `django.core.exceptions.PermissionDenied`, and nothing is changed. Raise `SessionEnded` if the session of the
    request has ended.
    """
    _sign_in_to_django(request, begin(request, user))


def release(request: HttpRequest) -> None:
    """End the impersonation of this request. The actor goes on as before, with the ``auth_time`` of before.

    Raise `ImpersonationRefused` if the request's session is no impersonation, and `SessionEnded` if it has ended. If
    the response is lost, a second request with the same cookies gets the same answer within REUSE_GRACE, although it is
    not authenticated any more.
    """
    _sign_in_to_django(request, end(request))


def begin(request: HttpRequest, user: Any) -> IssuedTokens:
    """Do what `impersonate` does, except in Django's session."""
    exchange = required_exchange(request)
    if exchange.access is None:
        raise ImpersonationRefused
    _ask(request, exchange, user)
    actor_key = primary_key(exchange.access.subject)
    issued = impersonation.begin(actor_key, exchange.access.session_id, user.pk, client_of(request))
    return _carry(request, issued)


def check_begin(request: HttpRequest, user_key: Any) -> None:
    """Raise what `begin` raises, and lock what it locks. Django's ``login`` of this user is then no sign-in."""
    exchange = required_exchange(request)
    access = exchange.access
    if access is None:
        raise ImpersonationRefused
    client = client_of(request)
    _, user, _ = impersonation.lock_to_begin(primary_key(access.subject), access.session_id, user_key, client)
    _ask(request, exchange, user)
    exchange.continues_as = user.pk


def check_device(request: HttpRequest) -> None:
    """Raise `ImpersonationRefused` unless the request is an impersonation, and has the device cookie of the actor.

    Django's ``login`` of the actor is then no sign-in.
    """
    exchange = required_exchange(request)
    access = exchange.access
    if access is None:
        raise ImpersonationRefused
    impersonation.check_device(access.session_id, client_of(request))
    exchange.continues_as = actor_id(request)


def _ask(request: HttpRequest, exchange: Exchange, user: Any) -> None:
    """Ask the policy whether the person of this request may use the account of a user, once in a request."""
    if exchange.continues_as is None or exchange.continues_as != user.pk:
        try:
            sign_in_policy.admit(request, user, NOTHING, actor=request.user)
        except SignInRefused:
            raise ImpersonationRefused from None


def end(request: HttpRequest) -> IssuedTokens:
    """Do what `release` does, except in Django's session."""
    access = required_exchange(request).access
    if access is None:
        return _carry(request, _end_again(request))
    if access.actor is None:
        raise ImpersonationRefused
    return _carry(request, impersonation.end(access.session_id, client_of(request)))


def _end_again(request: HttpRequest) -> IssuedTokens:
    """End an impersonation that has ended already. The middleware has rejected its tokens for this reason."""
    client = client_of(request)
    if required_exchange(request).by_bearer or (is_unsafe(request) and is_cross_origin(request)):
        raise ImpersonationRefused
    if access := cookies.read_access(request):
        with suppress(InvalidAccessToken):
            return impersonation.end_again(codec().loads(access, datetime.now(UTC)).session_id, client)
    for text, modes, old_name, others in cookies.all_refresh(request):
        found = refreshing.choose_by_device([text, *(others or ())], client)
        if session_id := refreshing.presented_session(found, modes):
            return impersonation.end_again(session_id, client, text=found, modes=modes, old_name=old_name)
    raise ImpersonationRefused


def actor_id(request: Any) -> Any:
    """Return the primary key of the person who impersonates the user of this request. None: nobody does."""
    exchange = exchange_of(request)
    actor = exchange.access.actor if exchange is not None and exchange.access is not None else None
    return None if actor is None else primary_key(actor)


def _carry(request: HttpRequest, issued: IssuedTokens) -> IssuedTokens:
    """Let the response carry these tokens, and the rest of the view see their user."""
    exchange = required_exchange(request)
    exchange.signed_in = None  # A view may also have called `django.contrib.auth.login`.
    exchange.issue(issued)
    exchange.access = issued.access
    set_user(request, exchange)
    return issued


def _sign_in_to_django(request: HttpRequest, issued: IssuedTokens) -> None:
    django_session.sign_in(request, issued.user)
    django_session.note_opened(request, issued.session.id)
    rotate_token(request)
