"""E-mail addresses: confirming the address of a registration, and changing it, by its user or by staff.

The user asks for the change, and confirms it with a link that is sent to the new address. The old address gets a mail
about the request and about the change. Only the owner of the new address learns whether it already has an account.
"""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import delivery, links, mail
from accounts.links import InvalidLink, Purpose
from accounts.models import User
from accounts.service import pending_changes, registration
from tokens import sessions


def ask_for_change(request: HttpRequest, user: User, email: str, **proof: Any) -> None:
    """Send a link that changes the user's address to ``email``. ``proof``: see `sessions.change_account`.

    Raise `ValidationError` if it is the user's address already, `Throttled`, `SessionEnded` and `RefreshTokenRequired`.
    """
    email = email.lower()
    if email == user.email and user.email_confirmed_at is not None:
        raise ValidationError(_("This is already your address."))
    may_send = sessions.throttle(request, "register", email)
    with sessions.change_account(request, **proof) as user:
        other = _other_at(email, user)
        token = pending_changes.add(
            Purpose.EMAIL_CHANGE,
            user,
            new_email=email,
            session_id=sessions.current_id(request),
            discard=not may_send,
        )
        if may_send:
            sessions.record(request, sessions.Kind.EMAIL_CHANGE, user)
    # Compose both mails, so that the time does not reveal which one is sent.
    confirmation = mail.compose_with_link("confirm_email_change", email, Purpose.EMAIL_CHANGE, token, email=email)
    stored = other.email if other else email
    notice = mail.compose_notice("account_exists", stored, email=stored)
    if may_send:
        delivery.send(notice if other else confirmation)
    if may_send and email != user.email:
        _tell_old_address(request, mail.compose_notice("email_change_asked", user.email, email=email), user)


def look_at(token: str) -> None:
    """Raise `InvalidLink` or `UsedLink` if this link cannot confirm a registration or a new address."""
    link = links.read(token, Purpose.REGISTRATION, Purpose.EMAIL_CHANGE)
    if link.purpose is Purpose.REGISTRATION:
        registration.look_at(link)
    else:
        pending_changes.look_at(link)


def confirm(request: HttpRequest, token: str, password: str | None = None, *, is_given: bool = False) -> None:
    """Confirm a registration or a new address, by the token of a link. Raise `InvalidLink` or `UsedLink`.

    The password and ``is_given`` are for a registration (`registration.confirm`, which can raise more).
    """
    link = links.read(token, Purpose.REGISTRATION, Purpose.EMAIL_CHANGE)
    if link.purpose is Purpose.REGISTRATION:
        registration.confirm(request, link, password, is_given=is_given)
    else:
        _change(request, link)


def _change(request: HttpRequest, link: links.Link) -> None:
    with sessions.durable(), pending_changes.carry_out(link) as (user, change):
        old, user.email, user.email_confirmed_at = user.email, change.new_email, timezone.now()
        try:
            with transaction.atomic(using=user._state.db):
                user.save(update_fields=["email", "email_confirmed_at"])
        except IntegrityError:
            raise InvalidLink from None
        is_new = user.email != old
        sessions.record(request, sessions.Kind.EMAIL_CHANGED if is_new else sessions.Kind.EMAIL_CONFIRMED, user)
    if is_new:
        _tell_old_address(request, mail.compose_with_alarm("email_changed", old, user), user)


def change_by_staff(request: HttpRequest, user: User, old: str) -> None:
    """Save a user whose address a member of the staff has changed from ``old``. The new address is to be confirmed.

    Both addresses get a mail after the commit. Call it in a transaction.
    """
    user.email_confirmed_at = None
    user.save()
    token = pending_changes.add(Purpose.EMAIL_CHANGE, user, new_email=user.email)
    sessions.record(request, sessions.Kind.EMAIL_CHANGED, user, "by staff", by=request.user)
    confirmation = mail.compose_with_link(
        "confirm_email_of_staff", user.email, Purpose.EMAIL_CHANGE, token, email=user.email
    )
    notice = mail.compose_with_alarm("email_changed_by_staff", old, user)

    def send() -> None:
        delivery.send(confirmation)
        _tell_old_address(request, notice, user)

    transaction.on_commit(send, using=user._state.db)


def _tell_old_address(request: HttpRequest, message: EmailMessage, user: User) -> None:
    if not delivery.send(message, is_notice=True):
        sessions.record(request, sessions.Kind.MAIL_DROPPED, user)


def _other_at(email: str, user: User) -> User | None:
    """Return the other account that has this address, in any spelling."""
    found: User | None = User.objects.for_decision().at_address(email)
    return None if found == user else found
