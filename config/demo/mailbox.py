"""The mailbox of development: mails go to the console, and are kept for the pages in `config.demo.mailbox_views`.

Its URL is ``mailbox://``, what ``EMAIL_URL`` says by default with DEBUG on. Mails are kept in the memory of the process
that sent them, the last `KEPT`, and are gone with it.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from django.core.mail import EmailMessage
from django.core.mail.backends import console
from django.utils import timezone

KEPT = 100
"""Mails."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that was sent. ``number``: counted from 1 by this process."""

    number: int
    to: str
    subject: str
    sent_at: datetime
    text: str
    html: str


_kept: deque[Mail] = deque(maxlen=KEPT)
_numbers = count(1)


class EmailBackend(console.EmailBackend):
    def write_message(self, message: EmailMessage) -> None:
        """Keep the mail, and write its text to the console: the HTML says the same, and nobody reads it there."""
        html = next((part[0] for part in getattr(message, "alternatives", ()) if part[1] == "text/html"), "")
        to, body = ", ".join(message.recipients()), str(message.body)
        _kept.append(Mail(next(_numbers), to, str(message.subject), timezone.now(), body, str(html)))
        super().write_message(EmailMessage(message.subject, body, message.from_email, message.to))


def newest_first() -> list[Mail]:
    """The mails that are kept."""
    return [*_kept][::-1]


def find(number: int) -> Mail | None:
    """Return the mail of this number, if it is kept still."""
    return next((mail for mail in newest_first() if mail.number == number), None)
