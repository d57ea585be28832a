"""Links in mails. Each contains a signed token for one purpose, which is valid for a limited time.

The token is Django's signed JSON (`django.core.signing`). The salt contains the purpose and ORIGIN, so that two
deployments with the same SECRET_KEY do not share links::

    [primary key]  →  WyIwMTk…IiJd.1xYzA2.kT0…

The key is that of the row that the link is about: a registration (`accounts.models.Registration`), a pending change
(`accounts.models.PendingChange`), or for the alarm the user. The row says whether the link can still be used, and
`accounts.service` decides that when it is used. An attacker who can sign tokens, but cannot read the table, cannot make
a link that changes an account, because the key of a pending change has 122 random bits.

`InvalidLink` is raised for every token that cannot be used: forged, too old, cancelled, or for another purpose or
account. `UsedLink` is raised for one that has done its work.
"""

from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.core import signing
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from tokens import sessions


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
WHAT_LINKS_DID = {
    Purpose.REGISTRATION: _("This link has been used already. The address is confirmed: use it to sign in."),
    Purpose.EMAIL_CHANGE: _("This link has been used already. It has confirmed the new e-mail address."),
    Purpose.PASSWORD_RESET: _("This link has been used already. It has set a new password: use it to sign in."),
}
"""What the user is told if a link is used again."""


class InvalidLink(Exception):
    """The link cannot be used. It is raised without a reason."""


class UsedLink(Exception):
    """The link was used before. Nothing was changed now. ``purpose`` tells what it did."""

    def __init__(self, purpose: Purpose) -> None:
        super().__init__(purpose)
        self.purpose = purpose


class Link(NamedTuple):
    """A link with a valid signature that is not too old. ``key`` is the primary key of its row, as text."""

    purpose: Purpose
    key: str


def make(purpose: Purpose, key: Any) -> str:
    """Return the token of a new link. ``key`` is the primary key of the row that it is about."""
    return _signer(purpose).sign_object([str(key)])


def read(token: str, *purposes: Purpose) -> Link:
    """Return the link with this token, if it is for one of the purposes. Raise `InvalidLink`.

    Links of earlier releases, whose salt contains only the purpose, are read too.
    """
    # They name no tenant.
    signers = (_signer,) if sessions.tenant() else (_signer, _signer_of_earlier_releases)
    for purpose in purposes:
        for signer in (make_signer(purpose) for make_signer in signers):
            with suppress(signing.BadSignature, ValueError):
                key, *_of_earlier_releases = signer.unsign_object(token, max_age=LIFETIMES[purpose])
                return Link(purpose, key)
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
    tenant = sessions.tenant()
    of_tenant = f" {tenant}" if tenant else ""
    return signing.TimestampSigner(salt=f"accounts.links.{purpose} {settings.ORIGIN}{of_tenant}", sep=".")


def _signer_of_earlier_releases(purpose: Purpose) -> signing.TimestampSigner:
    return signing.TimestampSigner(salt=f"accounts.links.{purpose}", sep=".")
