"""Deletes the user's own account. Receivers of Django's signals end the sessions."""

from typing import Any

from django.contrib.auth import logout
from django.http import HttpRequest

from accounts import delivery, mail, users
from accounts.service import strongest
from tokens import sessions


def delete(request: HttpRequest, **proof: Any) -> None:
    """Delete the account, sign this browser out, and send a mail about it. Raise `SessionEnded`.

    Raise `RefreshTokenRequired`, and what `strongest.require` raises. ``proof``: see `sessions.change_account`.
    """
    with sessions.change_account(request, **proof) as user:
        strongest.require(request, user, **proof)
        user.delete()
    logout(request)
    email = users.address_of(user)
    if email and not delivery.send(mail.compose("account_deleted", email, email=email), is_notice=True):
        sessions.record(request, sessions.Kind.MAIL_DROPPED, reason="account_deleted")
