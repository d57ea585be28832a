"""Asks the policy inside of `django.contrib.auth.login`, and stops the view if it refuses.

`login` writes to Django's session, and then sends a signal. The policy is asked before the first receiver gets that
signal (`install`), so none of them notes a sign-in that is refused: not Django's, which writes ``last_login``, not
those of other packages, and not the project's. Signals call their receivers in the order in which they were connected,
and async ones at the same time. So no receiver could be sure to come first.

If the sign-in is refused, what ``login`` has done is undone: Django's session is flushed, and the user is anonymous.
Then an exception stops the view. If the view catches it, nothing is opened nevertheless, transactions are rolled back,
further statements that write raise the exception again, and the middleware replaces the response. What the view has
committed before it called ``login`` stays.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib.auth import BACKEND_SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in

from tokens.conf import token_settings
from tokens.database import refusing
from tokens.database.refusing import RefusedWrites
from tokens.service.opening import Proved
from tokens.web import methods, sign_in_policy, tenants
from tokens.web.django import expiry, withheld_session
from tokens.web.exchange import Exchange, exchange_of

_GUARDED = "_tokens_guarded"


@dataclass(frozen=True, slots=True)
class SessionToOpen:
    """What a session would have been opened with if the policy had not asked for more.

    ``lasts`` is that of `tokens.service.opening`. ``session_id`` and ``began`` are those of the pending sign-in that
    this one goes on from, if it does.
    """

    user: Any
    proved: Proved
    mode: str
    remember: bool
    device_name: str = ""
    backend: str = ""
    lasts: timedelta | None = None
    session_id: UUID | None = None
    began: int | None = None


def install() -> None:
    """Let Django's signal of a sign-in ask the policy before it calls a receiver."""
    for name in ("send", "send_robust", "asend", "asend_robust"):
        send = getattr(user_logged_in, name)
        if not hasattr(send, _GUARDED):
            guarded = _guarded_async(send) if name.startswith("a") else _guarded(send)
            setattr(guarded, _GUARDED, True)
            setattr(user_logged_in, name, guarded)


def _guarded(send: Any) -> Any:
    @wraps(send)
    def guarded(sender: Any, *, request: Any = None, user: Any = None, **named: Any) -> Any:
        if token_settings().restricts_sign_ins:
            check_login(request, user)
        return send(sender, request=request, user=user, **named)

    return guarded


def _guarded_async(send: Any) -> Any:
    @wraps(send)
    async def guarded(sender: Any, *, request: Any = None, user: Any = None, **named: Any) -> Any:
        if token_settings().restricts_sign_ins:
            await sync_to_async(check_login)(request, user)
        return await send(sender, request=request, user=user, **named)

    return guarded


def check_login(request: Any, user: Any) -> None:
    """Ask the policy about a user who was signed in to Django's session. Undo that, and raise, unless it admits them.

    A request without a session of Django's signs nobody in.
    """
    exchange = exchange_of(request)
    if exchange is not None and exchange.is_over:
        exchange = None
    if user is None or (exchange is None and not hasattr(request, "session")):
        return
    if exchange is not None and _is_admitted(exchange, user):
        return
    session = getattr(request, "session", None)
    try:
        with tenants.entered(request):
            if exchange is not None and exchange.refused is not None:
                raise exchange.refused
            proved = methods.of_sign_in(request, user)
            admitted = sign_in_policy.admit(request, user, proved)
            if exchange is None:
                methods.note(request, user, proved)  # Without our middleware it can be read once only.
    except Exception as error:
        if exchange is not None:
            remember = session is None or not session.get_expire_at_browser_close()
            backend = session.get(BACKEND_SESSION_KEY, "") if session is not None else ""
            lasts = expiry.lasts(session) if session is not None else None
            mode = token_settings().mode_of_pages
            note_refusal(
                exchange, error, lambda: SessionToOpen(user, proved, mode, remember, backend=backend, lasts=lasts)
            )
        _undo(request)
        if exchange is not None:
            refusing.roll_back_all()
            exchange.refused_writes = exchange.refused_writes or RefusedWrites(error)
        raise
    if exchange is not None:
        exchange.admitted = admitted


def allows(request: Any, user: Any) -> bool:
    """Return whether a user who has just authenticated may act without a session, as by a password with each request.

    They may if they could sign in. Nobody can prove more in such a request.
    """
    if not token_settings().restricts_sign_ins:
        return True
    try:
        sign_in_policy.admit(request, user, methods.of_sign_in(request, user))
    except sign_in_policy.SignInRefused:
        return False
    return True


def _is_admitted(exchange: Exchange, user: Any) -> bool:
    """Return whether the policy need not be asked about this sign-in.

    It was asked already, or the sign-in is none: an adapter continues a session.
    """
    if exchange.continues_as is not None and exchange.continues_as == user.pk:
        return True
    issued = exchange.issued
    return issued is not None and exchange.is_opened_by_view and issued.session.user_id == user.pk


def note_refusal(exchange: Exchange, error: Exception, to_open: Any) -> None:
    """Note that the response says why nobody is signed in. ``to_open`` returns what a pending sign-in would have."""
    exchange.refused, exchange.signed_in, exchange.admitted = error, None, None
    if isinstance(error, sign_in_policy.FactorRequired) and exchange.session_to_open is None:
        exchange.session_to_open = to_open()


@contextmanager
def noting_refusal(exchange: Exchange, to_open: SessionToOpen) -> Iterator[None]:
    """Note on the exchange that this block was refused, if it raises an exception."""
    try:
        yield
    except Exception as error:
        note_refusal(exchange, error, lambda: to_open)
        raise


def allow_writes(exchange: Exchange) -> None:
    """After the view, let statements write again."""
    if exchange.refused_writes is not None:
        exchange.refused_writes.end()
        exchange.refused_writes = None


def _undo(request: Any) -> None:
    """Undo what `django.contrib.auth.login` has done: nobody is signed in to Django's session, or to the request."""
    if hasattr(request, "session"):
        withheld_session.empty(request)
    if hasattr(request, "user"):
        request.user = AnonymousUser()
    # The form that was sent stays valid, and no cookie is set.
    for name in ("CSRF_COOKIE", "CSRF_COOKIE_NEEDS_UPDATE"):
        with suppress(AttributeError):
            request.META.pop(name, None)
