"""Deleting one's own account: what the user holds ends with it, by what listens to Django's signals."""

from django.contrib.auth import logout
from django.http import HttpRequest

from accounts import mail
from accounts.models import User
from tokens import sessions


def delete(request: HttpRequest, user: User) -> None:
    """Delete the account, sign this browser out, and tell the owner."""
    with sessions.durable():
        # Locked first: a sign-in that has begun is waited for, one that begins finds nobody.
        row = User.objects.for_decision().select_for_update().filter(pk=user.pk).first()
        if row is not None:
            row.delete()
    logout(request)
    if row is not None:
        mail.send(mail.compose("account_deleted", row.email, email=row.email))
