"""A sign-in that only Django's session knows becomes a session of ours, once.

The sign-in was made outside of our middleware (``force_login`` in tests), or before the middleware was installed. So
nobody who was signed in is signed out.

If it was made outside of our middleware, `tokens.web.django.outside_middleware` has opened the session already, and
this module presents its first refresh token. Otherwise the next request opens the session. The id of that session is a
digest of Django's session cookie, and its secret is derived from the cookie with a key of the server. So parallel first
requests get the same session, also while keys are being changed. Its key stays the same, because parallel requests come
with it.

The response to the first refresh may be lost. So a browser that has neither a valid access token nor a newer refresh
token presents the first one again, however late, and the protocol decides as about any other token: it is answered
again until somebody has used what was sent. After that it proves that there are two holders, and ends the session. But
a browser may have a newer one that it does not send. In mode ``scoped`` it sends none to pages, so they present nothing
after the grace: the answer could overwrite a newer token. Where a frame on another site can send Django's cookie alone,
nothing is ended.

A copy may also have been left from before the user signed out. So no session is opened if the user's sessions were
revoked after Django's session was saved. A session in a signed cookie has no identity that a sign-out could delete, so
for it a sign-out counts as well, in whatever browser.
"""

import hmac
import time
from dataclasses import replace
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

from tokens.conf import BODY, SCOPED, keyring, token_settings
from tokens.models import RefreshToken
from tokens.protocol import refresh_tokens
from tokens.protocol.methods import is_strong, loads
from tokens.service import auth_hash, queries, required_factors
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens
from tokens.service.opening import note_use, set_remembered
from tokens.service.refreshing import Refusal, refresh
from tokens.service.revocation import revoke
from tokens.service.users import UserChanged
from tokens.web import sign_in_policy
from tokens.web.django import expiry
from tokens.web.django.session_data import DEVICE, EXPIRY, FIRST_TOKENS, MARK, METHODS, NONCE, SEED, SESSION_ID
from tokens.web.http import cookies
from tokens.web.http.client import presenting_client
from tokens.web.http.origins import is_cross_origin
from tokens.web.lazy_user import primary_key
from tokens.web.sign_in_policy import SignInRefused

INDEFINITE = Refusal(definite=False)
"""The session is live, but what came with this request does not prove who holds it."""
DJANGOS_BACKEND, OUR_BACKEND = "django.contrib.auth.backends.ModelBackend", "tokens.backends.ModelBackend"


def open_or_refresh(request: HttpRequest) -> IssuedTokens | Refusal:
    """Open a session for a sign-in that only Django's session knows. If it has been opened, refresh it.

    It is refreshed by what stands for its first refresh token. The refusal says whether the session goes on.
    """
    session = request.session
    if (noted := session.get(SESSION_ID) if MARK in session else None) is None:
        session_id, issued = _open(request)
    else:
        session_id, issued = UUID(noted), _present_noted(request, UUID(noted))
    if isinstance(issued, IssuedTokens):
        session.pop(NONCE, None)
        session.pop(METHODS, None)
        left = session.pop(FIRST_TOKENS, None)
        if left:
            session.pop(MARK, None)
        session[SESSION_ID] = str(session_id)
        if MARK not in session:
            session[MARK] = time.time()
        # The response that carried it may have been lost.
        device_token = issued.device_token or (left or {}).get("device") or session.get(DEVICE)
        if device_token and issued.session.mode == SCOPED:
            session[DEVICE] = device_token
        issued = replace(issued, device_token=device_token)
    return issued


