"""The alarm: with the link "This was not me" in a mail, the owner of the account ends all sessions.

Every notice (`accounts.notices`) contains the link. It can be used for a week:

- It ends all sessions, also the owner's own, because the server does not know which belong to the attacker.
- It works whatever the attacker has changed meanwhile, and more than once (`accounts.links`).
- It cancels the changes of the account that wait for a link to be used, and the page names them.
- It does not set a password. The link stays in a mailbox for a week, which is too long for a link that resets the
password.
  It sends such a link to the current address.
- It does not restore an old address, although an owner whose address an attacker has changed would need that. A former
  mailbox of the owner, at a previous employer for example, could take the account over. Only the administrators can
  tell these cases apart, so the mail says whom to ask. With access to a former mailbox one can only sign the owner out,
  for a week after the change.
"""

from django.http import HttpRequest

from accounts import delivery, links, mail, users
from accounts.addresses import masked
from accounts.links import InvalidLink, Purpose
from accounts.models import PendingChange
from accounts.service import pending_changes
from tokens import sessions


def account_of(token: str) -> str:
    """Return the current address of this link's user, masked. Raise `InvalidLink`.

    A former mailbox of the user, which may be somebody else's today, can have the link.
    """
    user = users.find(links.read(token, Purpose.ALARM).key)
    if user is None:
        raise InvalidLink
    return masked(users.address_of(user))


def raise_alarm(request: HttpRequest, token: str) -> list[PendingChange]:
    """End all sessions of the user of this link, cancel pending changes, and record it. Return these changes.

    The user's address gets a link that resets the password. Raise `InvalidLink`.
    """
    link = links.read(token, Purpose.ALARM)
    reset = ""
    with sessions.durable():
        user = users.lock(link.key)
        if user is None:
            raise InvalidLink
        waiting = pending_changes.waiting(user)
        sessions.revoke_all(request, user, sessions.Reason.ENDED_BY_USER, note="alarm")
        pending_changes.cancel(user.pk)
        sessions.record(request, sessions.Kind.ALARM, user)
        # An attacker may have used up the mails that can be asked for. These are counted by themselves.
        may_reset = user.is_active and user.has_usable_password() and users.address_of(user)
        if may_reset and sessions.may_send(request, "reset", f"alarm of {user.pk}"):
            reset = pending_changes.add(Purpose.PASSWORD_RESET, user, by_alarm=True)
    if reset:
        email = users.address_of(user)
        message = mail.compose_with_link("reset_password", email, Purpose.PASSWORD_RESET, reset, email=email)
        delivery.send(message)
    return waiting
