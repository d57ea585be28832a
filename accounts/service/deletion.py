"""Deletes the user's own account. Receivers of Django's signals end the sessions."""

from django.contrib.auth import logout
from django.http import HttpRequest

from accounts import mail
from accounts.models import User
from tokens import sessions


def delete(request: HttpRequest, user: User) -> None:
    """Delete the account, sign this browser out, and send a mail about it."""
    with sessions.durable():
        # The lock waits for sign-ins that have begun. Later ones find no user.
        row = User.objects.for_decision().select_for_update().filter(pk=user.pk).first()
        if row is not None:
            row.delete()
    logout(request)
    if row is not None:
        mail.send(mail.compose("account_deleted", row.email, email=row.email))
