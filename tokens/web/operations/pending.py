"""A pending sign-in: the policy asks for more than the user has proved so far (`tokens.web.sign_in_policy`).

It is a text that the server has signed, in an HttpOnly cookie, or in the storage mode ``body`` in the API's answer. It
permits one thing: to answer a factor. It is bound to the user, to their password, to the device and to what they have
proved, and it ends ten minutes after the first step. A new password or a deactivation ends it too. So does the
revocation of a session of the user, for example by the alarm or a sign-out everywhere. A sign-out in one browser and a
newer sign-in do not end it.

If the browser has a session of the user that lacks a factor (REQUIRED_FACTORS), it goes on in the place of a new one.

A pending sign-in opens one session, because it names that session's id. Of two requests at the same time one opens it,
and the other is refused like a wrong answer. A pending sign-in that was used already is refused in the same way: its
answer is verified, and the transaction is rolled back, so that neither the response nor its time shows the difference.
One that is older than ten minutes is refused before its answer is verified. Otherwise somebody who has kept one, and
knows an earlier password only, could use up the answers that the account has in a day.

Only the factors that were offered count. The answer to another one is wrong.
"""

import hmac
import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import IntegrityError
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables
from uuid_utils.compat import uuid7

from tokens.conf import keyring
from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken
from tokens.protocol.refresh_tokens import SECRET_BYTES
from tokens.protocol.refresh_tokens import RefreshToken as Identity
from tokens.service import auth_hash, devices, queries, throttles, users
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens
from tokens.service.opening import Proved
from tokens.service.user_rules import may_act
from tokens.service.users import UserChanged
from tokens.web import factors, sign_in_policy, trust
from tokens.web.django import django_session
from tokens.web.exchange import required_exchange
from tokens.web.factors import Factor
from tokens.web.http import pending_cookie
from tokens.web.http.client import client_of
from tokens.web.lazy_user import primary_key
from tokens.web.operations import admission, reopening, session
from tokens.web.operations.admission import SessionToOpen

__all__ = ["WrongAnswer", "answer_here", "offered_here", "options_here", "trust_offered_here", "user_name_here"]
"""What other apps may use, as `tokens.sessions.pending`."""
LIFETIME = 600
"""Seconds from the first step of a sign-in to its last."""
MAX_TEXT = 3000
"""Characters of a pending sign-in. Browsers keep no cookie of more than 4096."""


class WrongAnswer(Exception):
    """The answer to a factor is wrong, or the pending sign-in is not good any more. Nobody learns which it is."""


class _Unfit(Exception):
    """The pending sign-in is not good any more, although the answer is right. What that has used up is rolled back."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A pending sign-in. ``digest`` is that of the password (`auth_hash.digest_of`), ``device`` of the device's token.

    ``proved`` has each method with the time at which it was proved, and ``began`` is the time of the first step, in
    POSIX seconds. ``names`` are those of the factors that are offered. ``lasts`` is after how many seconds the session
    ends, if the project has decided that. ``may_trust``: whether the user may trust the device (`tokens.web.trust`).
    """

    session_id: UUID
    user_key: str
    digest: bytes
    device: bytes
    proved: dict[str, int]
    began: int
    mode: str
    remember: bool
    device_name: str
    backend: str
    names: list[str]
    lasts: int | None
    may_trust: bool = False

    @property
    def lasts_for(self) -> timedelta | None:
        return None if self.lasts is None else timedelta(seconds=self.lasts)

    @property
    def is_timely(self) -> bool:
        return abs(time.time() - self.began) <= LIFETIME  # Another server's clock may be ahead.

    def name_of(self, name: str) -> str:
        """Return the name of a factor if it was offered. Otherwise return "", which no factor has."""
        return name if name in self.names else ""


def begin(to_open: SessionToOpen, client: Client, names: list[str], *, may_trust: bool = False) -> str:
    """Return the text of the pending sign-in for a sign-in that needs one of these factors."""
    now, token = int(time.time()), client.device_token
    return _dumps(
        Pending(
            session_id=to_open.session_id or uuid7(),
            user_key=to_open.user._meta.pk.value_to_string(to_open.user),
            digest=auth_hash.digest_of(to_open.user),
            device=devices.digest_of(token) if token else b"",
            proved={name: int(now - ago.total_seconds()) for name, ago in to_open.proved.items()},
            began=now if to_open.began is None else to_open.began,
            mode=to_open.mode,
            remember=to_open.remember,
            device_name=to_open.device_name,
            backend=to_open.backend or getattr(to_open.user, "backend", "") or django_session.default_backend(),
            names=names,
            lasts=None if to_open.lasts is None else int(to_open.lasts.total_seconds()),
            may_trust=may_trust,
        )
    )


