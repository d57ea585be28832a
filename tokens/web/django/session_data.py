"""What is noted in Django's session about ours. `django_session` and `django_sign_in` read and write it."""

from contextlib import nullcontext, suppress
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends import db, signed_cookies
from django.contrib.sessions.backends.base import UpdateError
from django.db import connections, transaction
from django.http import HttpRequest

from tokens.database.transactions import writer

MARK = "_tokens_opened"
"""The key in Django's session under which a sign-in is marked as done. Its value is the time, or 0."""
NONCE = "_tokens_handover"
"""The key of what a sign-in outside of the middleware leaves: a nonce and the time, ``<nonce>:<POSIX seconds>``.

It is removed when the session has been opened.
"""
METHODS = "_tokens_methods"
"""The key of the authentication methods of such a sign-in, in the form of the row (`tokens.protocol.methods`)."""
FIRST_TOKENS = "_tokens_handed"
"""The key of what `open_at_once` leaves, until the first refresh: the access token, and what its cookies depend on."""
SEED = "_tokens_seed"
"""The key of the secret from which the refresh token is derived that Django's session stands for."""
DEVICE = "_tokens_device"
"""The key of the token of a new device, in mode ``scoped``. There a refresh token counts only beside it."""
SESSION_ID = "_tokens_session"
"""The key of the id of our session."""
OWNER = "_tokens_owner"
"""The key of the user whose data is in a session in which Django has signed in nobody. It signs nobody in.

It is empty in a session that began after another one was deleted.
"""
PROVEN = "_tokens_proven"
"""The key of the id of our session that was opened for the sign-in in Django's session.

`SESSION_ID` does not prove this. A request with an access token only can get it.
"""
EXPIRY = "_session_expiry"
"""Django's key of what ``set_expiry`` sets."""
UNTIL = "_tokens_until"
"""The key of the POSIX seconds at which our session ends with Django's, if the project has decided that."""
UNUSED = NONCE, METHODS, FIRST_TOKENS, SEED, DEVICE
"""The keys of what a sign-in outside of our middleware leaves. A later sign-in removes it."""
MARKS = (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    MARK,
    NONCE,
    METHODS,
    FIRST_TOKENS,
    SEED,
    DEVICE,
    SESSION_ID,
    PROVEN,
    UNTIL,
)
"""The keys under which `django_session.examine` notes what it has done."""


def opened(request: HttpRequest) -> UUID | None:
    """Return the id of the session of ours that was opened for the sign-in in Django's session, or None."""
    found = getattr(request, "session", {}).get(PROVEN)
    return UUID(found) if found else None


def stands_for_refresh_token(request: HttpRequest, session_id: UUID) -> bool:
    """Return whether Django's session stands for the refresh token of our session, which has none yet."""
    session = getattr(request, "session", {})
    return SESSION_KEY in session and FIRST_TOKENS in session and session.get(SESSION_ID) == str(session_id)


def may_be_lost(session: Any) -> bool:
    """Return whether Django's session was presented in the place of a refresh token, and the response may be lost.

    False with SESSION_COOKIE_DOMAIN, because other hosts send Django's cookie without our refresh cookie.
    """
    return bool(session.get(MARK)) and not settings.SESSION_COOKIE_DOMAIN


def save(session: Any, cookie: str) -> None:
    """Save at once what `django_session.examine` has noted.

    So a parallel request that writes to the session loses nothing. The session in the database does not last longer
    for it. A signed cookie is set by the response instead.
    """
    if isinstance(session, signed_cookies.SessionStore):
        return
    # The fewer parallel requests write the same, the sooner all are answered.
    if not _is_noted(type(session)(cookie), session):
        if type(session) is db.SessionStore:
            _update(session, cookie)
        elif SESSION_KEY in (stored := _noted(session, cookie)):
            with suppress(UpdateError):  # A parallel request has given the session another key.
                stored.save()
    session.modified = False


def _is_noted(stored: Any, session: Any) -> bool:
    """Return whether the stored session names the same session of ours, and is marked as done."""
    is_same = SESSION_ID in stored and stored.get(SESSION_ID) == session.get(SESSION_ID)
    return is_same and all((name in stored) == (name in session) for name in MARKS)


def _noted(session: Any, cookie: str) -> Any:
    """Return the stored session with what is noted in this one."""
    stored = type(session)(cookie)
    for name in MARKS:
        stored.pop(name, None)
        if name in session:
            stored[name] = session[name]
    return stored


def _update(session: Any, cookie: str) -> None:
    """Write to the row of a session, and leave its expiry as it is. PostgreSQL locks the row before it is read."""
    alias = writer(session.model)
    rows = session.model.objects.using(alias).filter(session_key=cookie)
    is_locked = connections[alias].vendor == "postgresql"
    with transaction.atomic(using=alias) if is_locked else nullcontext():
        if is_locked:
            list(rows.select_for_update().values_list("pk"))
        stored = _noted(session, cookie)
        if SESSION_KEY in stored:
            rows.update(session_data=stored.encode(dict(stored.items())))
