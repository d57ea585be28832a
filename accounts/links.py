"""Links in mails: a signed text that says what it is for and whose it is, good for a while, and once.

A link's token is Django's signed JSON (`django.core.signing`), with a salt for each purpose::

    [user's primary key, fingerprint, address]  →  WyIwMTk…IiwiZjQ…IiwiIl0.1xYzA2.kT0…

The fingerprint, 16 bytes in base64url, is of what the link speaks of: the address, the password's hash, whether the
account is active and since when its address is confirmed; for a reset the last sign-in too. It changes when the link
is used, so a link is good once, and dies when anything of that changes by another way. ``address`` is the new one, in
a change of address. Nothing is stored.

The alarm ("this was not me") is the exception: its fingerprint is of the account alone. A thief changes the password
and the address, and neither may disarm the link in the owner's mailbox. Nor does its use: a thief who knows the
password comes back, and is sent away again by the same link, until that is too old. What it can do is little enough
for that, see `accounts.service.alarm`.

A token is forged, tampered with, too old, used, for another purpose, or of nobody: `InvalidLink` says all of it alike.
"""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core import signing
from django.urls import reverse

from accounts.models import User

FINGERPRINT_BYTES = 16
MAX_TOKEN = 1024
"""Characters; the longest address makes some 500."""


class Purpose(StrEnum):
    """What a link is for; part of the salt."""

    REGISTRATION = "registration"
    EMAIL_CHANGE = "email-change"
    PASSWORD_RESET = "password-reset"  # noqa: S105
    ALARM = "alarm"


LIFETIMES = {
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
    """The link cannot be used. Raised bare: why is nobody's business."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link whose signature is ours; whether it is still good only its user's row can say."""

    purpose: Purpose
    user_id: str
    fingerprint: str
    email: str

    def holder(self, *, lock: bool = False) -> User:
        """Return the user whose link this is, if it is still good. Raises `InvalidLink`. ``lock``: until the commit."""
        rows = User.objects.for_decision().filter(pk=self.user_id)
        # Not FOR UPDATE, which would wait for every event that is just written about this user.
        user: User | None = (rows.select_for_update(no_key=True) if lock else rows).first()
        if user is None or not compare_digest(self.fingerprint, _fingerprint(self.purpose, user)):
            raise InvalidLink
        return user


def make(purpose: Purpose, user: User, email: str = "") -> str:
    """Return the token of a new link. ``email``: the address that it changes to."""
    return _signer(purpose).sign_object([str(user.pk), _fingerprint(purpose, user), email])


def read(token: str, *purposes: Purpose) -> Link:
    """Return the link of this token, if it is for one of the purposes. Raises `InvalidLink`."""
    for purpose in purposes:
        try:
            user_id, fingerprint, email = _signer(purpose).unsign_object(token, max_age=LIFETIMES[purpose])
        except (signing.BadSignature, ValueError):
            continue
        return Link(purpose, user_id, fingerprint, email)
    raise InvalidLink


def url(purpose: Purpose, token: str) -> str:
    """Return the address of the page that the link leads to. It acts on POST: programs that scan mails only look."""
    # Never the Host header's word: whoever asks for the mail would choose where its reader goes.
    return f"{settings.ORIGIN}{reverse(_PAGES[purpose])}?{urlencode({'token': token})}"


def _signer(purpose: Purpose) -> signing.TimestampSigner:
    return signing.TimestampSigner(salt=f"accounts.links.{purpose}", sep=".")


def _fingerprint(purpose: Purpose, user: User) -> str:
    spoken_of: list[Any] = [user.email, user.password, user.is_active, user.email_confirmed_at]
    if purpose is Purpose.ALARM:
        spoken_of = [user.pk]
    if purpose is Purpose.PASSWORD_RESET:
        spoken_of.append(user.last_login)  # Whoever signs in remembers the password after all.
    digest = sha256("\0".join(map(str, spoken_of)).encode()).digest()
    return urlsafe_b64encode(digest[:FINGERPRINT_BYTES]).decode()