def offered(user: Any, proved: Proved, error: sign_in_policy.FactorRequired) -> list[str]:
    """Return the names of the factors that may be answered next: those that the policy has named, if it has.

    Otherwise they are those that the account has, and that prove something new. If REQUIRED_FACTORS has asked, they are
    those that are enough for it, or those by which the user sets one up.
    """
    if error.is_required:
        return [*(factors.strong(user) or factors.enrolments(user))]
    found = factors.of_user(user, at_sign_in=True)
    if error.offered is not None:
        return [name for name in error.offered if name in found]
    return [name for name, factor in found.items() if not factor.proves or factor.proves - proved.keys()]


def offered_here(request: HttpRequest, *, even_if_ended: bool = False) -> dict[str, Factor]:
    """Return the factors by their names that a page may ask for: the browser has a pending sign-in.

    Factors that no page can ask for are left out.
    """
    found = _loads(pending_cookie.text_of(request))
    user = None if found is None else _user(found)
    if found is None or user is None or not (even_if_ended or _fits(found, user, client_of(request))):
        return {}
    by_name = {**factors.of_user(user, at_sign_in=True), **factors.enrolments(user)}
    named = {name: by_name[name] for name in found.names if name in by_name}
    return {name: factor for name, factor in named.items() if factor.is_on_pages}


def trust_offered_here(request: HttpRequest) -> timedelta | None:
    """Return for how long a page may offer to trust the device. None: the pending sign-in does not offer it."""
    return trust.offered() if (found := _loads(pending_cookie.text_of(request))) and found.may_trust else None


def user_name_here(request: HttpRequest) -> str:
    """Return the user name of the pending sign-in in the browser's cookie, also if it has ended. "": there is none."""
    user = None if (found := _loads(pending_cookie.text_of(request))) is None else _user(found)
    return "" if user is None else str(user.get_username())


def answer_here(request: HttpRequest, name: str, given: Any, *, trusts: bool = False) -> IssuedTokens:
    """Do what `answer` does with the pending sign-in in the browser's cookie."""
    return answer(request, pending_cookie.text_of(request), name, given, trusts=trusts)


def options_here(request: HttpRequest, name: str) -> Mapping[str, Any] | None:
    """Do what `options` does with the pending sign-in in the browser's cookie."""
    return options(request, pending_cookie.text_of(request), name)


def options(request: HttpRequest, text: str | None, name: str) -> Mapping[str, Any] | None:
    """Return what a client needs before it can answer this factor. None: nothing.

    Raise `WrongAnswer` if the pending sign-in is not good any more.
    """
    client, found = client_of(request, required_exchange(request).device_token), _loads(text)
    user = None if found is None else _user(found)
    if found is None or user is None or not _fits(found, user, client):
        throttles.take(*throttles.of_networks("factor_network", client.ip))
        raise WrongAnswer
    required_exchange(request).pending_session = found.session_id
    return factors.begin(request, user, found.name_of(name), enrols=True)


@sensitive_variables()
def answer(request: HttpRequest, text: str | None, name: str, given: Any, *, trusts: bool = False) -> IssuedTokens:
    """Open the session of a pending sign-in if the answer to the factor is right, and the policy admits the user then.

    ``trusts``: the user trusts the device from now on, if that was offered.
    The response carries the session's tokens. Raise `WrongAnswer`, and `Throttled` or `Busy` as `factors.verify` does.
    Raise `FactorRequired` if the policy asks for still more, and `SignInRefused` if it refuses the user.
    """
    client = client_of(request, required_exchange(request).device_token)
    found = _loads(text)
    if found is None or not found.is_timely:
        throttles.take(*throttles.of_networks("factor_network", client.ip))
        raise WrongAnswer
    required_exchange(request).pending_session = found.session_id
    name = found.name_of(name)
    refused: Exception | None = None
    issued: IssuedTokens | None = None
    proved: Proved | None = None
    user: Any = None
    try:
        with _verifying(found, name) as user:
            if user is None:
                raise _Unfit
            is_used = _is_used(found)
            proved = factors.verify(request, user, name, given, enrols=True)
            is_fit = not _was_revoked(found, user) and _fits(found, user, client) and not is_used
            if proved is not None and not is_fit:
                raise _Unfit
            if proved is not None:
                try:
                    issued = _open(request, found, user, proved, client, trusts=trusts and found.may_trust)
                except sign_in_policy.SignInRefused as error:
                    refused = error  # Raised after the commit: a code that was used stays used.
    except (_Unfit, UserChanged, IntegrityError):
        issued = None
    if refused is not None:
        raise refused
    if issued is None:
        if user is not None and (
            proved is not None or not factors.is_by_itself(name)
        ):  # A backend has written an event.
            factors.note_wrong(user, client)
        raise WrongAnswer
    if issued.is_new:  # Otherwise it has reopened one.
        session.sign_in(request, user, issued, found.backend)
    return issued


