"""Whether a request proves that its client holds the session, and not only an access token of it.

A request proves it by one of these:

- a refresh token of the session, in a cookie, or in the body in the storage mode ``body``,
- a voucher, if the session is bound to its device, and so has no refresh token (`tokens.service.binding`),
- the user's current password,
- Django's session, while it stands for the refresh token (`tokens.web.django.django_sign_in`),
- what the middleware or the view has done in this request: it has refreshed the session, opened it for a sign-in that
  only Django's session knew, or recorded that the user has authenticated again,
- in the admin also Django's own session, if it has the sign-in that opened a session without a refresh token, or one
  whose refresh token browsers send only to the auth API. Its cookie is sent to this host only, because such sessions
  are not in mode ``subdomain``.

`tokens.service.possession` checks tokens and passwords.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypedDict
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone

from tokens.conf import BODY, SCOPED
from tokens.models import RefreshToken
from tokens.service import binding, possession, queries, refreshing
from tokens.service.possession import RefreshTokenRequired, Sent
from tokens.web.django import django_session, session_data
from tokens.web.exchange import Exchange, exchange_of, required_exchange
from tokens.web.http import cookies
from tokens.web.http.bearer import bearer_token
from tokens.web.http.cookies import Presented
from tokens.web.http.origins import is_cross_origin, is_unsafe
from tokens.web.http.problems import NOT_AUTHENTICATED, SESSION_ENDED, of_reopenable
from tokens.web.request_user import set_user

IN_BODY = frozenset({BODY})
"""The storage mode of a session whose refresh token comes in a request's body."""


class Proof(TypedDict, total=False):
    """What a view found in a request.

    - ``refresh_token``: the text of a refresh token in the request's body. The cookies are read anyway.
    - ``authenticated``: the user that `django.contrib.auth.authenticate` returned in this request.
    """

    refresh_token: str | None
    authenticated: Any


def require(
    request: HttpRequest,
    session: RefreshToken,
    user: Any,
    *,
    refresh_token: str | None = None,
    authenticated: Any = None,
) -> None:
    """Raise `RefreshTokenRequired` unless the request proves that its client holds the session.

    ``session`` and ``user`` are the rows as they are now, locked. If ``authenticated`` is given, nothing else counts,
    so that a change that was made with an old password is refused.
    """
    if authenticated is not None:
        is_proven = possession.has_authenticated(authenticated, user)
    else:
        sent = [Presented(refresh_token, IN_BODY)] if refresh_token else []
        is_proven = is_held(request, session, sent)
    if not is_proven:
        raise RefreshTokenRequired


def is_held(request: HttpRequest, session: RefreshToken, sent: Iterable[Presented] = ()) -> bool:
    """Return whether the request proves without a password that its client holds the session.

    ``session`` is the row as it is now. ``sent`` are refresh tokens in the request's body.
    """
    if session.bound_at is not None and _has_voucher(request, session.id):
        return True
    return _is_proven(request, required_exchange(request), session.id) or any(
        possession.is_token_of(session, session.now, text, modes, old_name=old_name)
        for text, modes, old_name, others in (*sent, *_in_cookies(request))
    )


def sent(request: HttpRequest) -> list[Sent]:
    """Return the refresh tokens of a request: those in its cookies, and the one that the view has found in the body."""
    in_body = required_exchange(request).refresh_token
    in_cookies = [Sent(text, modes, old_name) for text, modes, old_name, _ in _in_cookies(request)]
    return [*([Sent(in_body, IN_BODY)] if in_body else []), *in_cookies]


def has_refresh_token(request: HttpRequest) -> bool:
    """Return whether this request has a refresh token of its session, of any generation, or a voucher in its place.

    The token comes in a cookie, or in the body beside a password. Pages ask for the password if there is neither. This
    needs no query. `require` decides.
    """
    exchange = exchange_of(request)
    if exchange is None or exchange.access is None:
        return False
    session_id = exchange.access.session_id
    is_token = any(
        refreshing.is_token_of(text, session_id)
        for text in (exchange.refresh_token or "", *(found.text for found in _in_cookies(request)))
    )
    return is_token or _is_proven(request, exchange, session_id) or _has_voucher(request, session_id)


def treat_as_anonymous(request: HttpRequest, *, needs_proof: bool) -> None:
    """Treat the user of this request as anonymous, if its session has ended according to the database.

    With ``needs_proof`` also if the request does not prove that its client holds the session.
    """
    exchange = required_exchange(request)
    access = exchange.access
    if access is None:
        return
    session = queries.session_of(access)
    if session is None:
        waiting = queries.reopenable_session(access.session_id, access.subject)
        exchange.access, exchange.problem = None, SESSION_ENDED if waiting is None else of_reopenable(waiting)
    elif needs_proof and not (
        is_held(request, session)
        or ((session.bound_at is not None or session.mode == SCOPED) and django_session.has_signed_in(request, access))
    ):
        exchange.access, exchange.problem = None, NOT_AUTHENTICATED
    if exchange.access is None:
        set_user(request, exchange)


def _is_proven(request: HttpRequest, exchange: Exchange, session_id: UUID) -> bool:
    """Return whether this request has got tokens of its session, for which it had to prove more than an access token.

    In strict mode the refresh token that it came with is not valid any more. Django's session proves as much while it
    stands for the refresh token.
    """
    if exchange.issued is not None and exchange.issued.session.id == session_id:
        return True
    return (
        bearer_token(request) is None
        and not _is_forged(request)
        and session_data.stands_for_refresh_token(request, session_id)
    )


def _has_voucher(request: HttpRequest, session_id: UUID) -> bool:
    """Return whether the request has a voucher of this session, which its browser got with the last access token."""
    now = timezone.now()
    found = any(binding.is_voucher(text, session_id, now) for text in cookies.vouchers(request))
    return found and not _is_forged(request)


def _is_forged(request: HttpRequest) -> bool:
    return is_unsafe(request) and is_cross_origin(request)


def _in_cookies(request: HttpRequest) -> Iterator[Presented]:
    """Yield the refresh tokens in the cookies, each of several of one name by itself.

    A page of another origin cannot use the user's cookies for an access token that it has got.
    """
    if _is_forged(request):
        return
    for presented in cookies.all_refresh(request):
        for text in (presented.text, *(presented.others or ())):
            yield presented._replace(text=text, others=None)
