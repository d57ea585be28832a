"""Mail: composed while the request lasts, delivered behind it.

A template ``templates/accounts/mail/<name>.txt`` is a mail: its first line the subject, then the paragraphs, an empty
line before each. They are the text, and ``templates/accounts/mail/layout.html`` shows the same ones as HTML. Two kinds
of them are more than text there::

    Confirm your e-mail address             what the button says
    https://example.org/email/confirm?…     where it leads: to our own origin, or it is text

    Device: Firefox on Windows              two lines or more, each a name and a value: a list
    Address: 192.0.2.1

Nobody waits for the mail server, for how long it takes would tell a stranger whether there was anything to send; and
what it does not take is a line in the log ``accounts``, not an error of the request. A process that ends regularly
delivers what it still has.
"""

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from accounts import links
from accounts.models import User

WAITING = 1000
"""Mails that may wait for a slow mail server before further ones are dropped."""

logger = logging.getLogger("accounts")
_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="mail")
_places = BoundedSemaphore(WAITING)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A part of a mail's text, as the HTML shows it."""

    text: str

    @property
    def button(self) -> tuple[str, str] | None:
        """What the button says, and where it leads; None for a paragraph that is no button."""
        label, _, url = self.text.partition("\n")
        return (label, url) if re.fullmatch(re.escape(settings.ORIGIN) + r"/\S*", url) else None

    @property
    def facts(self) -> list[tuple[str, str]] | None:
        """Names and values; None for a paragraph that is no list of them."""
        pairs = [line.partition(": ") for line in self.text.split("\n")]
        is_list = len(pairs) > 1 and all(colon for _, colon, _ in pairs)
        return [(name, value) for name, _, value in pairs] if is_list else None


def compose(name: str, to: str, **context: Any) -> EmailMultiAlternatives:
    """Return the mail of this name, in the language that is active. What ``context`` says is one line each."""
    context = {key: " ".join(value.split()) if isinstance(value, str) else value for key, value in context.items()}
    text = render_to_string(f"accounts/mail/{name}.txt", {"origin": settings.ORIGIN, **context})
    subject, *paragraphs = re.split(r"\n{2,}", text.strip())
    message = EmailMultiAlternatives(subject, "\n\n".join(paragraphs) + "\n", to=[to])
    shown = {"subject": subject, "paragraphs": [Paragraph(text) for text in paragraphs], "origin": settings.ORIGIN}
    html = render_to_string(
        "accounts/mail/layout.html", {**shown, "is_alarm": context.get("purpose") == links.Purpose.ALARM}
    )
    message.attach_alternative(html, "text/html")
    return message


def compose_with_link(
    name: str, to: str, purpose: links.Purpose, user: User, email: str = "", **context: Any
) -> EmailMessage:
    """Return a mail with a new link of this user's."""
    url = links.url(purpose, links.make(purpose, user, email))
    return compose(name, to, link=url, purpose=purpose, hours=_hours(purpose), email=email or user.email, **context)


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
