"""Lets a client answer a factor for an idle session by its refresh token, because it has no access token any more."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.contrib.auth.models import AnonymousUser
from rest_framework.exceptions import NotAuthenticated, ParseError, UnsupportedMediaType
from rest_framework.request import Request

from tokens.api.serializers import MAX_TOKEN
from tokens.models import RefreshToken
from tokens.service import lifetimes, reopening
from tokens.web import factors
from tokens.web.exchange import Exchange
from tokens.web.possession import IN_BODY


@contextmanager
def answering_for_idle(request: Request, exchange: Exchange) -> Iterator[None]:
    """Let the request be one of the user of its idle session in this block, who can then authenticate.

    The refresh token is in the body, or in a cookie. Raise `NotAuthenticated` if there is none. If the block fails,
    the request is anonymous again.
    """
    exchange.reopenable = _idle_in_body(request) or exchange.reopenable
    if exchange.reopenable is None:
        raise NotAuthenticated
    request.user = exchange.reopenable.user
    try:
        yield
    except BaseException:
        request.user = AnonymousUser()
        raise


def may_answer(user: Any, session: RefreshToken, name: str) -> bool:
    """Return whether the answer to this factor can reopen the idle session of a user.

    A factor that does not say what it proves is asked.
    """
    factor = factors.of_user(user).get(name)
    if factor is None or not factor.proves or not session.is_idle(session.now):
        return factor is not None  # A password begins a pending sign-in for a session that lacks a factor.
    return lifetimes.is_reopened_by(session, factor.proves)


def _idle_in_body(request: Request) -> RefreshToken | None:
    with suppress(ParseError, UnsupportedMediaType):
        data: Any = request.data
        text = data.get("refresh_token")
        if isinstance(text, str) and len(text) <= MAX_TOKEN:
            return reopening.reopenable_session(text, IN_BODY)
    return None
