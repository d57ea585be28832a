"""The hand-over: a sign-in that Django's own session knows, and we do not, becomes a session of ours, once.

`django.contrib.auth.login` writes into ``request.session``. Where that happens behind our middleware, a session is
opened at once, and a mark is left beside what Django wrote. Where there is no mark, the sign-in was made outside the
middleware (``force_login`` in tests), or before it was installed: the first request moves it over, so nobody who was
signed in is signed out.

It works once. The session's id and secret are derived from Django's session cookie (or from a nonce that the sign-in
left), so that parallel first requests come to the same session, and a late copy of the cookie presents generation 0
of a row that has gone on, which the protocol takes for what it is. From then on what Django wrote signs nobody in.
"""

import hmac
import secrets
import time
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, SESSION_KEY, get_user
from django.db import IntegrityError
from django.http import HttpRequest

from tokens import refresh_tokens
from tokens.access_tokens import AccessToken
from tokens.conf import token_settings
from tokens.keys import keyring
from tokens.network import client_of
from tokens.refresh_tokens import RefreshToken
from tokens.service.grants import Grant
from tokens.service.opening import open_session
from tokens.service.refreshing import Refusal, refresh

DJANGOS_BACKEND, OUR_BACKEND = "django.contrib.auth.backends.ModelBackend", "tokens.backends.ModelBackend"
MARK = "_tokens_opened"
NONCE = "_tokens_handover"
REMEMBERED = 4096
"""How many session cookies a process remembers to have looked into."""

_looked_into: dict[str, None] = {}


def mark(session: Any, taken_over_at: float = 0) -> None:
    """Note in Django's session that what it says of a sign-in has been taken care of, and by a take-over, when."""
    session[MARK] = taken_over_at


def leave(session: Any) -> None:
    """Leave in Django's session what the next request turns into cookies: a sign-in outside the middleware."""
    session.pop(MARK, None)
    session[NONCE] = secrets.token_urlsafe(16)


def is_possible(request: HttpRequest, access: AccessToken | None) -> bool:
    """Whether Django's session may know of a sign-in that we do not; told without loading it.

    For somebody who is signed in, each session cookie is looked into once: signing in anew changes it.
    """
    cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    return cookie is not None and hasattr(request, "session") and (access is None or cookie not in _looked_into)


def take_over(request: HttpRequest, access: AccessToken | None) -> Grant | None:
    """Open a session for a sign-in that only Django's session knows of, if there is one, and return its tokens."""
    session = request.session
    cookie = request.COOKIES[settings.SESSION_COOKIE_NAME]
    while len(_looked_into) >= REMEMBERED:
        _looked_into.pop(next(iter(_looked_into)), None)
    _looked_into[cookie] = None
    if SESSION_KEY not in session or not _is_open(session, access):
        return None
    if session.get(BACKEND_SESSION_KEY) == DJANGOS_BACKEND and OUR_BACKEND in settings.AUTHENTICATION_BACKENDS:
        session[BACKEND_SESSION_KEY] = OUR_BACKEND  # Which has taken its place.
    user: Any = get_user(request)
    if not user.is_authenticated:
        return None
    if MARK not in session:
        mark(session, time.time())
    nonce = session.get(NONCE)
    if access is not None and access.subject == str(user.pk) and nonce is None:
        return None
    return _open_once(request, user, _identity(user, nonce or cookie))


def _is_open(session: Any, access: AccessToken | None) -> bool:
    """Whether there is no mark, or one so fresh that this request was sent before its answer could arrive."""
    marked = session.get(MARK)
    if marked is None:
        return True
    return access is None and time.time() - marked < token_settings().reuse_grace.total_seconds()


def _open_once(request: HttpRequest, user: Any, identity: RefreshToken) -> Grant | None:
    client, mode = client_of(request), token_settings().mode_of_pages
    remember = not request.session.get_expire_at_browser_close()
    try:
        return open_session(user, client, mode=mode, remember=remember, identity=identity)
    except IntegrityError:
        # Opened already, by a request beside this one, or before: its first token is presented once more.
        ring = keyring()
        text = refresh_tokens.dumps(identity, ring.key_id, ring.mac_keys[ring.key_id])
        answer = refresh(text, {mode}, client)
        return None if isinstance(answer, Refusal) else answer


def _identity(user: Any, seed: str) -> RefreshToken:
    """Derive the session's id, a UUIDv7 of the time at which Django noted the sign-in, and its secret."""
    random = hmac.digest(keyring().handover_key, seed.encode(), "sha256")
    milliseconds = int(user.last_login.timestamp() * 1000) if user.last_login else 0
    id_bytes = bytearray(milliseconds.to_bytes(6, "big") + random[:10])
    id_bytes[6] = id_bytes[6] & 0x0F | 0x70  # RFC 9562 section 5.7: version and variant
    id_bytes[8] = id_bytes[8] & 0x3F | 0x80
    return RefreshToken(UUID(bytes=bytes(id_bytes)), random[16:], generation=0)
