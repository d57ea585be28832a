"""Web sockets: after a revocation they find neither the user nor the session, without another request."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.test import Client

from tests.browsers import post
from tests.tokens.web_steps import end_all_sessions, who
from tokens.sockets import LiveSessionMiddleware

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.tokens.web.django_session_urls")]


@pytest.fixture
def connect(stored: Any) -> Any:
    """Return a function that opens a web socket behind what Channels' AuthMiddlewareStack does.

    It returns the user and the data that the socket's consumer finds. Channels' own steps are those of `get_user`.
    """

    def connect(client: Client) -> tuple[Any, dict[str, Any]]:
        found: list[Any] = []

        async def consumer(scope: Any, receive: Any, send: Any) -> None:
            mine = {name: value for name, value in await scope["session"].aitems() if not name.startswith("_")}
            found.append((scope["user"].pk, mine))

        async def handshake() -> None:
            request = HttpRequest()
            request.session = stored(client)
            scope = {"type": "websocket", "session": request.session, "user": await sync_to_async(get_user)(request)}
            await LiveSessionMiddleware(consumer)(scope, None, None)

        async_to_sync(handshake)()
        return found[0]  # type: ignore[no-any-return]

    return connect


def test_a_socket_has_the_user_and_the_data_of_the_browser(connect, signed_in, user):
    signed_in.get("/probe/store/mine")
    assert connect(signed_in) == (user.pk, {"note": "mine"})


ENDS = {"a revocation": lambda api: end_all_sessions(), "a sign-out": lambda api: post(api, "/api/auth/logout")}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_it_has_neither_after(end, connect, signed_in):
    signed_in.get("/probe/store/mine")
    end(signed_in)
    assert connect(signed_in) == (None, {})


def test_an_anonymous_one_keeps_its_data(api, connect):
    api.get("/probe/store/mine")
    assert connect(api) == (None, {"note": "mine"})


def test_a_sign_in_whose_session_was_not_opened_yet_is_nobody(api, user, connect, settings):
    """A session in a cookie is opened by the next request, which decides whether it may be."""
    is_in_cookie = settings.SESSION_ENGINE.endswith("signed_cookies")
    api.force_login(user)
    assert connect(api) == (None if is_in_cookie else user.pk, {})
    assert who(api) == str(user.pk)
    assert connect(api) == (user.pk, {})
