"""Django's own session and ours. Both belong to the same person in every request.

Views, and web sockets that read ``request.session``, ask Django's session who is signed in
(`django.contrib.auth.get_user`). So these rules hold:

- Each sign-in writes to Django's session what `django.contrib.auth.login` writes. It gets a new key, and if another
  person's data was in it, that is deleted.
- Django's session has the id of our session. If a request is not authenticated, and our session has ended, Django's
  session is deleted before the view runs. So is the session of another person than the one who is signed in.
- Django's session of a request that a Bearer token authenticates is put aside, unless it belongs to the same person.

A sign-in that only Django's session knows becomes a session of ours, once. It was made outside of our middleware
(``force_login`` in tests), or before the middleware was installed. So nobody who was signed in is signed out. The id of
the session is a digest of Django's session cookie, and its secret is derived from the cookie with a key of the server.
So parallel first requests get the same session, also while keys are being changed. A late copy of the cookie presents
generation 0 of a session that has been refreshed since, which the protocol treats as any old token. After that, what
Django's session has signs nobody in.

A copy may also have been left from before the user signed out. So no session is opened if the user's sessions were
revoked after Django's session was saved. A session in a signed cookie has no identity that a sign-out could delete, so
for it a sign-out counts as well, in whatever browser.
"""

import hmac
import secrets
import time
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, load_backend
from django.contrib.sessions.backends import db, signed_cookies
from django.core.signing import b62_decode
from django.db import IntegrityError
from django.http import HttpRequest
from django.utils import timezone

from tokens.conf import codec, keyring, token_settings
from tokens.models import RefreshToken
from tokens.protocol import refresh_tokens
from tokens.protocol.access_tokens import AccessToken, InvalidAccessToken
from tokens.service import auth_hash, queries
from tokens.service.issuing import IssuedTokens
from tokens.service.opening import open_session
from tokens.service.refreshing import Refusal, refresh
from tokens.service.revocation import revoke
from tokens.web import cookies
from tokens.web.client import client_of
from tokens.web.exchange import Exchange
from tokens.web.user import primary_key

DJANGOS_BACKEND, OUR_BACKEND = "django.contrib.auth.backends.ModelBackend", "tokens.backends.ModelBackend"
MARK = "_tokens_opened"
"""The key in Django's session under which a sign-in is marked as done. Its value is the time, or 0."""
NONCE = "_tokens_handover"
"""The key of what a sign-in outside of the middleware leaves: a nonce and the time, ``<nonce>:<POSIX seconds>``.

It is removed when the session has been opened.
"""
SESSION_ID = "_tokens_session"
"""The key of the id of our session."""
OWNER = "_tokens_owner"
"""The key of the user whose data is in a session in which Django has signed in nobody. It signs nobody in.

It is empty in a session that began after another one was deleted.
"""
REMEMBERED = 4096
"""How many session cookies a process remembers to have examined."""

_examined: dict[tuple[str, str], None] = {}


def leave_nonce(session: Any, user: Any) -> None:
    """Let the next request open a session for a sign-in outside of the middleware."""
    _drop_data(session, session.pop(OWNER, None), user)
    session.pop(MARK, None)
    session.pop(SESSION_ID, None)
    session[NONCE] = f"{secrets.token_urlsafe(16)}:{time.time()}"


def follow_sign_in(request: HttpRequest, user: Any, exchange: Exchange) -> None:
    """Complete what `django.contrib.auth.login` has done to Django's session.

    Django keeps the key if the same person was signed in. It also keeps data if it does not know that another person
    was signed in.
    """
    session = request.session
    before = session.pop(OWNER, None)
    _drop_data(session, _last_subject(request, exchange) if before is None else before, user)
    if session.session_key is not None and session.session_key == _cookie(request):
        session.cycle_key()
    session.pop(NONCE, None)
    session[MARK] = 0


def note_opened(request: HttpRequest, session_id: UUID) -> None:
    """Note in Django's session which session of ours was opened for the sign-in of a view."""
    session: Any = request.session
    if SESSION_KEY in session:
        session[SESSION_ID] = str(session_id)
        if session.session_key is not None and not isinstance(session, signed_cookies.SessionStore):
            _remember(session.session_key, session[SESSION_KEY])


def is_possible(request: HttpRequest, access: AccessToken | None) -> bool:
    """Return whether Django's session may have another user than the request. The session is not loaded for this.

    If the user is signed in, each session cookie is examined once. A new sign-in changes the cookie.
    """
    cookie = _cookie(request)
    if cookie is None or not hasattr(request, "session"):
        return False
    return access is None or (cookie, access.subject) not in _examined


