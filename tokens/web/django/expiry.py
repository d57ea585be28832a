"""How long a sign-in in Django's session lasts, if the project has decided that.

It has with ``request.session.set_expiry()``, or with a SESSION_COOKIE_AGE that is not Django's default. Our session
then ends with Django's: that time after Django's session was last saved, and never later than ABSOLUTE_LIFETIME and
IDLE_LIFETIME allow. A sign-in by the API lasts as long as those say.
"""

import time
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import global_settings, settings
from django.contrib.auth import SESSION_KEY

from tokens.conf import ALWAYS, NEVER, token_settings
from tokens.service import opening
from tokens.web.django.session_data import EXPIRY, UNTIL

STEP = 20
"""Our session is changed if its end moves by more than this part of the time that a sign-in lasts."""


def lasts(session: Any) -> timedelta | None:
    """Return for how long a sign-in in this session lasts after it was saved. None: the project has not decided it."""
    age = settings.SESSION_COOKIE_AGE
    if session.get(EXPIRY) in {None, 0, age} and age == global_settings.SESSION_COOKIE_AGE:
        return None
    return timedelta(seconds=session.get_expiry_age())


def left(session: Any, ago: timedelta | None) -> timedelta | None:
    """Return for how long the sign-in still lasts in a session that was saved so long ago. None as in `lasts`."""
    found = lasts(session)
    return None if found is None else max(found - (ago or timedelta()), timedelta(seconds=1))


def note(session: Any, ago: timedelta | None = None) -> None:
    """Note when our session ends that was opened for the sign-in in Django's session, which was saved so long ago."""
    session.pop(UNTIL, None)
    if (found := left(session, ago)) is not None:
        session[UNTIL] = int(time.time() + found.total_seconds())


def may_remember() -> bool:
    """Return whether any session can go on when the browser is closed (REMEMBER)."""
    return token_settings().remember != NEVER


def end_with_browser(session: Any) -> None:
    """Let the browser drop the cookie of Django's session when it is closed, if it has a sign-in and REMEMBER wants it.

    A bound session is no exception, because its key does not protect this cookie. How long the sign-in lasts, and
    whether the user is remembered, stays in the session.
    """
    if SESSION_KEY in session and token_settings().remember != ALWAYS:
        session.get_expire_at_browser_close = lambda: True


def move_end(session: Any, session_id: UUID) -> None:
    """Let our session end when Django's session does, which is about to be saved."""
    found, noted = lasts(session), session.get(UNTIL)
    if found is None and noted is None:
        return
    if found is not None:
        is_of_api = noted is None and session.get(EXPIRY) in {None, 0, settings.SESSION_COOKIE_AGE}
        until = int(time.time() + found.total_seconds())
        if is_of_api or (noted is not None and abs(until - noted) * STEP <= found.total_seconds()):
            return
        session[UNTIL] = until
    else:
        del session[UNTIL]
    opening.end_after(session_id, found)
