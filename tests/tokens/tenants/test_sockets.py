"""Web sockets of two tenants: a handshake is that of a tenant, and each socket ends with the session of its own one."""

import asyncio
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from tests.tokens.tenants.conftest import HERE
from tests.tokens.tenants.schemas import FIRST, SECOND, host, in_schema
from tests.tokens.test_socket_users import APPLICATION, NOBODY, PATIENCE, Socket, headers_of, opened
from tokens import sockets
from tokens.models import RefreshToken
from tokens.service.revocation import revoke
from tokens.service.revocation_feed import RevocationFeed
from tokens.sockets import SESSION_ENDED, LiveSessionMiddleware, TokenAuthMiddleware

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("postgresql")]


@pytest.fixture(autouse=True)
def _keep_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Channels keep the connection of the test, which it would close."""
    monkeypatch.setattr("channels.db.close_old_connections", lambda **options: None)


def handshake(browser: Client, name: str) -> list[tuple[bytes, bytes]]:
    return headers_of(browser, Host=host(name))


def test_a_handshake_has_a_user_at_its_own_tenant_only(site):
    browser = site.signed_in(FIRST)
    site.copy()
    assert opened(handshake(browser, FIRST))["pk"] == str(site.user.pk)
    assert opened(handshake(browser, SECOND)) == NOBODY


def test_a_revocation_closes_the_sockets_of_its_own_tenant_only(site, monkeypatch):
    """One task watches both."""
    monkeypatch.setattr(RevocationFeed, "seconds_until_due", lambda self: 0.0)
    monkeypatch.setattr(RevocationFeed, "_may_ask", lambda self, now: True)
    browsers = {name: site.signed_in(name) for name in (FIRST, SECOND)}

    def end() -> None:
        with in_schema(SECOND):
            revoke(RefreshToken.objects.all(), RefreshToken.Reason.ENDED_BY_STAFF)

    async def steps() -> Any:
        both = {name: Socket(APPLICATION, handshake(browser, name)) for name, browser in browsers.items()}
        for socket in both.values():
            await socket.connect()
            await socket.read()
        await sync_to_async(end)()
        message = await both[SECOND].receive_output(timeout=PATIENCE)
        await both[SECOND].wait(timeout=PATIENCE)
        await asyncio.sleep(2 * sockets.LEAST_WAIT)
        await both[FIRST].write("still here")
        answer = await both[FIRST].read()
        await both[FIRST].leave()
        return message, answer

    assert async_to_sync(steps)() == ({"type": "websocket.close", "code": SESSION_ENDED}, "still here")


@pytest.mark.parametrize("middleware", [TokenAuthMiddleware, LiveSessionMiddleware])
def test_without_what_selects_the_schema_a_server_does_not_start(middleware, site, settings):
    settings.TOKENS = {"TENANT_HOOK": f"{HERE}.tenant_of"}
    with pytest.raises(ImproperlyConfigured, match="TENANT_CONTEXT"):
        middleware(None)
