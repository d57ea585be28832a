"""The interface to a package with credentials of its own, and the record of which has become which session."""

from collections.abc import Collection, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from uuid_utils.compat import uuid7

from tokens.contrib.coming_over.models import TakenOver
from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken
from tokens.service import revocation, users
from tokens.service.issuing import IssuedTokens
from tokens.service.refreshing import Refusal
from tokens.service.users import UserChanged
from tokens.web.http.client import client_of
from tokens.web.operations import session, taking_over
from tokens.web.operations.taking_over import Credential, Wanted


class Source(Protocol):
    """A package. Each method uses the package's own code and tables."""

    name: str

    def is_ended(self, key: str, more: str) -> bool:
        """Return whether the package has ended this credential."""

    def end(self, rows: Iterable[TakenOver]) -> None:
        """End these credentials in the package."""

    def end_all_of(self, user_ids: Collection[Any]) -> None:
        """End all credentials of these users in the package."""


installed: dict[str, Source] = {}
"""The packages that can end a credential, by their names. Their modules fill it when the apps are loaded."""

being_ended: ContextVar[tuple[str, str] | None] = ContextVar("tokens_coming_over_being_ended", default=None)
"""The package and the key of a credential that its package is ending just now. We do not end it there once more."""
ending_there: ContextVar[bool] = ContextVar("tokens_coming_over_ending_there", default=False)
"""Whether we are ending credentials in their packages just now, because their sessions have ended."""


@dataclass(frozen=True, slots=True)
class Old:
    """A credential that its package has verified. ``key`` and ``more`` are those of `TakenOver`."""

    package: str
    key: str
    credential: Credential
    more: str = ""

    @property
    def is_ended(self) -> bool:
        source = installed.get(self.package)
        return source is not None and source.is_ended(self.key, self.more)

    def _note(self, session_id: UUID) -> bool:
        # The user's row is locked, so no other request notes the same credential now.
        if session_of(self.package, self.key) is not None or self.is_ended:
            return False
        row = TakenOver(
            user=self.credential.user, session_id=session_id, package=self.package, key=self.key, more=self.more
        )
        row.save(using=writer(TakenOver), force_insert=True)
        return True

    def _note_instead(self, before: UUID, session_id: UUID) -> bool:
        rows = _rows().filter(package=self.package, key=self.key, session_id=before)
        return not self.is_ended and bool(rows.update(session_id=session_id))


def take_over(request: HttpRequest, old: Old, wanted: Wanted | None = None) -> IssuedTokens | Refusal:
    """Open the session of a credential, or refresh the one that it has become. The response carries the tokens.

    The storage mode of a session never changes. So one that was used in another mode, and was never refreshed, is
    replaced: an application has kept the credential, and its successor keeps our tokens in cookies.

    Raise what `tokens.web.sign_in_policy.admit` raises, and `Throttled` after too many repetitions or refusals.
    """
    wanted, opened = wanted or Wanted(), None
    if session_of(old.package, old.key) is None:
        opened = taking_over.open_session(request, old.credential, wanted, note=partial(Old._note, old))
    session_id = session_of(old.package, old.key)
    if (
        session_id is not None
        and opened is None
        and taking_over.mode_of_unrotated(session_id) not in {None, wanted.mode}
    ):
        note = partial(Old._note_instead, old, session_id)
        opened = taking_over.open_session(request, old.credential, wanted, note=note, instead_of=session_id)
        session_id = session_of(old.package, old.key)
    if session_id is None or isinstance(opened, Refusal):
        return Refusal()
    return taking_over.present(request, old.credential, session_id, wanted.mode, opened)


def use(request: HttpRequest, old: Old) -> IssuedTokens | Refusal:
    """Return an access token for a credential whose package does not replace it when it is used.

    It opens the credential's session, and does not refresh it. If somebody has refreshed the session since, the
    credential is a refresh token that was used before, and the protocol decides. Raise what `take_over` raises.
    """
    if session_of(old.package, old.key) is None:
        opened = taking_over.open_session(request, old.credential, Wanted(), note=partial(Old._note, old))
        if opened is not None:
            # The client keeps what it has.
            return opened if isinstance(opened, Refusal) else replace(opened, refresh_token=None)
    session_id = session_of(old.package, old.key)
    if session_id is not None and (issued := taking_over.use_unrotated(session_id)):
        return issued
    return take_over(request, old)


def sign_in(request: HttpRequest, old: Old) -> IssuedTokens:
    """Open the session of a credential that its package has just issued to a user who has authenticated.

    Raise what `tokens.web.sign_in_policy.admit` raises, and `UserChanged`.
    """
    opened = taking_over.open_session(request, old.credential, Wanted(), note=partial(Old._note, old))
    if opened is None or isinstance(opened, Refusal):
        raise UserChanged
    session.sign_in(request, old.credential.user, opened)
    return opened


def keep_using(request: HttpRequest, old: Old) -> bool:
    """Return whether a credential that comes with every request may be used. It opens the credential's session.

    It may be used until its session ends, or somebody has refreshed the session. Raise what `take_over` raises.
    """
    if session_of(old.package, old.key) is None:
        opened = taking_over.open_session(request, old.credential, Wanted(), note=partial(Old._note, old))
        if opened is not None:
            return not isinstance(opened, Refusal)
    session_id = session_of(old.package, old.key)
    return session_id is not None and taking_over.note_use(session_id)


def end_session_of(package: str, key: str, user_id: Any, request: HttpRequest | None = None) -> None:
    """End the session that a credential has become, because its package has ended the credential.

    The user's row is locked until the commit, so that a request that is taking over the credential waits, or has
    finished.
    """
    if ending_there.get():
        return
    token = being_ended.set((package, key))
    try:
        with durable(writer(RefreshToken)):
            if user_id is not None:
                users.lock(writer(RefreshToken), user_id)
            if (session_id := session_of(package, key)) is not None:
                revocation.sign_out(session_id, client_of(request), is_held=True)
    finally:
        being_ended.reset(token)


def refuse(old: Old) -> None:
    """Let a credential become no session any more, because its package cannot end it."""
    with durable(writer(RefreshToken)):
        if users.lock(writer(RefreshToken), old.credential.user.pk) is not None:
            old._note(uuid7())  # No session has this id.


def end_if_ended(session_id: UUID, request: HttpRequest) -> bool:
    """End the session if its package has ended the credential that it comes from. Return whether that is so."""
    row = _rows().filter(session_id=session_id).first()
    source = installed.get(row.package) if row is not None else None
    if row is None or source is None or not source.is_ended(row.key, row.more):
        return False
    revocation.sign_out(session_id, client_of(request), is_held=True)
    return True


def session_of(package: str, key: str) -> UUID | None:
    """Return the session that this credential has become, or None."""
    found: UUID | None = _rows().filter(package=package, key=key).values_list("session_id", flat=True).first()
    return found


def user_of(package: str, key: str) -> Any:
    """Return the primary key of the user of a credential that has become a session, or None."""
    return _rows().filter(package=package, key=key).values_list("user_id", flat=True).first()


def since(instant: datetime | None) -> timedelta | None:
    """Return how long ago this was, or None if it is not known."""
    return None if instant is None else max(timezone.now() - instant, timedelta())


def _rows() -> Any:
    return TakenOver._default_manager.using(writer(TakenOver))
