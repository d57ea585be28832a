"""Carries out, after a view, what it has asked of `django.contrib.auth`: a sign-in, a sign-out, a new password.

This happens after the view, and so outside of ``ATOMIC_REQUESTS``.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY
from django.http import HttpRequest

from tokens.conf import token_settings
from tokens.models import RefreshToken
from tokens.protocol.access_tokens import AccessToken
from tokens.service import revocation, user_changes
from tokens.service.users import UserChanged
from tokens.web import sign_in_policy
from tokens.web.django import django_session, expiry
from tokens.web.exchange import Clear, Exchange, required_exchange
from tokens.web.flow import Flow
from tokens.web.http.client import client_of
from tokens.web.operations import signing_out
from tokens.web.sign_in_policy import SignInRefused


def carry_out(request: HttpRequest, exchange: Exchange) -> Flow[None]:
    """Carry out what the view has asked of `django.contrib.auth`. It takes precedence over the middleware's tokens."""
    if _has_signed_out(request, exchange):
        yield partial(signing_out.sign_out, request, exchange)
    if exchange.signed_in is not None:
        yield partial(_open_session, request, exchange.signed_in)
    elif not exchange.is_opened_by_view:
        yield from _follow_password_change(request, exchange)


def carry_out_after_error(request: HttpRequest, exchange: Exchange) -> Flow[None]:
    """Carry out what the view has asked for, except a sign-in."""
    if _has_signed_out(request, exchange):
        yield partial(signing_out.sign_out, request, exchange)
    if exchange.is_opened_by_view:
        # A session that continues another one is no sign-in. Without its cookies its user would be signed out.
        if exchange.issued is not None and not exchange.issued.continues:
            yield partial(_withdraw, request, exchange)
    elif exchange.signed_in is None:
        yield from _follow_password_change(request, exchange)


def _has_signed_out(request: HttpRequest, exchange: Exchange) -> bool:
    """Return whether the view has signed out the user, and its sessions are still to be ended."""
    if exchange.signed_out:
        return exchange.clear is not Clear.SIGNED_OUT  # Our own endpoint has ended them before it has called `logout`.
    return _has_flushed(request, exchange)


def _has_flushed(request: HttpRequest, exchange: Exchange) -> bool:
    """Return whether the view has signed out the user by emptying Django's session, without Django's ``logout``."""
    if exchange.access is None or exchange.session_replaced or exchange.clear is not None:
        return False
    if exchange.signed_in is not None or exchange.refused is not None or exchange.is_opened_by_view:
        return False
    return django_session.was_flushed(request, exchange.access)


def _follow_password_change(request: HttpRequest, exchange: Exchange) -> Flow[None]:
    if exchange.access and not exchange.signed_out and (session_hash := _session_hash(request)):
        yield partial(_keep_session, request, exchange.access, session_hash)


def _session_hash(request: HttpRequest) -> str | None:
    """Return the session auth hash in Django's session, if the view has changed that session.

    Django sends no signal when a view changes a password, but `update_session_auth_hash` writes this value.
    """
    found = getattr(request, "session", None)
    return found.get(HASH_SESSION_KEY) if found is not None and found.modified else None


def _open_session(request: HttpRequest, user: Any) -> None:
    """Open a session for a user whom a view has signed in with `django.contrib.auth.login`.

    If the user is not any more what they were when they authenticated, nobody is signed in, in Django's session either.
    """
    exchange = required_exchange(request)
    remember = not request.session.get_expire_at_browser_close()
    mode = token_settings().mode_of_pages
    try:
        backend, lasts = request.session.get(BACKEND_SESSION_KEY, ""), expiry.lasts(request.session)
        admitted = exchange.admitted
        if admitted is None or admitted.user.pk != user.pk:  # Whatever has noted the sign-in, the policy is asked.
            admitted = sign_in_policy.admit(request, user, exchange.proved)
        # A view may have added methods since.
        admitted = replace(admitted, proved={**admitted.proved, **exchange.proved})
        issued = sign_in_policy.open_admitted(
            admitted, client_of(request), mode=mode, remember=remember, backend=backend, lasts=lasts
        )
    except (UserChanged, SignInRefused):
        request.session.flush()
        return
    exchange.issue(issued)
    django_session.note_opened(request, issued.session.id)
    expiry.note(request.session)


def _keep_session(request: HttpRequest, access: AccessToken, session_hash: str) -> None:
    """Keep the session of a request whose view has changed the password, and end the user's other sessions.

    ``session_hash`` is what `django.contrib.auth.update_session_auth_hash` wrote to Django's session. If the change has
    ended this session already, because another process has read of it first, a new session takes its place.
    """
    issued = user_changes.follow_password_change(access.subject, access.session_id, session_hash, client_of(request))
    if issued is not None:
        required_exchange(request).issue(issued)
        django_session.note_opened(request, issued.session.id)


def _withdraw(request: HttpRequest, exchange: Exchange) -> None:
    """End the session that the view has opened, because the response does not carry its tokens."""
    if exchange.issued is not None:
        sessions = RefreshToken.objects.filter(id=exchange.issued.session.id)
        revocation.revoke(sessions, RefreshToken.Reason.SIGNED_OUT, client=client_of(request), note="failed")
        exchange.issued = None
