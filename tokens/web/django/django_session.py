"""Django's own session and ours. Both belong to the same person in every request.

Views, and web sockets that read ``request.session``, ask Django's session who is signed in
(`django.contrib.auth.get_user`). So these rules hold:

- Each sign-in writes to Django's session what `django.contrib.auth.login` writes. It gets a new key, and if another
  person's data was in it, that is deleted.
- Django's session has the id of our session. If a request is not authenticated, and our session has ended, Django's
  session is deleted before the view runs. So is the session of another person than the one who is signed in.
- If our session lacks a factor, Django's session is put aside until the user has proved one.
- Django's session of a request that a Bearer token authenticates is put aside, unless it belongs to the same person.
  It is put aside too if the request is not refreshed because it comes from a page of another origin.

`django_sign_in` opens a session of ours for a sign-in that only Django's session knows.
"""

import secrets
import time
from sys import getsizeof
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends import signed_cookies
from django.http import HttpRequest

from tokens.conf import codec, tenants
from tokens.protocol.access_tokens import AccessToken, InvalidAccessToken
from tokens.protocol.bounded_cache import BoundedCache
from tokens.protocol.methods import dumps
from tokens.service import queries
from tokens.service.issuing import IssuedTokens
from tokens.service.refreshing import Refusal
from tokens.web import methods
from tokens.web.django import expiry, session_data, withheld_session
from tokens.web.django.django_sign_in import OUR_BACKEND, may_be_parallel, open_or_refresh
from tokens.web.django.outside_middleware import issued_at_once, open_at_once
from tokens.web.django.session_cookie import session_cookie, session_cookie_settings
from tokens.web.django.session_data import FIRST_TOKENS, MARK, METHODS, NONCE, OWNER, PROVEN, SESSION_ID, UNUSED
from tokens.web.exchange import Exchange
from tokens.web.http import cookies
from tokens.web.http.client import client_of
from tokens.web.lazy_user import primary_key

REMEMBERED = 4 * 2**20
"""Bytes of session cookies that a process remembers to have examined: about five thousand cookies.

A longer one than browsers keep is not remembered, and is examined again.
"""

_examined: BoundedCache[tuple[str, str, str], bool] = BoundedCache(REMEMBERED)
"""By tenant, cookie and user: whether the session of a cookie had a sign-in when it was examined for a user."""


def sign_in(request: HttpRequest, user: Any) -> None:
    """Let Django's session belong to the user, as `django.contrib.auth.login` does, without its signal.

    The signal would say that this user has authenticated. What views have stored for another person is deleted.
    """
    session: Any = request.session
    key = user._meta.pk.value_to_string(user)
    if (session.get(SESSION_KEY) or session.get(OWNER) or key) != key:
        session.flush()
    else:
        session.cycle_key()
    session[SESSION_KEY] = key
    session[BACKEND_SESSION_KEY] = default_backend()
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.pop(OWNER, None)
    for name in UNUSED:
        session.pop(name, None)
    session[MARK] = 0


def default_backend() -> str:
    """Return the dotted path of the backend that a sign-in gets which none has checked."""
    backends: list[str] = settings.AUTHENTICATION_BACKENDS
    return OUR_BACKEND if OUR_BACKEND in backends else backends[0]


def note_outside_sign_in(request: HttpRequest, user: Any) -> None:
    """Open a session for a sign-in outside of the middleware, or let the next request open it."""
    session: Any = request.session
    _drop_data(session, session.pop(OWNER, None), user)
    for name in (MARK, SESSION_ID, PROVEN, *UNUSED):
        session.pop(name, None)
    proved = methods.of_sign_in(request, user)
    session_id = open_at_once(request, user, proved) if SESSION_KEY in session else None
    expiry.end_with_browser(session)
    if session_id:
        session[MARK], session[PROVEN] = 0, str(session_id)
        return
    session[NONCE] = f"{secrets.token_urlsafe(16)}:{time.time()}"
    if proved:
        now = time.time()
        session[METHODS] = dumps({name: int(now - ago.total_seconds()) for name, ago in proved.items()})


def complete_sign_in(request: HttpRequest, user: Any, exchange: Exchange) -> None:
    """Complete what `django.contrib.auth.login` has done to Django's session.

    Django keeps the key if the same person was signed in. It also keeps data if it does not know that another person
    was signed in.
    """
    session = request.session
    before = session.pop(OWNER, None)
    _drop_data(session, _last_subject(request, exchange) if before is None else before, user)
    if session.session_key is not None and session.session_key == session_cookie(request):
        session.cycle_key()
    for name in UNUSED:
        session.pop(name, None)
    session[MARK] = 0