def examine(request: HttpRequest, exchange: Exchange, *, may_open: bool) -> IssuedTokens | None:
    """Let Django's session belong to the user of the request. Return the tokens of a session that was opened for it.

    ``may_open`` is false if the request comes from another origin.
    """
    session, access = request.session, exchange.access
    was_accessed = session.accessed
    owner = session.get(SESSION_KEY) or session.get(OWNER) or None
    if session.modified:
        # This process cannot read the signed cookie, and Django has emptied it. Another process may have the key.
        _put_aside(request, exchange)
        return None
    if SESSION_KEY in session and _is_undone(session, access):
        if not may_open:
            _put_aside(request, exchange)
            return None
        if access is None or session.get(NONCE) is not None or not _is_subject(owner, access):
            issued = _hand_over(request)
            if issued is None:
                _delete(request, exchange)
            return issued
        session[MARK], session[SESSION_ID] = 0, str(access.session_id)
    elif (owner is not None and not _is_subject(owner, access)) if access else _has_ended(request, exchange):
        _delete(request, exchange)
        return None
    if access is not None:
        _remember(str(_cookie(request)), access.subject)
    if not session.modified:
        session.accessed = was_accessed  # The response does not depend on it.
    return None


def examine_beside_bearer(request: HttpRequest, exchange: Exchange) -> None:
    """Put Django's session aside for this request, unless it belongs to the user of the Bearer token."""
    session, access = request.session, exchange.access
    was_accessed = session.accessed
    owner = session.get(SESSION_KEY) or session.get(OWNER) or None
    is_undone = SESSION_KEY in session and MARK not in session
    if is_undone or (owner is not None and (access is None or not _is_subject(owner, access))):
        _put_aside(request, exchange)
    elif access is not None:
        _remember(str(_cookie(request)), access.subject)
    session.accessed = was_accessed


def is_saved(request: HttpRequest) -> bool:
    """Return whether Django's session will be saved after the response."""
    session = getattr(request, "session", None)
    return session is not None and (session.modified or settings.SESSION_SAVE_EVERY_REQUEST)


def settle(request: HttpRequest, exchange: Exchange) -> None:
    """Prepare Django's session to be saved after a view.

    It notes whose data is in it, so that the next person who signs in does not find what the view has stored. It marks
    a sign-in that has no session of ours as done: when Django signs a cookie anew, it looks like a new sign-in.
    """
    session, access = request.session, exchange.access
    if session.is_empty():
        return
    if SESSION_KEY in session:
        if MARK not in session:
            session[MARK] = 0
    elif session.modified and access is not None and not exchange.signed_out and exchange.clear is None:
        session[OWNER], session[SESSION_ID] = access.subject, str(access.session_id)
    elif session.modified and exchange.session_deleted:
        session[OWNER] = ""


def keep_cookie(request: HttpRequest) -> None:
    """Let the response neither delete nor set Django's session cookie, unless the view has written to the session."""
    if not request.session.modified:
        request.session = type(request.session)(_cookie(request))


def _cookie(request: HttpRequest) -> str | None:
    return request.COOKIES.get(settings.SESSION_COOKIE_NAME)


def _remember(cookie: str, subject: str) -> None:
    while len(_examined) >= REMEMBERED:
        _examined.pop(next(iter(_examined)), None)
    _examined[cookie, subject] = None


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


def _is_undone(session: Any, access: AccessToken | None) -> bool:
    """Return whether there is no mark, or one so recent that this request was sent before its response arrived."""
    marked = session.get(MARK)
    if marked is None:
        return True
    return access is None and time.time() - marked < token_settings().reuse_grace.total_seconds()


def _has_ended(request: HttpRequest, exchange: Exchange) -> bool:
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
    _put_aside(request, exchange)
    exchange.session_deleted = True


def _put_aside(request: HttpRequest, exchange: Exchange) -> None:
    """Give the view an empty session. Django's session stays as it is, unless the view writes to the empty one."""
    request.session = type(request.session)()
    exchange.session_replaced = True


def _hand_over(request: HttpRequest) -> IssuedTokens | None:
    """Open a session for a sign-in that only Django's session knows. None: it is not valid any more."""
    session, cookie, client = request.session, str(_cookie(request)), client_of(request)
    user = _user(session)
    if user is None:
        return None
    nonce = session.get(NONCE)
    signed_in_at = _time_in(nonce)
    saved_ago = _saved_ago(session, cookie, signed_in_at)
    is_signed_cookie = isinstance(session, signed_cookies.SessionStore)
    # A time that is rounded down may be that of a revocation before which the session was saved.
    since = None if saved_ago is None else saved_ago + timedelta(microseconds=int(signed_in_at is None))
    if queries.was_revoked_within(user, since, or_signed_out=is_signed_cookie):
        return None
    noted = session.get(SESSION_ID) if MARK in session else None
    session_id = UUID(noted) if noted else _id(cookie, nonce, _signed_at(session, cookie, signed_in_at))
    mode, remember = token_settings().mode_of_pages, not session.get_expire_at_browser_close()
    identities = _identities(session_id, cookie)
    ago = None if signed_in_at is None else timedelta(seconds=max(time.time() - signed_in_at, 0))
    issued: IssuedTokens | None
    try:
        issued = open_session(user, client, mode=mode, remember=remember, identity=identities[0], authenticated_ago=ago)
    except IntegrityError:
        # An earlier or a parallel request has opened the session. Present its first refresh token again.
        issued = _present_again(identities, mode, client)
    else:
        # A revocation that was committed meanwhile has not seen this session.
        if queries.was_revoked_within(user, since, or_signed_out=is_signed_cookie):
            revoke(RefreshToken.objects.filter(id=session_id), RefreshToken.Reason.SIGNED_OUT, client=client)
            return None
    if issued is not None:
        session.pop(NONCE, None)
        session[SESSION_ID] = str(session_id)
        if MARK not in session:
            session[MARK] = time.time()
    return issued


