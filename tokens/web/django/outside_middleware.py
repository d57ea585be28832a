"""Opens a session of ours with a sign-in outside of our middleware, and leaves its access token in Django's session.

The next request sets it as a cookie, without a query. Until the first refresh, Django's session stands for the refresh
token, which is not stored: it is derived from a seed in the session by a key of the server, and presented in its place
(`tokens.web.django.django_sign_in`). So somebody who reads Django's session finds an access token, which soon expires.
Somebody who has its cookie is signed in, as with Django.

The first responses carry no refresh token. Several requests can be the first at the same time, and a late response
would replace a newer refresh token in the browser. So the browser is not offered to bind this session to its device: a
registration requires the refresh token.
"""

import secrets
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.sessions.backends import signed_cookies
from django.db import OperationalError
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables
from uuid_utils.compat import uuid7

from tokens.conf import SUBDOMAIN, codec, tenants, token_settings
from tokens.models import RefreshToken
from tokens.protocol.access_tokens import InvalidAccessToken
from tokens.service.issuing import IssuedTokens
from tokens.service.opening import Proved
from tokens.service.revocation_feed import current_feed
from tokens.service.users import UserChanged
from tokens.web import sign_in_policy
from tokens.web.django import expiry
from tokens.web.django.django_sign_in import identities
from tokens.web.django.session_data import EXPIRY, FIRST_TOKENS, SEED, SESSION_ID
from tokens.web.http.client import client_of
from tokens.web.sign_in_policy import Admitted


def open_at_once(request: HttpRequest, user: Any, proved: Proved) -> UUID | None:
    """Open a session for a sign-in outside of our middleware, and leave it in Django's session. Return its id.

    ``proved`` says how the user has authenticated.

    Return None if the next request has to do it: Django's session is in a signed cookie, other hosts see its cookie,
    the tenant is not known, the user has changed meanwhile, or the database is down.
    """
    session: Any = request.session
    found = token_settings()
    if not isinstance(user, RefreshToken._meta.get_field("user").related_model):
        return None  # Tests can exchange the user model while the tables belong to another.
    if found.tenant_of is not None and not tenants.current():
        return None  # The next request has a tenant, and other keys.
    # A cookie with a domain is sent to other hosts too, which must not hold what stands for the refresh token.
    is_shared = found.mode_of_pages == SUBDOMAIN or settings.SESSION_COOKIE_DOMAIN
    if isinstance(session, signed_cookies.SessionStore) or is_shared:
        return None
    seed = secrets.token_urlsafe(16)
    identity = identities(uuid7(), seed)[0]
    remember = not session.get_expire_at_browser_close()
    try:
        issued = sign_in_policy.open_admitted(
            Admitted(user, proved),  # `tokens.web.operations.admission` has asked the policy.
            client_of(request),
            mode=found.mode_of_pages,
            remember=remember,
            identity=identity,
            lasts=expiry.lasts(session),
        )
        # The next request then needs no query to know that the session is not revoked.
        current_feed().is_revoked(identity.session_id, issued.access.subject)
    except (UserChanged, OperationalError):
        return None
    row = issued.session
    session[FIRST_TOKENS] = {
        "access": issued.access_token,
        "device": issued.device_token,
        "device_id": str(row.device_id),
        "idle": row.idle_expires_at.timestamp(),
        "end": row.expires_at.timestamp(),
        "remember": remember,
        "mode": row.mode,
        "expiry": session.get(EXPIRY),
    }
    expiry.note(session)
    session[SEED] = seed
    session[SESSION_ID] = str(identity.session_id)
    return identity.session_id


@sensitive_variables()
def issued_at_once(session: Any) -> IssuedTokens | None:
    """Return the access token that `open_at_once` has left, if it is still valid. This needs no query of ours.

    None too if Django's session has got another expiry since.
    """
    left = session.get(FIRST_TOKENS)
    if left is None or session.get(EXPIRY) != left["expiry"]:
        return None
    try:
        access = codec().loads(left["access"], datetime.now(UTC))
    except InvalidAccessToken:
        return None
    if current_feed().is_revoked(access.session_id, access.subject):
        return None
    row = RefreshToken(
        id=access.session_id,
        mode=left["mode"],
        remember=left["remember"],
        device_id=UUID(left["device_id"]),
        idle_expires_at=datetime.fromtimestamp(left["idle"], UTC),
        expires_at=datetime.fromtimestamp(left["end"], UTC),
    )
    return IssuedTokens(
        row, None, access, left["access"], device_token=left["device"], is_new=True, is_from_django=True
    )
