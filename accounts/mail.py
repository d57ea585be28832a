"""Mails: composed during the request, and delivered after it.

The template ``templates/accounts/mail/<name>.txt`` is a mail. Its first line is the subject, and its paragraphs are
separated by empty lines. ``templates/accounts/mail/layout.html`` shows the same paragraphs as HTML. Two kinds of
paragraphs are shown in a special way::

    Confirm your e-mail address             the text of a button
    https://example.org/email/confirm?…     its URL, on our own origin; otherwise it is shown as text

    Device: Firefox on Windows              two or more lines with a name and a value: a list
    Address: 192.0.2.1

No request waits for the mail server, because the time would tell whether there was a mail to send. If the server
rejects a mail, the error is logged in ``accounts``. A process that ends regularly delivers the mails that are still
waiting.
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
from accounts.addresses import deliverable
from accounts.models import User

WAITING = 1000
"""Mails that wait for a slow mail server. Further ones are dropped."""

logger = logging.getLogger("accounts")
_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="mail")
_places = BoundedSemaphore(WAITING)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of a mail."""

    text: str

    @property
    def button(self) -> tuple[str, str] | None:
        """The text and the URL of a button. None if the paragraph is not a button."""
        label, _, url = self.text.partition("\n")
        return (label, url) if re.fullmatch(re.escape(settings.ORIGIN) + r"/\S*", url) else None

    @property
    def facts(self) -> list[tuple[str, str]] | None:
        """The names and values of a list. None if the paragraph is not a list."""
        pairs = [line.partition(": ") for line in self.text.split("\n")]
        is_list = len(pairs) > 1 and all(colon for _, colon, _ in pairs)
        return [(name, value) for name, _, value in pairs] if is_list else None


def compose(name: str, to: str, **context: Any) -> EmailMultiAlternatives:
    """Return the mail with this name, in the active language. Line breaks in ``context`` are removed."""
    context = {key: " ".join(value.split()) if isinstance(value, str) else value for key, value in context.items()}
    text = render_to_string(f"accounts/mail/{name}.txt", {"origin": settings.ORIGIN, **context})
    subject, *paragraphs = re.split(r"\n{2,}", text.strip())
    message = EmailMultiAlternatives(subject, "\n\n".join(paragraphs) + "\n", to=[deliverable(to)])
    shown = {"subject": subject, "paragraphs": [Paragraph(text) for text in paragraphs], "origin": settings.ORIGIN}
    html = render_to_string(
        "accounts/mail/layout.html", {**shown, "is_alarm": context.get("purpose") == links.Purpose.ALARM}
    )
    message.attach_alternative(html, "text/html")
    return message


def compose_with_link(
    name: str, to: str, purpose: links.Purpose, user: User, email: str = "", **context: Any
) -> EmailMessage:
    """Return a mail with a new link for this user."""
    url = links.url(purpose, links.make(purpose, user, email))
    return compose(name, to, link=url, purpose=purpose, hours=_hours(purpose), email=email or user.email, **context)


def compose_notice(name: str, to: str, **context: Any) -> EmailMessage:
    """Return a mail about a change, with a link to the page that resets the password."""
    return compose(name, to, reset=f"{settings.ORIGIN}{reverse('reset-password')}", **context)


def send(message: EmailMessage) -> None:
    """Deliver a mail in the background. Call it after the commit."""
    if not _places.acquire(blocking=False):
        logger.error("mail dropped, because %s are waiting", WAITING)
        return
    _pool.submit(_deliver, message)


def _deliver(message: EmailMessage) -> None:
    try:
        message.send()
    except Exception as error:  # Mail servers and networks fail in many ways.
        # The log contains neither the mail, which may hold a link, nor the server's message, which may quote it.
        logger.error("mail not sent: %s", type(error).__name__)
    finally:
        _places.release()


def _hours(purpose: links.Purpose) -> int:
    return int(links.LIFETIMES[purpose].total_seconds() // 3600)
