"""Notices: mails to the user about events that an attacker may have caused.

They report a sign-in on a new device, a session that ended because its refresh token was used twice, a new password,
whichever way it was set, and what happened to a factor (the app `factors`, or one of the project). `accounts.service`
reports a change of the address, because it knows the old one.
The first sign-in of an account is reported like any other on a new device.

Receivers run in the request that caused the event. Its response must be the same for an attacker and for the user, so
they do not use the request. Times in the mails are in UTC.
"""

import logging
from typing import Any

from django.dispatch import receiver
from django.urls import NoReverseMatch
from django.utils.translation import gettext as _

from accounts import delivery, mail, users
from tokens import sessions

logger = logging.getLogger("accounts")

_ABOUT_DEVICES = {
    sessions.Kind.NEW_DEVICE: "new_device",
    sessions.Kind.REUSE_DETECTED: "token_used_twice",
}

_ABOUT_FACTORS = {
    sessions.Kind.FACTOR_ADDED: "factor_added",
    sessions.Kind.FACTOR_REMOVED: "factor_removed",
    sessions.Kind.RECOVERY_CODE_USED: "recovery_code_used",
    sessions.Kind.PASSKEY_COPIED: "passkey_copied",
}
MAX_REASON = 200
"""Characters of what a member of the staff has written."""


@receiver(sessions.happened)
def tell_owner(*, event: Any, **kwargs: Any) -> None:
    """Send the mail about this event, if there is one."""
    if event.kind == sessions.Kind.PASSWORD_CHANGED:
        owner = users.find(event.user_id)
        if owner is not None:
            _send("password_changed", owner)
    elif event.kind == sessions.Kind.FACTORS_RESET:
        owner = users.find(event.user_id)
        if owner is not None:
            _send("factors_reset", owner, what=mail.quoted(event.reason, MAX_REASON))
    elif name := _ABOUT_FACTORS.get(event.kind):
        owner = users.find(event.user_id)
        if owner is not None:
            # The reason is the name of the factor, and may have a note after it, such as the name of a passkey.
            factor, _colon, note = event.reason.partition(": ")
            if (factor, note) == ("recovery_code", "replaced"):
                name = "recovery_codes_replaced"
            what, ip = str(sessions.factors.label_of(factor)), event.ip or _("unknown")
            _send(name, owner, what=what, note=mail.quoted(note), time=event.created_at, ip=ip)
    elif name := _ABOUT_DEVICES.get(event.kind):
        device = sessions.device_of(event)
        if device is not None:
            _send(
                name, device.user, device=mail.quoted(device.name), time=event.created_at, ip=event.ip or _("unknown")
            )


def _send(name: str, owner: Any, **facts: Any) -> None:
    if not (email := users.address_of(owner)):
        return
    try:
        message = mail.compose_with_alarm(name, email, owner, **facts)
    except NoReverseMatch:
        # A project can use our user model with pages of its own.
        logger.warning("mail %s was not sent, because its link needs accounts.urls in the URLs", name)
    else:
        if not delivery.send(message, is_notice=True):
            sessions.record(None, sessions.Kind.MAIL_DROPPED, owner, name)
