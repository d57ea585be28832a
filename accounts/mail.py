"""Mail: composed while the request lasts, delivered behind it.

A template ``templates/mail/<name>.txt`` is a mail: its first line the subject, then an empty line, then the text.
Nobody waits for the mail server, for how long it takes would tell a stranger whether there was anything to send; and
what it does not take is a line in the log ``accounts``, not an error of the request. A process that ends regularly
delivers what it still has.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse

from accounts import links
from accounts.models import User

WAITING = 1000
"""Mails that may wait for a slow mail server before further ones are dropped."""

logger = logging.getLogger("accounts")
_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="mail")
_places = BoundedSemaphore(WAITING)


def compose(name: str, to: str, **context: Any) -> EmailMessage:
    """Return the mail of this name, in the language that is active."""
    text = render_to_string(f"mail/{name}.txt", {"origin": settings.ORIGIN, **context})
    subject, _, body = text.strip().partition("\n\n")
    return EmailMessage(subject, body.strip() + "\n", to=[to])


def compose_with_link(name: str, to: str, purpose: links.Purpose, user: User, email: str = "") -> EmailMessage:
    """Return a mail with a new link of this user's."""
    token = links.make(purpose, user, email)
    return compose(name, to, link=links.url(purpose, token), hours=_hours(purpose), email=email or user.email)


def compose_notice(name: str, to: str, **context: Any) -> EmailMessage:
    """Return a mail that tells what was done, and where to undo it: by a reset of the password."""
    return compose(name, to, reset=f"{settings.ORIGIN}{reverse('reset-password')}", **context)


def send(message: EmailMessage) -> None:
    """Deliver a mail, soon. Call it when what it tells of is committed."""
    if not _places.acquire(blocking=False):
        logger.error("mail dropped: %s wait already", WAITING)
        return
    _pool.submit(_deliver, message)


def _deliver(message: EmailMessage) -> None:
    try:
        message.send()
    except Exception as error:  # Whatever a mail server, or the way to it, can do wrong.
        # Neither the text, which may hold a link, nor the server's words, which may quote it.
        logger.error("mail not sent: %s", type(error).__name__)
    finally:
        _places.release()


def _hours(purpose: links.Purpose) -> int:
    return int(links.LIFETIMES[purpose].total_seconds() // 3600)