def _open(
    request: HttpRequest, found: Pending, user: Any, proved: Proved, client: Client, *, trusts: bool
) -> IssuedTokens:
    together = {**_ago(found), **proved}
    to_open = SessionToOpen(
        user,
        together,
        found.mode,
        found.remember,
        found.device_name,
        found.backend,
        found.lasts_for,
        found.session_id,
        found.began,
    )
    with admission.noting_refusal(required_exchange(request), to_open):
        admitted = sign_in_policy.admit(request, user, together)
    if (reopened := reopening.instead(request, to_open, trusts=trusts)) is not None:
        return reopened
    return sign_in_policy.open_admitted(
        admitted,
        client,
        mode=found.mode,
        remember=found.remember,
        device_name=found.device_name,
        backend=found.backend,
        identity=Identity(found.session_id, secrets.token_bytes(SECRET_BYTES), generation=0),
        lasts=found.lasts_for,
        trusts=trusts,
    )


@contextmanager
def _verifying(found: Pending, name: str) -> Iterator[Any]:
    """Yield the user of a pending sign-in, or None. They are locked, in a transaction, unless a password is verified.

    A password takes long, and its backend writes to transactions of its own.
    """
    alias = writer(RefreshToken)
    if factors.is_by_itself(name):
        yield _user(found)
        return
    with durable(alias):
        user = users.lock(alias, primary_key(found.user_key))
        if user is not None:
            user.backend = found.backend
        yield user


def _user(found: Pending) -> Any:
    model = get_user_model()
    user: Any = model._base_manager.using(writer(model)).filter(pk=primary_key(found.user_key)).first()
    if user is not None:
        user.backend = found.backend
    return user


def _fits(found: Pending, user: Any, client: Client) -> bool:
    is_here = not found.device or hmac.compare_digest(found.device, devices.digest_of(client.device_token or ""))
    is_same = auth_hash.is_same_password(found.digest, user)
    return bool(found.is_timely and is_here and is_same and may_act(user, found.backend))


def _is_used(found: Pending) -> bool:
    return RefreshToken.objects.using(writer(RefreshToken)).filter(id=found.session_id).exists()


def _was_revoked(found: Pending, user: Any) -> bool:
    """Return whether a session of the user was revoked since, or all were, even if there was none.

    Before a pending sign-in a person may have ended sessions, by a new password. It begins at a whole second.
    """
    ago = timedelta(seconds=max(time.time() - found.began - 1, 0))
    return queries.was_revoked_within(user, ago, or_signed_out=False)


def _ago(found: Pending) -> Proved:
    """Return what was proved, with how long ago."""
    now = time.time()
    return {name: timedelta(seconds=max(now - at, 0)) for name, at in found.proved.items()}


def _dumps(pending: Pending) -> str:
    _, _, digest, device, *others = astuple(pending)
    fields = [str(pending.session_id), pending.user_key, digest.hex(), device.hex(), *others]
    body = urlsafe_b64encode(json.dumps(fields, separators=(",", ":")).encode()).rstrip(b"=")
    return f"{body.decode()}.{_mac(keyring().pending_keys[0], body).decode()}"


@sensitive_variables()
def _loads(text: str | None) -> Pending | None:
    """Return a pending sign-in that this server has signed, however old it is, or None."""
    if not text or len(text) > MAX_TEXT or not text.isascii():
        return None
    body, _, mac = text.encode().partition(b".")
    if not any(hmac.compare_digest(mac, _mac(key, body)) for key in keyring().pending_keys):
        return None
    session_id, user_key, digest, device, *others = json.loads(urlsafe_b64decode(body + b"=" * (-len(body) % 4)))
    try:
        return Pending(UUID(session_id), user_key, bytes.fromhex(digest), bytes.fromhex(device), *others)
    except TypeError:
        return None  # Another release has signed it.


def _mac(key: bytes, body: bytes) -> bytes:
    return urlsafe_b64encode(hmac.digest(key, body, "sha256")).rstrip(b"=")
