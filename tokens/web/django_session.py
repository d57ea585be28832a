"""A sign-in that only Django's own session knows becomes a session of ours, once.

`django.contrib.auth.login` writes to ``request.session``. If that happens behind our middleware, `tokens.web.outgoing`
opens a session, and a mark is left beside what Django wrote. Without a mark, the sign-in was made outside of the
middleware (``force_login`` in tests), or before the middleware was installed. The first request then opens a session
for it, so that nobody who was signed in is signed out.

This works once. The id and the secret of the session are derived from Django's session cookie, or from a nonce that the
sign-in left. So parallel first requests get the same session, and a late copy of the cookie presents generation 0 of a
session that has been refreshed since, which the protocol treats as any old token. After that, what Django wrote signs
nobody in.
"""

import hmac
import secrets
import time
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user
from django.db import IntegrityError
from django.http import HttpRequest

from tokens.conf import keyring, token_settings
from tokens.protocol import refresh_tokens
from tokens.protocol.access_tokens import AccessToken
from tokens.protocol.refresh_tokens import RefreshToken
from tokens.service.issuing import IssuedTokens
from tokens.service.opening import open_session
from tokens.service.refreshing import Refusal, refresh
from tokens.service.users import UserChanged
from tokens.web.client import client_of

DJANGOS_BACKEND, OUR_BACKEND = "django.contrib.auth.backends.ModelBackend", "tokens.backends.ModelBackend"
MARK = "_tokens_opened"
"""The key in Django's session under which a sign-in is marked as done. Its value is the time, or 0."""
NONCE = "_tokens_handover"
"""The key in Django's session of the nonce that a sign-in outside of the middleware leaves."""
REMEMBERED = 4096
"""How many session cookies a process remembers to have examined."""

_examined: dict[str, None] = {}


def sign_in(request: HttpRequest, user: Any) -> None:
    """Let Django's session belong to the user, as `django.contrib.auth.login` does, without its signal.

    The signal would say that this user has authenticated.
    """
    session: Any = request.session
    if session.get(SESSION_KEY) not in {None, user._meta.pk.value_to_string(user)}:
        session.flush()
    else:
        session.cycle_key()
    backends = settings.AUTHENTICATION_BACKENDS
    session[SESSION_KEY] = user._meta.pk.value_to_string(user)
    session[BACKEND_SESSION_KEY] = OUR_BACKEND if OUR_BACKEND in backends else backends[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    mark(session)


def mark(session: Any, taken_over_at: float = 0) -> None:
    """Mark the sign-in in Django's session as done. ``taken_over_at``: when `take_over` did it, in POSIX seconds."""
    session[MARK] = taken_over_at


def leave_nonce(session: Any) -> None:
    """Let the next request open a session for a sign-in outside of the middleware."""
    session.pop(MARK, None)
    session[NONCE] = secrets.token_urlsafe(16)


def is_possible(request: HttpRequest, access: AccessToken | None) -> bool:
    """Return whether Django's session may know of a sign-in that we do not. The session is not loaded for this.

    If the user is signed in, each session cookie is examined once. A new sign-in changes the cookie.
    """
    cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    return cookie is not None and hasattr(request, "session") and (access is None or cookie not in _examined)


def take_over(request: HttpRequest, access: AccessToken | None) -> IssuedTokens | None:
    """Open a session for a sign-in that only Django's session knows, and return its tokens.

    None: there is no such sign-in.
    """
    session = request.session
    cookie = request.COOKIES[settings.SESSION_COOKIE_NAME]
    while len(_examined) >= REMEMBERED:
        _examined.pop(next(iter(_examined)), None)
    _examined[cookie] = None
    if SESSION_KEY not in session or not _is_undone(session, access):
        return None
    if session.get(BACKEND_SESSION_KEY) == DJANGOS_BACKEND and OUR_BACKEND in settings.AUTHENTICATION_BACKENDS:
        session[BACKEND_SESSION_KEY] = OUR_BACKEND  # Our backend has replaced Django's.
    user: Any = get_user(request)
    if not user.is_authenticated:
        return None
    if MARK not in session:
        mark(session, time.time())
    nonce = session.get(NONCE)
    if access is not None and access.subject == str(user.pk) and nonce is None:
        return None
    return _open_once(request, user, _identity(user, nonce or cookie))


def _is_undone(session: Any, access: AccessToken | None) -> bool:
    """Return whether there is no mark, or one so recent that this request was sent before its response arrived."""
    marked = session.get(MARK)
    if marked is None:
        return True
    return access is None and time.time() - marked < token_settings().reuse_grace.total_seconds()


def _open_once(request: HttpRequest, user: Any, identity: RefreshToken) -> IssuedTokens | None:
    client, mode = client_of(request), token_settings().mode_of_pages
    remember = not request.session.get_expire_at_browser_close()
    try:
        return open_session(user, client, mode=mode, remember=remember, identity=identity)
    except UserChanged:
        return None
    except IntegrityError:
        # An earlier or a parallel request has opened the session. Present its first refresh token again.
        ring = keyring()
        text = refresh_tokens.dumps(identity, ring.key_id, ring.mac_keys[ring.key_id])
        answer = refresh(text, {mode}, client)
        return None if isinstance(answer, Refusal) else answer


def _identity(user: Any, seed: str) -> RefreshToken:
    """Derive the session's secret, and its id: a UUIDv7 of the time of the sign-in (RFC 9562 section 5.7)."""
    random = hmac.digest(keyring().django_session_key, seed.encode(), "sha256")
    milliseconds = int(user.last_login.timestamp() * 1000) if user.last_login else 0
    id_bytes = bytearray(milliseconds.to_bytes(6, "big") + random[:10])
    id_bytes[6] = id_bytes[6] & 0x0F | 0x70  # The version.
    id_bytes[8] = id_bytes[8] & 0x3F | 0x80  # The variant.
    return RefreshToken(UUID(bytes=bytes(id_bytes)), random[16:], generation=0)
