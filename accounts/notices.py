"""Notices: what happened that somebody else may have caused, its owner is told by mail.

A device that was not there before, a session that ended because its token was used twice, and a new password, by
whichever door: Django's own page too. A change of address is told where it is made, by `accounts.service`, which knows
the one of before. Nobody is told of the first sign-in of an account: that is its owner's.

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
from accounts.models import User
from tokens import sessions

logger = logging.getLogger("accounts")

_ABOUT_DEVICES = {
    sessions.Kind.NEW_DEVICE: "new_device",
    sessions.Kind.REUSE_DETECTED: "token_used_twice",
}


@receiver(sessions.happened)
def tell_owner(*, event: Any, **kwargs: Any) -> None:
    """Send the mail for this event, if there is one."""
    if event.kind == sessions.Kind.PASSWORD_CHANGED:
        owner = User.objects.for_decision().filter(pk=event.user_id).first()
        if owner is not None:
            _send("password_changed", owner)
    elif name := _ABOUT_DEVICES.get(event.kind):
        device = sessions.device_of(event)
        if device is not None and not (event.kind == sessions.Kind.NEW_DEVICE and device.is_first_ever):
            _send(name, device.user, device=device.name, time=event.created_at, ip=event.ip or _("unknown"))


def _send(name: str, owner: Any, **facts: Any) -> None:
    try:
        message = mail.compose_with_link(name, owner.email, Purpose.ALARM, owner, **facts)
    except NoReverseMatch:
        # A project that has our users, and pages of its own.
        logger.warning("no mail %s: accounts.urls is not included, and its link would lead nowhere", name)
    else:
        mail.send(message)
