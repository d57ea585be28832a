"""What happens to a session later: its access token expires, it gets older, it becomes idle, it is revoked.

Each function takes a client that is signed in, in whatever way, or what `open_session` has returned. The row changes in
the database, and the client gets another access token. So no clock has to move, and a live server sees the same.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
from asgiref.sync import sync_to_async
from django.db.models import F

from tokens.conf import codec, tenants, token_settings
from tokens.database.transactions import clock, writer
from tokens.models import RefreshToken
from tokens.protocol.access_tokens import REGISTERED, TENANT, AccessToken, instant
from tokens.protocol.methods import dumps, loads
from tokens.service import revocation
from tokens.service.revocation_feed import current_feed
from tokens.testing.clients import access_token_of, replace_access_token
from tokens.testing.guard import only_in_tests
from tokens.testing.opening import SignedIn

TIMES = ("since", "created_at", "authenticated_at", "idle_expires_at", "expires_at", "elsewhere_at", "bound_at")
"""The columns of a session that are times and that `age` moves."""


@only_in_tests
def expire_access_token(client: Any) -> Any:
    """Let the access token of a client expire now. The next request refreshes, and the refresh token rotates.

    In the modes ``scoped`` and ``body`` the client has to refresh by itself. Return the client, or a new `SignedIn`.
    """
    with _session_of(client) as (rows, access):
        rows.update(since=F("since") - token_settings().access_lifetime)
        return _with_token(client, _expired(access))


@only_in_tests
def age(client: Any, seconds: float) -> Any:
    """Let a session get older, as if its user had signed in this many seconds earlier and had done nothing since.

    This moves its times and those of its access token: when the user authenticated, when it was refreshed, and when it
    ends. Return the client, or a new `SignedIn`.
    """
    period = timedelta(seconds=seconds)
    with _session_of(client) as (rows, access):
        proved = loads(rows.values_list("methods", flat=True).get())
        earlier = {name: at - int(seconds) for name, at in proved.items()}
        rows.update(methods=dumps(earlier), **{name: F(name) - period for name in TIMES})
        authenticated_at = None if access.authenticated_at is None else access.authenticated_at - int(seconds)
        text = _reissued(
            replace(
                access,
                issued_at=access.issued_at - int(seconds),
                expires_at=access.expires_at - int(seconds),
                authenticated_at=authenticated_at,
            )
        )
        return _with_token(client, text)


@only_in_tests
def make_idle(client: Any) -> Any:
    """Let a session become idle, and its access token expire: it was not used for its idle lifetime.

    It has then ended, or with LIFETIMES a factor reopens it. Return the client, or a new `SignedIn`.
    """
    with _session_of(client) as (rows, access):
        now = clock(writer(RefreshToken))
        rows.update(since=F("since") - token_settings().access_lifetime, idle_expires_at=now - timedelta(seconds=1))
        return _with_token(client, _expired(access))


@only_in_tests
def revoke(client: Any) -> None:
    """End a session, as a member of the staff does. The next request is anonymous, and its response says why."""
    with _session_of(client) as (rows, access):
        revocation.revoke(rows, RefreshToken.Reason.ENDED_BY_STAFF)
        # In a test that is rolled back, nothing happens after the commit.
        current_feed().add([access.session_id])


aexpire_access_token, aage = sync_to_async(expire_access_token), sync_to_async(age)
amake_idle, arevoke = sync_to_async(make_idle), sync_to_async(revoke)


@contextmanager
def _session_of(client: Any) -> Iterator[tuple[Any, AccessToken]]:
    """Yield the row of a client's session, as a query, and its access token. Work for its tenant in the block."""
    text = client.access_token if isinstance(client, SignedIn) else access_token_of(client)
    tenant = jwt.decode(text, options={"verify_signature": False}).get(TENANT, "")
    with tenants.entered(tenant):
        access = codec().loads_expired(text)
        yield RefreshToken.objects.using(writer(RefreshToken)).filter(id=access.session_id), access


def _with_token(client: Any, text: str) -> Any:
    if not isinstance(client, SignedIn):
        replace_access_token(client, text)
        return client
    cookies = type(client.cookies)()
    for name, morsel in client.cookies.items():
        cookies[name] = text if morsel.value == client.access_token else morsel.value
        cookies[name].update(morsel)
    return replace(client, access_token=text, cookies=cookies)


def _expired(access: AccessToken) -> str:
    """Return an access token that says the same, and has expired a second ago."""
    expires_at = int(time.time()) - 1  # By the clock of this process, as the token is verified.
    earlier = max(access.expires_at - expires_at, 0)
    return _reissued(replace(access, issued_at=access.issued_at - earlier, expires_at=access.expires_at - earlier))


def _reissued(access: AccessToken) -> str:
    """Return a new text of this access token. It expires as the token says, and not earlier at random."""
    text, _ = codec().dumps(
        subject=access.subject,
        session_id=access.session_id,
        generation=access.generation,
        now=instant(access.issued_at),
        lifetime=2 * timedelta(seconds=access.expires_at - access.issued_at),
        session_ends_at=instant(access.expires_at),
        authenticated_at=None if access.authenticated_at is None else instant(access.authenticated_at),
        methods=list(access.claims.get("amr", ())),
        acr=access.claims.get("acr"),
        while_open=access.while_open,
        actor=access.actor,
        for_services=access.for_services,
        extra={name: value for name, value in access.claims.items() if name not in REGISTERED},
    )
    return text
