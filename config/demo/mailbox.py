"""The mailbox: an e-mail backend for development. `config.demo.mailbox_views` shows its mails.

Its URL ``mailbox://`` is the default of ``EMAIL_URL`` with DEBUG on. The process that sends the mails prints them on
the console, and keeps the last `KEPT` in its memory.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from django.core.mail import EmailMessage
from django.core.mail.backends import console
from django.utils import timezone

KEPT = 100
"""How many mails are kept."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that was sent. ``number`` is counted from 1 in this process."""

    number: int
    to: str
    subject: str
    sent_at: datetime
    text: str
    html: str


_kept: deque[Mail] = deque(maxlen=KEPT)
_numbers = count(1)


class EmailBackend(console.EmailBackend):
    """Keeps mails, and prints them on the console."""

    def write_message(self, message: EmailMessage) -> None:
        """Keep the mail, and print its text. The HTML has the same content."""
        html = next((part[0] for part in getattr(message, "alternatives", ()) if part[1] == "text/html"), "")
        to, body = ", ".join(message.recipients()), str(message.body)
        _kept.append(Mail(next(_numbers), to, str(message.subject), timezone.now(), body, str(html)))
        super().write_message(EmailMessage(message.subject, body, message.from_email, message.to))


def newest_first() -> list[Mail]:
    """Return the mails, the newest first."""
    return [*_kept][::-1]


def find(number: int) -> Mail | None:
    """Return the mail with this number, or None."""
    return next((mail for mail in newest_first() if mail.number == number), None)
