"""Links in mails. Each contains a signed token for one purpose and one user, and works once, for a limited time.

The token is Django's signed JSON (`django.core.signing`), with a salt for each purpose::

    [user's primary key, fingerprint, address]  →  WyIwMTk…IiwiZjQ…IiwiIl0.1xYzA2.kT0…

The fingerprint has 16 bytes, in base64url. It is computed from the address, the password hash, whether the account is
active, and when its address was confirmed, and for a reset also from the last sign-in. Using the link changes one of
them, so that a link works once. It also becomes invalid when one of them changes in another way. ``address`` is the new
address, if the link changes it. The server stores nothing.

The link that confirms a registration names the registration (`accounts.models.Registration`) instead of a user, and
has no fingerprint. It works until its registration is deleted, which happens when any link of the address is used.

The link of the alarm ("This was not me") is an exception: its fingerprint is computed only from the account's id. An
attacker who changes the password and the address must not make the link in the owner's mailbox invalid. It also works
more than once, so that the owner can sign out an attacker who comes back, until the link is too old.
`accounts.service.alarm` says what it can do.

`InvalidLink` is raised for every token that cannot be used: forged, too old, used, or for another purpose or account.
"""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.urls import reverse

from accounts.models import User

FINGERPRINT_BYTES = 16
MAX_TOKEN = 1024
"""Characters of a token. With the longest address it has about 500."""


class Purpose(StrEnum):
    """The purpose of a link, which is part of the salt."""

    REGISTRATION = "registration"
    EMAIL_CHANGE = "email-change"
    PASSWORD_RESET = "password-reset"  # noqa: S105
    ALARM = "alarm"


LIFETIMES = {
    # A registration ends after a day. Links of earlier releases, which can be older, name registrations too.
    Purpose.REGISTRATION: timedelta(days=3),
    Purpose.EMAIL_CHANGE: timedelta(days=1),
    Purpose.PASSWORD_RESET: timedelta(hours=1),
    Purpose.ALARM: timedelta(days=7),
}
_PAGES = {
    Purpose.REGISTRATION: "confirm-email",
    Purpose.EMAIL_CHANGE: "confirm-email",
    Purpose.PASSWORD_RESET: "confirm-password-reset",
    Purpose.ALARM: "alarm",
}


class InvalidLink(Exception):
    """The link cannot be used. It is raised without a reason."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link with a valid signature. Only the row of its user tells whether it can still be used.

    ``user_id`` of a link that confirms a registration is the primary key of the registration.
    """

    purpose: Purpose
    user_id: str
    fingerprint: str
    email: str

    def holder(self, *, lock: bool = False) -> User:
        """Return the user of this link. Raise `InvalidLink` if it was used. ``lock`` locks the row until the commit."""
        rows = User.objects.for_decision().filter(pk=self.user_id)
        # FOR UPDATE would wait for transactions that insert events about this user.
        user: User | None = (rows.select_for_update(no_key=True) if lock else rows).first()
        if user is None or not compare_digest(self.fingerprint, _fingerprint(self.purpose, user)):
            raise InvalidLink
        return user


def make(purpose: Purpose, user: User, email: str = "") -> str:
    """Return the token of a new link. ``email`` is the new address, if the link changes it."""
    return _signer(purpose).sign_object([str(user.pk), _fingerprint(purpose, user), email])


def make_for_registration(registration_id: UUID) -> str:
    """Return the token of a new link that confirms this registration."""
    return _signer(Purpose.REGISTRATION).sign_object([str(registration_id), "", ""])


def read(token: str, *purposes: Purpose) -> Link:
    """Return the link with this token, if it is for one of the purposes. Raise `InvalidLink`."""
    for purpose in purposes:
        try:
            user_id, fingerprint, email = _signer(purpose).unsign_object(token, max_age=LIFETIMES[purpose])
        except (signing.BadSignature, ValueError):
            continue
        return Link(purpose, user_id, fingerprint, email)
    raise InvalidLink


def is_for(token: str, purpose: Purpose) -> bool:
    """Return whether this is the token of a link for this purpose that is not too old."""
    try:
        read(token, purpose)
    except InvalidLink:
        return False
    return True


def url(purpose: Purpose, token: str) -> str:
    """Return the URL of the link. Its page acts only on POST, because programs that scan mails open links."""
    # ORIGIN, and not the Host header, which is set by the client that asks for the mail.
    return f"{settings.ORIGIN}{reverse(_PAGES[purpose])}?{urlencode({'token': token})}"


def _signer(purpose: Purpose) -> signing.TimestampSigner:
    return signing.TimestampSigner(salt=f"accounts.links.{purpose}", sep=".")


def _fingerprint(purpose: Purpose, user: User) -> str:
    spoken_of: list[Any] = [user.email, user.password, user.is_active, user.email_confirmed_at]
    if purpose is Purpose.ALARM:
        spoken_of = [user.pk]
    if purpose is Purpose.PASSWORD_RESET:
        spoken_of.append(user.last_login)  # A user who signs in knows the password, and needs no reset.
    digest = sha256("\0".join(map(str, spoken_of)).encode()).digest()
    return urlsafe_b64encode(digest[:FINGERPRINT_BYTES]).decode()
