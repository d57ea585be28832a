"""Takes over a credential of another package, once: it becomes the first refresh token of a session.

The adapters in `tokens.contrib.coming_over` verify the credential by the code of its package, and keep which session it
has become. The secret of that session is derived from the text of the credential with a key of the server. So a client
that presents the credential again presents the refresh token of generation 0. The protocol decides as about any other
token: parallel requests and lost responses get the same session, and a replay after its successor was used ends it.

Mostly nothing is known about how the user has authenticated, nor when.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hmac import compare_digest
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables
from uuid_utils.compat import uuid7

from tokens.conf import BODY, codec, keyring, token_settings
from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken
from tokens.protocol import refresh_tokens
from tokens.protocol.access_tokens import AccessToken, InvalidAccessToken
from tokens.service import auth_hash, issuing, queries, refreshing, user_rules, users
from tokens.service.issuing import IssuedTokens
from tokens.service.opening import Proved
from tokens.service.opening import note_use as count_use
from tokens.service.refreshing import Refusal
from tokens.service.revocation import revoke
from tokens.service.users import UserChanged
from tokens.web import sign_in_policy
from tokens.web.django import django_sign_in
from tokens.web.exchange import required_exchange
from tokens.web.http.client import client_of
from tokens.web.http.cookies import Presented
from tokens.web.operations import session
from tokens.web.possession import IN_BODY


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential that its package has just verified.

    - ``text``: the credential itself.
    - ``issued_ago``: how long ago it was issued, or None if that is not known.
    - ``lasts``: after how long it would have ended if it had stayed with its package. None: it would have been renewed.
    - ``proved``: how its user has authenticated, if that is known.
    - ``is_sign_in``: whether the user has authenticated just now, and the package has issued it for that.
    """

    text: str = field(repr=False)
    user: Any
    issued_ago: timedelta | None
    lasts: timedelta | None = None
    proved: Proved = field(default_factory=dict)
    is_sign_in: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the session of a credential is opened with. ``mode`` is its storage mode."""

    mode: str = BODY
    remember: bool = True
    device_name: str = ""


@sensitive_variables()
def open_session(
    request: HttpRequest,
    old: Credential,
    wanted: Wanted,
    *,
    note: Callable[[UUID], bool],
    instead_of: UUID | None = None,
) -> IssuedTokens | Refusal | None:
    """Open the session of a credential. The credential counts as its generation 0.

    ``note`` is called in the transaction that opens the session, with the user's row locked. It keeps the session's id,
    and returns False if the credential has got one already, or is not valid any more: then nothing is opened, and this
    returns None. ``instead_of``: the credential's session so far, which ends. Raise what
    `tokens.web.sign_in_policy.admit` raises.

    A credential is refused if one of the user's sessions was revoked since it was issued, except by a sign-out. A
    credential that its package has not ended would otherwise outlive "sign out everywhere" and the alarm.
    """
    admitted = sign_in_policy.admit(request, old.user, old.proved)
    if queries.was_revoked_within(old.user, old.issued_ago, or_signed_out=False):
        return Refusal()
    exchange, alias, session_id = required_exchange(request), writer(RefreshToken), uuid7()
    client = client_of(request, exchange.device_token)
    try:
        with durable(alias):
            if users.lock(alias, old.user.pk) is None or not note(session_id):
                return None
            issued = sign_in_policy.open_admitted(
                admitted,
                client,
                mode=wanted.mode,
                remember=wanted.remember,
                device_name=wanted.device_name,
                identity=django_sign_in.identities(session_id, old.text)[0],
                authenticated_ago=timedelta() if old.is_sign_in else None,
                lasts=old.lasts,
                is_sign_in=old.is_sign_in,
            )
    except UserChanged:
        return Refusal()
    if instead_of is not None:
        # After the commit, because sessions are locked in the order of their ids. Nothing refreshes it any more.
        revoke(RefreshToken.objects.filter(id=instead_of), RefreshToken.Reason.SUPERSEDED, client=client)
    # A revocation that was committed meanwhile has not seen this session.
    if queries.was_revoked_within(old.user, old.issued_ago, or_signed_out=False):
        revoke(RefreshToken.objects.filter(id=session_id), RefreshToken.Reason.SIGNED_OUT, client=client)
        return Refusal()
    return issued


@sensitive_variables()
def present(
    request: HttpRequest, old: Credential, session_id: UUID, mode: str, opened: IssuedTokens | None = None
) -> IssuedTokens | Refusal:
    """Present a credential that has become this session, as the session's first refresh token.

    So all parallel requests get the refresh token of generation 1. ``opened``: the session, if this request has just
    opened it. The response carries the tokens. Raise `Throttled` as `tokens.web.operations.session.refresh` does.
    """
    found, ring = queries.token_state(session_id), keyring()
    if found is None or found.is_bound:
        return Refusal(definite=found is None)
    for identity in django_sign_in.identities(session_id, old.text):
        if compare_digest(found.secret_digest, identity.digest):
            text = refresh_tokens.dumps(identity, ring.key_id, ring.mac_keys[ring.key_id])
            answer = session.refresh(request, Presented(text, frozenset({mode})))
            if opened is not None and isinstance(answer, IssuedTokens):
                # If the view fails now, the session stays, because the credential has become it.
                answer = replace(answer, device_token=opened.device_token, is_new=True, continues=True)
                required_exchange(request).issue(answer)
            return answer
    return Refusal()


def use_unrotated(session_id: UUID) -> IssuedTokens | None:
    """Return an access token of a session that nobody has refreshed yet, and let it count as used.

    It is for clients whose package never replaced a refresh token: they present the same one for as long as it lasts.
    The token proves no receipt of a refresh token. None: the session has ended, or somebody has refreshed it.
    """
    row = _unrotated(session_id)
    if row is None:
        return None
    text, access = issuing.access_token(row, row.user, None, row.now)
    return IssuedTokens(row, row.user, access, text)


def mode_of_unrotated(session_id: UUID) -> str | None:
    """Return the storage mode of a session that is live, and that nobody has refreshed yet. None: it is not."""
    rows = RefreshToken.objects.using(writer(RefreshToken)).live().filter(id=session_id, generation=0)
    return rows.values_list("mode", flat=True).first()


def note_use(session_id: UUID) -> bool:
    """Return whether a session that nobody has refreshed yet is live. If it is, it counts as used."""
    return _unrotated(session_id) is not None


def _unrotated(session_id: UUID) -> RefreshToken | None:
    row = RefreshToken.objects.for_decision().live().filter(id=session_id, generation=0, bound_at=None).first()
    if (
        row is None
        or not user_rules.may_act(row.user, row.backend)
        or auth_hash.renewed_digest(row, row.user) is None
        or not count_use(session_id)
    ):
        return None
    return row


def is_live(session_id: UUID) -> bool:
    """Return whether the session has not ended."""
    return queries.is_live(session_id)


def is_refresh_token(text: str) -> bool:
    """Return whether a text says of itself that it is a refresh token of ours. Nothing is verified."""
    return text.startswith(refresh_tokens.PREFIX)


def session_of_refresh_token(text: str) -> UUID | None:
    """Return the id of the live session of a refresh token in mode ``body``, of any generation, or None."""
    session_id = refreshing.presented_session(text, IN_BODY)
    return session_id if session_id is not None and queries.is_live(session_id) else None


def access_of(text: str) -> AccessToken | None:
    """Return a valid access token of a live session, or None."""
    try:
        access = codec().loads_expired(text)
    except InvalidAccessToken:
        return None
    return access if queries.is_active(access) else None


def modes() -> tuple[str, ...]:
    """Return the storage modes that are served (MODES). The first is the default."""
    return token_settings().modes


def mode_of_pages() -> str:
    """Return the storage mode of sessions that pages open."""
    return token_settings().mode_of_pages
