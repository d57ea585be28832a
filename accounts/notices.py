"""Notices: what happened to a session that somebody else may have caused, its owner is told by mail.

A device that was not there before, and a session that ended because its token was used twice. Changes of the account
are told where they are made, by `accounts.service`, which knows the address of before. Nobody is told of the first
sign-in of an account: that is its owner's.

This runs in the request that signed in or was refused, which must not tell a thief from an owner by its answer. So
nothing here looks at who asks: times are in UTC, for showing one in the reader's zone would show in the headers.
"""

import logging
from typing import Any

from django.dispatch import receiver
from django.urls import NoReverseMatch
from django.utils.translation import gettext as _

from accounts import mail
from accounts.links import Purpose
from tokens import sessions

logger = logging.getLogger("accounts")

_MAILS = {
    sessions.Kind.NEW_DEVICE: "new_device",
    sessions.Kind.REUSE_DETECTED: "token_used_twice",
}


@receiver(sessions.happened)
def tell_owner(*, event: Any, **kwargs: Any) -> None:
    """Send the mail for this event, if there is one."""
    name = _MAILS.get(event.kind)
    device = sessions.device_of(event) if name else None
    if name is None or device is None or (event.kind == sessions.Kind.NEW_DEVICE and device.is_first_ever):
        return
    owner = device.user
    facts = {"device": device.name, "time": event.created_at, "ip": event.ip or _("unknown")}
    try:
        message = mail.compose_with_link(name, owner.email, Purpose.ALARM, owner, **facts)
    except NoReverseMatch:
        # A project that has our users, and pages of its own.
        logger.warning("no mail of %s: accounts.urls is not included, and its link would lead nowhere", event.kind)
    else:
        mail.send(message)
