"""E-mail addresses: confirming the address of a new account, and changing it.

The user asks for the change, and confirms it with a link that is sent to the new address. The old address gets a mail
about the request and about the change. Only the owner of the new address learns whether it already has an account.
"""

from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import delivery, links, mail
from accounts.links import InvalidLink, Purpose
from accounts.models import User
from tokens import sessions


def ask_for_change(request: HttpRequest, user: User, email: str) -> None:
    """Send a link that changes the user's address to ``email``.

    Raise `ValidationError` if it is the user's address already, `Throttled`, and `SessionEnded`.
    """
    email = email.lower()
    if email == user.email:
        raise ValidationError(_("This is already your address."))
    may_send = sessions.throttle(request, "register", email)
    with sessions.change_account(request) as user:
        is_taken = _of_confirmed(email)
        sessions.record(request, sessions.Kind.EMAIL_CHANGE, user)
    # Compose both mails, so that the time does not reveal which one is sent.
    confirmation = mail.compose_with_link("confirm_email_change", email, Purpose.EMAIL_CHANGE, user, email)
    notice = mail.compose_notice("account_exists", email, email=email)
    if may_send:
        delivery.send(notice if is_taken else confirmation)
    _tell_old_address(request, mail.compose_notice("email_change_asked", user.email, email=email), user)


def confirm(request: HttpRequest, token: str) -> None:
    """Confirm a registration or a new address, by the token of a link. Raise `InvalidLink`."""
    link = links.read(token, Purpose.REGISTRATION, Purpose.EMAIL_CHANGE)
    if link.purpose is Purpose.REGISTRATION:
        _confirm_registration(request, link)
    else:
        _change(request, link)


def _confirm_registration(request: HttpRequest, link: links.Link) -> None:
    with sessions.durable():
        # An account that an administrator has deactivated has another fingerprint, so its link is invalid.
        user = link.holder(lock=True)
        user.is_active, user.email_confirmed_at = True, timezone.now()
        user.save(update_fields=["is_active", "email_confirmed_at"])
        sessions.record(request, sessions.Kind.EMAIL_CONFIRMED, user)


def _change(request: HttpRequest, link: links.Link) -> None:
    with sessions.durable():
        user = link.holder(lock=True)
        old, user.email, user.email_confirmed_at = user.email, link.email, timezone.now()
        # A registration of this address that was never confirmed must not prevent the change.
        for stranger in User.objects.filter(email=link.email, email_confirmed_at=None, is_active=False):
            stranger.delete()
        try:
            with transaction.atomic(using=user._state.db):
                user.save(update_fields=["email", "email_confirmed_at"])
        except IntegrityError:
            raise InvalidLink from None
        sessions.record(request, sessions.Kind.EMAIL_CHANGED, user)
    _tell_old_address(request, mail.compose_with_link("email_changed", old, Purpose.ALARM, user), user)


def _tell_old_address(request: HttpRequest, message: EmailMessage, user: User) -> None:
    if not delivery.send(message, is_notice=True):
        sessions.record(request, sessions.Kind.MAIL_DROPPED, user)


def _of_confirmed(email: str) -> bool:
    rows = User.objects.for_decision().filter(email=email).exclude(email_confirmed_at=None)
    return bool(rows.exists())
