"""The texts of mails. They are composed during the request, and `accounts.delivery` sends them after it.

The template ``templates/accounts/mail/<name>.txt`` is a mail. Its first line is the subject, and its paragraphs are
separated by empty lines. ``templates/accounts/mail/layout.html`` shows the same paragraphs as HTML. Two kinds of
paragraphs are shown in a special way::

    Confirm your e-mail address             the text of a button
    https://example.org/email/confirm?…     its URL, on our own origin; otherwise it is shown as text

    Device: Firefox on Windows              two or more lines with a name and a value: a list
    Address: 192.0.2.1
"""

import re
import unicodedata
from dataclasses import dataclass
from email import policy
from typing import Any

import django
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from accounts import links, users
from accounts.addresses import deliverable

MAX_NAME = 40
"""Characters of a device's name in a mail."""
_WHOLE_LINES = policy.default.clone(max_line_length=998)
"""Lines as long as RFC 5322 allows (section 2.1.1). The backend for SMTP has a policy of its own."""
_LINKED = re.compile(r"[./:@\\]")
"""What makes a mail program show a text as a link to a site or an address."""


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


class Mail(EmailMultiAlternatives):
    """A mail whose links can be copied from the console. Django 6 breaks lines of more than 78 characters there."""

    def message(self, **options: Any) -> Any:
        if django.VERSION >= (6, 0):
            options.setdefault("policy", _WHOLE_LINES)
        return super().message(**options)


def compose(name: str, to: str, **context: Any) -> EmailMultiAlternatives:
    """Return the mail with this name, in the active language. Line breaks in ``context`` are removed."""
    context = {key: " ".join(value.split()) if isinstance(value, str) else value for key, value in context.items()}
    text = render_to_string(f"accounts/mail/{name}.txt", {"origin": settings.ORIGIN, **context})
    subject, *paragraphs = re.split(r"\n{2,}", text.strip())
    message = Mail(subject, "\n\n".join(paragraphs) + "\n", to=[deliverable(to)])
    shown = {"subject": subject, "paragraphs": [Paragraph(text) for text in paragraphs], "origin": settings.ORIGIN}
    html = render_to_string(
        "accounts/mail/layout.html", {**shown, "is_alarm": context.get("purpose") == links.Purpose.ALARM}
    )
    message.attach_alternative(html, "text/html")
    return message


def compose_with_link(
    name: str, to: str, purpose: links.Purpose, token: str, *, email: str, **context: Any
) -> EmailMessage:
    """Return a mail with the link of this token. ``email`` is the address that the text names."""
    url, hours = links.url(purpose, token), int(links.LIFETIMES[purpose].total_seconds() // 3600)
    return compose(name, to, link=url, purpose=purpose, hours=hours, email=email, **context)


def compose_with_alarm(name: str, to: str, user: Any, **context: Any) -> EmailMessage:
    """Return a mail with the link "This was not me". The text names the user's address."""
    token = links.make(links.Purpose.ALARM, user.pk)
    return compose_with_link(name, to, links.Purpose.ALARM, token, email=users.address_of(user), **context)


def compose_notice(name: str, to: str, **context: Any) -> EmailMessage:
    """Return a mail about a change, with a link to the page that resets the password."""
    return compose(name, to, reset=f"{settings.ORIGIN}{reverse('reset-password')}", **context)


def quoted(name: str, most: int = MAX_NAME) -> str:
    """Return a device's name in quotes, cut to ``most`` characters, without anything that becomes a link.

    The person who signs in chooses the name. The owner of the account, who may be another person, reads it.
    """
    plain = _LINKED.sub("·", unicodedata.normalize("NFKC", name))
    return f"“{plain if len(plain) <= most else plain[: most - 1] + '…'}”"
