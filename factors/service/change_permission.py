"""Checks who changes the factors of an account: its user, who has just used the strongest of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import router
from django.db.models import Max
from django.http import HttpRequest

from factors.models import Passkey, Totp
from tokens import sessions


@contextmanager
def change(request: HttpRequest, **proof: Any) -> Iterator[Any]:
    """A transaction in which the user of this request may change their factors. Yield the user.

    Raise what `tokens.sessions.change_account` raises, and `StrongerRequired` if something is `missing`.
    """
    with sessions.change_account(request, **proof) as user:
        if found := missing(request, user, authenticated=proof.get("authenticated")):
            raise sessions.factors.StrongerRequired(found)
        yield user


def missing(request: HttpRequest, user: Any, *, authenticated: Any = None) -> dict[str, sessions.Factor]:
    """Return the factors of which the user has to answer one before a change (`tokens.web.factors.missing`).

    A code that has just confirmed the app in this session counts as an answer, and so does a passkey that was just
    created in it.
    """
    proved = _just_set_up(request, user)
    return sessions.factors.missing(request, user, authenticated=authenticated, proved=proved)


def _just_set_up(request: HttpRequest, user: Any) -> dict[str, timedelta]:
    session_id = sessions.current_id(request)
    if session_id is None:
        return {}
    apps = Totp._default_manager.using(router.db_for_write(Totp)).filter(user_id=user.pk, confirmed_in=session_id)
    keys = Passkey._default_manager.using(router.db_for_write(Passkey)).filter(user_id=user.pk, created_in=session_id)
    latest = {
        "otp": apps.aggregate(at=Max("confirmed_at"))["at"],
        "pop": keys.aggregate(at=Max("created_at"))["at"],
    }
    return {name: sessions.now() - at for name, at in latest.items() if at is not None}
