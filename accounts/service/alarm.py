"""The alarm: the owner says "this was not me", by the link in a mail, and everybody is signed out.

Every notice of what a thief may have done carries the link: a new device, a token used twice, the password changed, the
address changed. Whoever holds such a mail can do this one thing with it, for the week that the link is good:

- It ends all sessions, the presser's own included, since nobody knows which of them are the thief's.
- It works whatever the thief has changed meanwhile, and again when the thief has come back: see `accounts.links`.
- It does not set a password. The link lives long, in a mailbox, and would be a reset link that lives long. It leads to
  the page that sends one, to the address of today. The new password also ends links that a thief has asked for.
- It does not give an account its old address back, though an owner whose address a thief has changed would wish for
  that. For whoever holds a mailbox that the owner has left, a former employer say, it would be a way to take the
  account. Only people who run the site can tell the two apart: the mail says whom to ask. What such a holder can do is
  sign the owner out, for a week after the change.
"""

from django.http import HttpRequest

from accounts import links
from accounts.links import Purpose
from tokens import sessions


def raise_alarm(request: HttpRequest, token: str) -> None:
    """End all sessions of the user whose link this is, and write down that they asked for it. Raises `InvalidLink`."""
    link = links.read(token, Purpose.ALARM)
    with sessions.durable():
        user = link.holder(lock=True)
        sessions.revoke_all(request, user, sessions.Reason.ENDED_BY_USER, note="alarm")
        sessions.record(request, sessions.Kind.ALARM, user)
