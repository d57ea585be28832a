"""Web sockets: an ASGI middleware that finds out whether the session of a handshake has ended.

A web socket does not pass `tokens.middleware`. Channels takes its user from Django's session, which outlives a revoked
session until the next request of the browser. With Channels::

    "websocket": AuthMiddlewareStack(LiveSessionMiddleware(URLRouter([...])))
"""

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import AnonymousUser

from tokens.web import django_session

Scope = dict[str, Any]


class LiveSessionMiddleware:
    """Gives a web socket an empty session and no user if the session has ended. It asks the database once.

    It is put inside of what sets ``scope["session"]`` and ``scope["user"]``.
    """

    def __init__(self, app: Callable[[Scope, Any, Any], Awaitable[Any]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> Any:
        session = scope.get("session")
        if session is not None and not await sync_to_async(django_session.is_live)(session):
            empty = import_module(settings.SESSION_ENGINE).SessionStore()
            scope = {**scope, "session": empty, "user": AnonymousUser()}
        return await self.app(scope, receive, send)