def _open(request: HttpRequest) -> tuple[UUID, IssuedTokens | Refusal]:
    """Open a session for the sign-in, or refresh the one that another request has opened. Also return its id."""
    session, cookie, client = request.session, request.COOKIES[settings.SESSION_COOKIE_NAME], presenting_client(request)
    nonce = session.get(NONCE)
    session_id, user = _id(session, cookie, nonce), _user(session)
    if user is None:
        return session_id, Refusal()
    signed_in_at = _time_in(nonce)
    signed_in_ago = None if signed_in_at is None else _ago(signed_in_at)
    saved_ago = _saved_ago(session, cookie) if signed_in_ago is None else signed_in_ago
    is_signed_cookie = isinstance(session, signed_cookies.SessionStore)
    if queries.was_revoked_within(user, saved_ago, or_signed_out=is_signed_cookie):
        return session_id, Refusal()
    own = identities(session_id, cookie)
    try:
        proved = {name: _ago(at) for name, at in loads(session.get(METHODS, "")).items()}
        issued = sign_in_policy.open_admitted(
            sign_in_policy.admit(request, user, proved),
            client,
            mode=token_settings().mode_of_pages,
            remember=not session.get_expire_at_browser_close(),
            identity=own[0],
            authenticated_ago=signed_in_ago,
            backend=session.get(BACKEND_SESSION_KEY, ""),
            lasts=expiry.left(session, saved_ago),
        )
    except (UserChanged, SignInRefused):
        return session_id, Refusal()
    except IntegrityError:
        found = queries.token_state(session_id)
        return session_id, Refusal() if found is None else _present(own, found, client)
    # A revocation that was committed meanwhile has not seen this session.
    if queries.was_revoked_within(user, saved_ago, or_signed_out=is_signed_cookie):
        revoke(RefreshToken.objects.filter(id=session_id), RefreshToken.Reason.SIGNED_OUT, client=client)
        return session_id, Refusal()
    expiry.note(session, saved_ago)
    return session_id, issued


def _present_noted(request: HttpRequest, session_id: UUID) -> IssuedTokens | Refusal:
    """Present the first refresh token of the session that was opened for the sign-in in Django's session."""
    session, cookie = request.session, request.COOKIES[settings.SESSION_COOKIE_NAME]
    found = queries.token_state(session_id)
    if found is None:
        return Refusal()  # The purge may have deleted the row since. It must not be opened a second time.
    is_expected, is_foreign = cookies.expects_refresh(request, found.mode), is_cross_origin(request)
    if found.is_bound or not (is_expected or FIRST_TOKENS in session or may_be_parallel(session)):
        return INDEFINITE
    may_be_alone = is_foreign or _outlasts_ours(request, found)
    is_proof = is_expected and not may_be_alone and not cookies.has_refresh(request, found.mode)
    # A page of another origin can cancel each navigation, and must not use up the recoveries.
    if (found.generation > 1 and not is_proof) or (found.recovered and is_foreign):
        return INDEFINITE
    if _user(session) is None:
        return Refusal()
    if FIRST_TOKENS in session and session[FIRST_TOKENS]["expiry"] != session.get(EXPIRY):
        expiry.move_end(session, session_id)
        set_remembered(session_id, not session.get_expire_at_browser_close())
    own = identities(session_id, session.get(SEED) or cookie)
    return _present(own, found, replace(presenting_client(request), may_hold_newer=not is_proof))


def _outlasts_ours(request: HttpRequest, found: queries.TokenState) -> bool:
    """Return whether a browser may send Django's cookie in this request, and not a refresh cookie that it has.

    It does so in a frame on another site, and over http. The refresh cookie of a session that is not remembered is gone
    when the browser is opened again. Django's is not if a view has called ``set_expiry`` since.
    """
    return (
        settings.SESSION_COOKIE_SAMESITE not in {"Lax", "Strict"}
        or (token_settings().secure and not settings.SESSION_COOKIE_SECURE and not request.is_secure())
        or not (found.remember or request.session.get_expire_at_browser_close())
    )


def may_be_parallel(session: Any) -> bool:
    """Return whether a request may have been sent before the response to the first refresh arrived."""
    return bool(time.time() - session.get(MARK, 0) < token_settings().reuse_grace.total_seconds())


def is_valid(session: Any) -> bool:
    """Return whether the sign-in in a session that has no cookie was not revoked."""
    if session_id := session.get(SESSION_ID):
        return note_use(UUID(session_id)) and not queries.lacks_factor(UUID(session_id))
    user, signed_in_at = _user(session), _time_in(session.get(NONCE))
    if user is not None and required_factors.is_required_of(user) and not is_strong(loads(session.get(METHODS, ""))):
        return False
    # A request that writes to the session saves it anew, which must not make an old sign-in look like a later one.
    ago = _saved_ago(session, session.session_key) if signed_in_at is None else _ago(signed_in_at)
    return user is not None and not queries.was_revoked_within(user, ago, or_signed_out=False)


