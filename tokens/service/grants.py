"""What a client is given: an access token always, a refresh token where it should keep a new one."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tokens import refresh_tokens
from tokens.access_tokens import AccessToken, codec
from tokens.conf import token_settings
from tokens.keys import keyring
from tokens.models import RefreshToken
from tokens.rotation import Decision


@dataclass(frozen=True, slots=True)
class Grant:
    """A session and its tokens' texts. ``refresh_token`` is None where the client has the current one already.

    ``device_token`` is there when the device was seen for the first time; ``is_new`` when the session was just opened.
    ``decision``: what the protocol decided, where a refresh token was presented; else None. ``binds``: the session has
    just been bound to its device, and its refresh token ended. ``keep_for``: seconds for which a browser that renews
    the access token by itself keeps this one, where that is less than it lives.
    """

    session: RefreshToken
    user: Any
    access: AccessToken
    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    device_token: str | None = field(default=None, repr=False)
    is_new: bool = False
    decision: Decision | None = None
    binds: bool = False
    keep_for: int | None = None


def access_token(session: RefreshToken, user: Any, generation: int | None, now: datetime) -> tuple[str, AccessToken]:
    """Return a new access token of this session, its text and what it says."""
    found = token_settings()
    return codec().dumps(
        subject=str(user.pk),
        session_id=session.id,
        generation=generation,
        now=now,
        lifetime=found.access_lifetime,
        session_ends_at=session.ends_at,
        authenticated_at=session.authenticated_at,
        methods=session.authentication_methods,
        while_open=goes_with_the_browser(session),
        extra=found.claims(user) if found.claims else None,
    )


def goes_with_the_browser(session: RefreshToken) -> bool:
    """Whether the end of the browser, which its key outlives, must be the end of the session: nobody is remembered."""
    return session.bound_key is not None and not session.remember


def refresh_token(session: RefreshToken, secret: bytes) -> str:
    """Return the refresh token of the session's current generation."""
    ring = keyring()
    token = refresh_tokens.RefreshToken(session.id, secret, session.generation)
    return refresh_tokens.dumps(token, ring.key_id, ring.mac_keys[ring.key_id])
