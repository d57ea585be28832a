"""What is noted in Django's session about ours. `django_session` and `hand_over` read and write it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends import db, signed_cookies
from django.contrib.sessions.backends.base import UpdateError
from django.db import transaction
from django.http import HttpRequest

from tokens.database.transactions import writer

MARK = "_tokens_opened"
"""The key in Django's session under which a sign-in is marked as done. Its value is the time, or 0."""
NONCE = "_tokens_handover"
"""The key of what a sign-in outside of the middleware leaves: a nonce and the time, ``<nonce>:<POSIX seconds>``.

It is removed when the session has been opened.
"""
HANDED = "_tokens_handed"
"""The key of what `open_at_once` leaves, until the first refresh: the access token, and what its cookies depend on."""
SEED = "_tokens_seed"
"""The key of the secret from which the refresh token is derived that Django's session stands for."""
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
UNUSED = NONCE, HANDED, SEED
"""The keys of what a sign-in outside of our middleware leaves. A later sign-in removes it."""
MARKS = BACKEND_SESSION_KEY, HASH_SESSION_KEY, MARK, NONCE, HANDED, SEED, SESSION_ID, PROVEN, UNTIL
"""The keys under which `django_session.examine` notes what it has done."""


def opened(request: HttpRequest) -> UUID | None:
    """Return the id of the session of ours that was opened for the sign-in in Django's session, or None."""
    found = getattr(request, "session", {}).get(PROVEN)
    return UUID(found) if found else None


def is_handed(request: HttpRequest, session_id: UUID) -> bool:
    """Return whether Django's session stands for the refresh token of our session, which has none yet."""
    session = getattr(request, "session", {})
    return SESSION_KEY in session and HANDED in session and session.get(SESSION_ID) == str(session_id)


def save(session: Any, cookie: str) -> None:
    """Save at once what `django_session.examine` has noted.

    So a parallel request that writes to the session loses nothing. The session in the database does not last longer
    for it. A signed cookie is set by the response instead.
    """
    if isinstance(session, signed_cookies.SessionStore):
        return
    with _as_long_as_before(session, cookie):
        stored = type(session)(cookie)
        if SESSION_KEY in stored:
            for name in MARKS:
                stored.pop(name, None)
                if name in session:
                    stored[name] = session[name]
            with suppress(UpdateError):  # A parallel request has given the session another key.
                stored.save()
    session.modified = False


@contextmanager
def _as_long_as_before(session: Any, cookie: str) -> Iterator[None]:
    """Lock the row of a session, if it is in the database, and restore its expiry."""
    if not isinstance(session, db.SessionStore):
        yield
        return
    alias = writer(session.model)
    with transaction.atomic(using=alias):
        rows = session.model.objects.using(alias).filter(session_key=cookie)
        ends = rows.select_for_update().values_list("expire_date", flat=True).first()
        yield
        if ends is not None:
            rows.update(expire_date=ends)