def note_opened(request: HttpRequest, session_id: UUID) -> None:
    """Note in Django's session which session of ours was opened for the sign-in of a view."""
    session: Any = request.session
    if SESSION_KEY in session:
        session[SESSION_ID] = session[PROVEN] = str(session_id)
        if session.session_key is not None and not isinstance(session, signed_cookies.SessionStore):
            _remember(session.session_key, session[SESSION_KEY], session)


def may_have_another_user(request: HttpRequest, access: AccessToken | None) -> bool:
    """Return whether Django's session may have another user than the request. The session is not loaded for this.

    If the user is signed in, each session cookie is examined once. A new sign-in changes the cookie. A session that
    another middleware has put there is always examined.
    """
    cookie, session = session_cookie(request), getattr(request, "session", None)
    if session is None or (cookie is None and session.session_key is None):
        return False
    if access is None or cookie is None or session.session_key != cookie:
        return True
    return _examined.get((tenants.current(), cookie, access.subject)) is None


def examine(request: HttpRequest, exchange: Exchange, *, may_open: bool) -> IssuedTokens | None:
    """Let Django's session belong to the user of the request. Return the tokens of a session that was opened for it.

    ``may_open`` is false if the request comes from another origin.
    """
    session = request.session
    was_modified = session.modified
    issued = _examine(request, exchange, may_open=may_open)
    if session is request.session and session.modified and not was_modified:
        session_data.save(session, str(session_cookie(request)))
    return issued


def _examine(request: HttpRequest, exchange: Exchange, *, may_open: bool) -> IssuedTokens | None:
    session, access = request.session, exchange.access
    was_accessed, was_modified = session.accessed, session.modified
    owner = session.get(SESSION_KEY) or session.get(OWNER) or None
    if session.modified and not was_modified:
        # This process cannot read the signed cookie, and Django has emptied it. Another process may have the key.
        withheld_session.put_aside(request, exchange)
        return None
    if SESSION_KEY in session and needs_our_session(session, access, may_open=may_open):
        if not may_open:
            withheld_session.put_aside(request, exchange)
            return None
        if access is None or {NONCE, FIRST_TOKENS} & session.keys() or not _is_subject(owner, access):
            issued = issued_at_once(session) or open_or_refresh(request)
            if isinstance(issued, Refusal):
                if issued.definite and not issued.bound:
                    _delete(request, exchange)
                elif withheld_session.is_withheld(session):
                    withheld_session.withhold(request, exchange)
                elif not session.modified:
                    session.accessed = was_accessed
                return None
            if not issued.is_from_django:
                session[PROVEN] = session[SESSION_ID]
            elif not was_modified:
                session.accessed = was_accessed
            _remember(str(session_cookie(request)), issued.access.subject, session)
            return issued
        session[MARK], session[SESSION_ID] = 0, str(access.session_id)
    elif _is_of_another(session, owner, access) if access else has_ended(request, exchange):
        _delete(request, exchange)
        return None
    elif access is None and withheld_session.is_withheld(session):
        withheld_session.withhold(request, exchange)
        return None
    if access is not None:
        if SESSION_KEY in session and SESSION_ID not in session:
            session[SESSION_ID] = str(access.session_id)  # It is from an earlier release.
        _remember(str(session_cookie(request)), access.subject, session)
    if not session.modified:
        session.accessed = was_accessed  # The response does not depend on it.
    return None


def refresh_by_django_session(request: HttpRequest) -> IssuedTokens | Refusal:
    """Refresh the session for whose refresh token Django's session stands."""
    session = request.session
    was_modified = session.modified
    issued = open_or_refresh(request)
    if session.modified and not was_modified:
        session_data.save(session, str(session_cookie(request)))
    return issued


def put_aside_unless_own(request: HttpRequest, exchange: Exchange) -> None:
    """Put Django's session aside for this request, unless it belongs to the user of the access token."""
    session, access = request.session, exchange.access
    was_accessed = session.accessed
    owner = session.get(SESSION_KEY) or session.get(OWNER) or None
    needs_our_session = SESSION_KEY in session and (MARK not in session or FIRST_TOKENS in session)
    if needs_our_session or (owner is not None and (access is None or not _is_subject(owner, access))):
        withheld_session.put_aside(request, exchange)
    elif access is not None and session.get(SESSION_ID) == str(access.session_id):
        _remember(str(session_cookie(request)), access.subject, session)
    session.accessed = was_accessed


def is_live(session: Any) -> bool:
    """Return whether Django's session may be used: it has no sign-in, or our session is live and lacks no factor."""
    if SESSION_KEY not in session:
        return True
    session_id = session.get(SESSION_ID)
    return session_id is not None and queries.is_live(UUID(session_id)) and not queries.lacks_factor(UUID(session_id))