def delete_if_revoked(session: Any) -> None:
    """Delete a sign-in from before our middleware if it was revoked. A view could save it, as if it was a later one."""
    if SESSION_ID not in session and not is_valid(session):
        session.flush()


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
    if not auth_hash.is_same_password(held, user):
        return None
    if session.get(HASH_SESSION_KEY) != (current := user.get_session_auth_hash()):
        session[HASH_SESSION_KEY] = current
    return user


def _time_in(nonce: str | None) -> float | None:
    """Return when a sign-in outside of the middleware was made, in POSIX seconds. None: it is not known."""
    _, _, text = (nonce or "").rpartition(":")
    try:
        return float(text)
    except ValueError:
        return None


def _ago(seconds: float) -> timedelta:
    """Return how long ago a time in POSIX seconds was.

    It is compared as a duration, because the clocks of the server and the database may differ.
    """
    return timedelta(seconds=max(time.time() - seconds, 0))


def _saved_ago(session: Any, cookie: str) -> timedelta | None:
    """Return how long ago Django's session was last saved, or None if that is not known.

    A revocation in the same instant counts as a later one, because the time of a signature is rounded down.
    """
    if isinstance(session, signed_cookies.SessionStore):
        return _ago(_time_of_signature(cookie)) + timedelta(microseconds=1)
    if isinstance(session, db.SessionStore):
        rows = session.model.objects.filter(session_key=session.session_key)
        expires_at: datetime | None = rows.values_list("expire_date", flat=True).first()
        if expires_at is not None:
            return _ago(expires_at.timestamp() - session.get_expiry_age()) + timedelta(microseconds=1)
    return None


def _time_of_signature(cookie: str) -> int:
    """Return when Django signed a session cookie that it has verified, in POSIX seconds (`TimestampSigner`)."""
    return int(b62_decode(cookie.rsplit(":", 2)[1]))


def _id(session: Any, cookie: str, nonce: str | None) -> UUID:
    """Return the id of the session for a sign-in: a UUIDv7 (RFC 9562 section 5.7), always the same one.

    Its time is that of the sign-in, or of the signature of the cookie, or 0. It does not depend on a key of the server.
    Otherwise a change of keys would open a second session.
    """
    signed_at = _time_in(nonce)
    if signed_at is None:
        signed_at = _time_of_signature(cookie) if isinstance(session, signed_cookies.SessionStore) else 0
    digest = sha256(f"latchkey: hand-over\n{nonce or ''}\n{cookie}".encode()).digest()
    id_bytes = bytearray(int(signed_at * 1000).to_bytes(6, "big") + digest[:10])
    id_bytes[6] = id_bytes[6] & 0x0F | 0x70  # The version.
    id_bytes[8] = id_bytes[8] & 0x3F | 0x80  # The variant.
    return UUID(bytes=bytes(id_bytes))


def identities(session_id: UUID, seed: str) -> list[refresh_tokens.RefreshToken]:
    """Return the session's id with its secret by each key of the server, the current one first.

    ``seed``: a secret of the sign-in, or Django's session cookie.
    """
    text = f"{session_id}\n{seed}".encode()
    found = [hmac.digest(key, text, "sha256") for key in keyring().django_session_keys]
    return [refresh_tokens.RefreshToken(session_id, raw[: refresh_tokens.SECRET_BYTES], 0) for raw in found]


def _present(
    own: list[refresh_tokens.RefreshToken], found: queries.TokenState, client: Client
) -> IssuedTokens | Refusal:
    """Present the first refresh token of a session. ``own``: by each key of the server."""
    ring, modes = keyring(), {token_settings().mode_of_pages, *token_settings().modes} - {BODY}
    for identity in own:
        if hmac.compare_digest(found.secret_digest, identity.digest):
            text = refresh_tokens.dumps(identity, ring.key_id, ring.mac_keys[ring.key_id])
            return refresh(text, modes, client)
    return INDEFINITE  # Django's session has got another key since.
