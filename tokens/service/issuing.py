"""The tokens that a client gets: always an access token, and a refresh token if the client has to store a new one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tokens.conf import BODY, SUBDOMAIN, codec, keyring, token_settings
from tokens.models import RefreshToken
from tokens.protocol import refresh_tokens
from tokens.protocol.access_tokens import AccessToken
from tokens.protocol.rotation import Decision
from tokens.service import lifetimes
from tokens.service.claims import claims_of


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """A session and its tokens. ``refresh_token`` is None if the client already has the current one.

    - ``device_token``: set if the device is new.
    - ``is_new``: whether the session was opened just now.
    - ``continues``: whether it was opened in the place of a session that has ended, without a sign-in.
    - ``decision``: what the protocol decided about a presented refresh token, or None if none was presented.
    - ``binds``: whether the session was bound to its device just now, which made its refresh token invalid.
    - ``is_from_django``: whether the access token comes from Django's session, which stands for the refresh token.
    - ``vouches``: whether the browser gets a voucher (`tokens.service.binding`), because it has signed with its key.
    - ``keep_for``: seconds for which a browser with a bound session keeps the access cookie, if that is less than the
      lifetime of the token.
    """

    session: RefreshToken
    user: Any
    access: AccessToken
    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    device_token: str | None = field(default=None, repr=False)
    is_new: bool = False
    continues: bool = False
    decision: Decision | None = None
    binds: bool = False
    is_from_django: bool = False
    vouches: bool = False
    keep_for: int | None = None


def access_token(
    session: RefreshToken,
    user: Any,
    generation: int | None,
    now: datetime,
    *,
    for_services: bool = False,
    until: datetime | None = None,
    claims: Mapping[str, Any] | None = None,
) -> tuple[str, AccessToken]:
    """Return a new access token of this session: its text, and its claims. It expires at the latest at ``until``.

    That of an impersonation names the actor, and says neither when nor how the user authenticated, because the user did
    not.
    With SERVICE_AUDIENCE, that of mode ``subdomain`` is always for services, because all hosts of the site see it.

    ``claims`` are the project's own, which `claims_of` has returned before the session was written. None: the hook is
    asked now. Raise `ClaimsHookFailed` then. A caller that writes without a transaction has to ask first.
    """
    found, is_own = token_settings(), session.actor_id is None
    methods = session.amr if is_own else []
    return codec().dumps(
        subject=str(user.pk),
        session_id=session.id,
        generation=generation,
        now=now,
        lifetime=found.access_lifetime,
        session_ends_at=session.ends_at if until is None else min(session.ends_at, until),
        authenticated_at=session.authenticated_at if is_own else None,
        methods=methods,
        acr=found.acr_of(methods),
        while_open=ends_with_browser(session),
        actor=None if is_own else str(session.actor_id),
        for_services=found.service_audience != "" and (for_services or session.mode == SUBDOMAIN),
        extra=claims_of(user, session) if claims is None else claims,
    )


def ends_with_browser(session: RefreshToken) -> bool:
    """Return whether the session must end when the browser is closed: it is bound, and the user is not remembered.

    The browser keeps the key of a bound session when it is closed, so the cookies have to tell.
    """
    return session.bound_key is not None and not lifetimes.is_remembered(session)


def refresh_token(session: RefreshToken, secret: bytes) -> str:
    """Return the refresh token of the session's current generation, as its cookie or the response body carries it."""
    ring = keyring()
    token = refresh_tokens.RefreshToken(session.id, secret, session.generation)
    is_http = session.mode != BODY and token_settings().writes_http_names
    return refresh_tokens.dumps(token, ring.key_id, ring.mac_keys[ring.key_id], http=is_http)