def has_signed_in(request: HttpRequest, access: AccessToken) -> bool:
    """Return whether Django's session has the sign-in for which the session of this access token was opened.

    Only the request that opened our session, and had proven more than an access token, has written `PROVEN`.
    """
    session: Any = getattr(request, "session", None)
    return (
        session is not None
        and session.get(PROVEN) == str(access.session_id)
        and _is_subject(session.get(SESSION_KEY), access)
    )


def was_flushed(request: HttpRequest, access: AccessToken) -> bool:
    """Return whether the view has removed the user's sign-in from Django's session, as ``flush`` and ``clear`` do."""
    session, cookie = getattr(request, "session", None), session_cookie(request)
    if session is None or cookie is None or not session.modified or SESSION_KEY in session:
        return False
    return bool(_examined.get((tenants.current(), cookie, access.subject)))


def is_saved(request: HttpRequest) -> bool:
    """Return whether Django's session will be saved after the response."""
    session = getattr(request, "session", None)
    return session is not None and (session.modified or session_cookie_settings().is_always_saved)


def prepare_saving(request: HttpRequest, exchange: Exchange) -> None:
    """Prepare Django's session to be saved after a view.

    It notes whose data is in it, so that the next person who signs in does not find what the view has stored. It marks
    a sign-in that has no session of ours as done: when Django signs a cookie anew, it looks like a new sign-in.
    """
    session, access = request.session, exchange.access
    if session.is_empty():
        return
    expiry.end_with_browser(session)
    if SESSION_KEY in session:
        session.setdefault(MARK, 0)
        is_taken_over = exchange.issued_before_view and exchange.issued is not None and exchange.issued.is_new
        if access is not None and session.get(SESSION_ID) == str(access.session_id) and not is_taken_over:
            expiry.move_end(session, access.session_id)
    elif session.modified and access is not None and not exchange.signed_out and exchange.clear is None:
        session[OWNER], session[SESSION_ID] = access.subject, str(access.session_id)
    elif session.modified and exchange.session_deleted:
        session[OWNER] = ""


def _remember(cookie: str, subject: str, session: Any) -> None:
    size = getsizeof(cookie) + getsizeof(subject)
    _examined.put((tenants.current(), cookie, subject), SESSION_KEY in session, size)


def _drop_data(session: Any, before: str | None, user: Any) -> None:
    """Delete what another person's views have stored, and keep the sign-in of ``user``. ``before``: a primary key."""
    if before and before != str(user.pk):
        entries = {key: session[key] for key in (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY)}
        session.flush()
        session.update(entries)


def _last_subject(request: HttpRequest, exchange: Exchange) -> str | None:
    """Return the subject of the last access token of this browser, even if it has expired."""
    if exchange.access is not None:
        return exchange.access.subject
    text = cookies.read_access(request)
    try:
        return codec().loads_expired(text).subject if text else None
    except InvalidAccessToken:
        return None


def _is_subject(owner: Any, access: AccessToken) -> bool:
    return bool(primary_key(owner) == primary_key(access.subject))


def needs_our_session(session: Any, access: AccessToken | None, *, may_open: bool) -> bool:
    """Return whether our session still has to be opened, or refreshed for the first time, for this sign-in.

    That is so if the first tokens are still in Django's session and the request has no access token of that session, or
    if there is no mark yet. If there is a mark, it is so for a request without an access token that may be parallel to
    the one that has set the mark, or, with ``may_open``, whose first response may have been lost.
    """
    if FIRST_TOKENS in session:
        return access is None or str(access.session_id) != session.get(SESSION_ID)
    marked = session.get(MARK)
    if marked is None:
        return True
    return access is None and (may_be_parallel(session) or (may_open and session_data.may_be_lost(session)))


def _is_of_another(session: Any, owner: Any, access: AccessToken) -> bool:
    """Return whether the session belongs to another person, or to an earlier session that has ended."""
    session_id = session.get(SESSION_ID)
    if owner is not None and not _is_subject(owner, access):
        return True
    return session_id not in {None, str(access.session_id)} and not queries.is_live(UUID(session_id))


def has_ended(request: HttpRequest, exchange: Exchange) -> bool:
    """Return whether our session of this Django session has ended. The request is not authenticated."""
    session_id = request.session.get(SESSION_ID)
    if session_id is not None:
        return not queries.is_live(UUID(session_id))
    if OWNER in request.session:
        return False  # It began after a session had ended.
    # A session of an earlier release does not name ours.
    return exchange.has_ended or (SESSION_KEY in request.session and not queries.has_live_session(client_of(request)))


def _delete(request: HttpRequest, exchange: Exchange) -> None:
    """Delete Django's session, and give the view an empty one."""
    request.session.flush()
    withheld_session.put_aside(request, exchange)
    exchange.session_deleted = True