def _user(session: Any) -> Any:
    """Return the user as `django.contrib.auth.get_user` does, or None.

    That function changes the key if the session is verified by a fallback of ``SECRET_KEY``, and parallel requests
    would then find no session.
    """
    if session.get(BACKEND_SESSION_KEY) == DJANGOS_BACKEND and OUR_BACKEND in settings.AUTHENTICATION_BACKENDS:
        session[BACKEND_SESSION_KEY] = OUR_BACKEND  # Our backend has replaced Django's.
    path = session.get(BACKEND_SESSION_KEY)
    if path not in settings.AUTHENTICATION_BACKENDS:
        return None
    user = load_backend(path).get_user(primary_key(session[SESSION_KEY]))
    if user is None or not user.is_active:
        return None
    held = sha256(str(session.get(HASH_SESSION_KEY, "")).encode()).digest()
    if not any(hmac.compare_digest(held, digest) for digest in auth_hash.valid_digests(user)):
        return None
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    return user


def _time_in(nonce: str | None) -> float | None:
    """Return when a sign-in outside of the middleware was made, in POSIX seconds. None: it is not known."""
    _, _, text = (nonce or "").rpartition(":")
    try:
        return float(text)
    except ValueError:
        return None


def _signed_at(session: Any, cookie: str, signed_in_at: float | None) -> float:
    """Return a time of the sign-in for the id of the session, in POSIX seconds: always the same one for a cookie."""
    if signed_in_at is not None:
        return signed_in_at
    return _time_of_signature(cookie) if isinstance(session, signed_cookies.SessionStore) else 0


def _saved_ago(session: Any, cookie: str, signed_in_at: float | None) -> timedelta | None:
    """Return how long ago Django's session was saved at the latest before now, or None if that is not known.

    It is a duration, because the clocks of the server and the database may differ.
    """
    if signed_in_at is not None:
        return timedelta(seconds=max(time.time() - signed_in_at, 0))
    if isinstance(session, signed_cookies.SessionStore):
        return timedelta(seconds=max(time.time() - _time_of_signature(cookie), 0))
    if isinstance(session, db.SessionStore):
        rows = session.model.objects.filter(session_key=session.session_key)
        expires_at: datetime | None = rows.values_list("expire_date", flat=True).first()
        if expires_at is not None:
            return max(timezone.now() - expires_at + timedelta(seconds=session.get_expiry_age()), timedelta())
    return None


def _time_of_signature(cookie: str) -> int:
    """Return when Django signed a session cookie that it has verified, in POSIX seconds (`TimestampSigner`)."""
    return int(b62_decode(cookie.rsplit(":", 2)[1]))


def _id(cookie: str, nonce: str | None, signed_at: float) -> UUID:
    """Return the id of the session of a sign-in: a UUIDv7 (RFC 9562 section 5.7).

    It does not depend on a key of the server. Otherwise a change of keys would open a second session.
    """
    digest = sha256(f"latchkey: hand-over\n{nonce or ''}\n{cookie}".encode()).digest()
    id_bytes = bytearray(int(signed_at * 1000).to_bytes(6, "big") + digest[:10])
    id_bytes[6] = id_bytes[6] & 0x0F | 0x70  # The version.
    id_bytes[8] = id_bytes[8] & 0x3F | 0x80  # The variant.
    return UUID(bytes=bytes(id_bytes))


def _identities(session_id: UUID, cookie: str) -> list[refresh_tokens.RefreshToken]:
    """Return the session's id with its secret by each key of the server, the current one first."""
    seed = f"{session_id}\n{cookie}".encode()
    found = [hmac.digest(key, seed, "sha256") for key in keyring().django_session_keys]
    return [refresh_tokens.RefreshToken(session_id, raw[: refresh_tokens.SECRET_BYTES], 0) for raw in found]


def _present_again(identities: list[refresh_tokens.RefreshToken], mode: str, client: Any) -> IssuedTokens | None:
    ring = keyring()
    digest = queries.secret_digest(identities[0].session_id)
    for identity in identities:
        if digest is not None and hmac.compare_digest(digest, identity.digest):
            text = refresh_tokens.dumps(identity, ring.key_id, ring.mac_keys[ring.key_id])
            answer = refresh(text, {mode}, client)
            return None if isinstance(answer, Refusal) else answer
    return None
