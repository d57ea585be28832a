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

from accounts import delivery, links, mail, users
from accounts.links import InvalidLink, Purpose
from accounts.service import pending_changes, registration, strongest
from tokens import sessions


def ask_for_change(request: HttpRequest, user: Any, email: str, **proof: Any) -> None:
    """Send a link that changes the user's address to ``email``. ``proof``: see `sessions.change_account`.

    Raise `ValidationError` if it is the user's address already, `Throttled`, `SessionEnded` and `RefreshTokenRequired`,
    and `StrongerRequired` if the user has a stronger factor than a password, and has not just used it.
    """
    email = email.lower()
    current = users.address_of(user)
    if email == current.lower() and users.is_confirmed(user):
        raise ValidationError(_("This is already your address."))
    strongest.require(request, user, **proof)  # Before the mail is counted, and again under the lock.
    may_send = sessions.throttle(request, "register", email)
    with sessions.change_account(request, **proof) as user:
        strongest.require(request, user, **proof)
        others = _others_at(email, user)
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
    stored = users.address_of(others[0]) if others else email
    notice = mail.compose_notice("account_exists", stored, email=stored)
    if may_send:
        delivery.send(notice if others else confirmation)
    if may_send and email != current.lower():
        _tell_old_address(request, mail.compose_notice("email_change_asked", current, email=email), user)


def look_at(token: str) -> None:
    """Raise `InvalidLink` or `UsedLink` if this link cannot confirm a registration or a new address."""
    link = links.read(token, Purpose.REGISTRATION, Purpose.EMAIL_CHANGE)
    if link.purpose is Purpose.REGISTRATION:
        registration.look_at(link)
    else:
        pending_changes.look_at(link)


def registered_name(token: str) -> str:
    """Return the user name of the registration with this token, which may be its address.

    Return "" if it cannot be confirmed.
    """
    try:
        registered = registration.look_at(links.read(token, Purpose.REGISTRATION))
        return registered.email if users.name_field() is None else registered.username
    except (InvalidLink, links.UsedLink):
        return ""


def confirm(request: HttpRequest, token: str, password: str | None = None, **of_registration: Any) -> None:
    """Confirm a registration or a new address, by the token of a link. Raise `InvalidLink` or `UsedLink`.

    The password and ``of_registration`` are for a registration (`registration.confirm`, which can raise more).
    """
    link = links.read(token, Purpose.REGISTRATION, Purpose.EMAIL_CHANGE)
    if link.purpose is Purpose.REGISTRATION:
        registration.confirm(request, link, password, **of_registration)
    else:
        _change(request, link)


def _change(request: HttpRequest, link: links.Link) -> None:
    with sessions.durable(), pending_changes.carry_out(link) as (user, change):
        old = users.address_of(user)
        if not users.are_addresses_unique():
            sessions.take_turns(registration.turn_of(change.new_email))
            if _others_at(change.new_email, user):
                raise InvalidLink
        fields = users.set_address(user, change.new_email, timezone.now())
        try:
            with transaction.atomic(using=user._state.db):
                user.save(update_fields=fields)
        except IntegrityError:
            raise InvalidLink from None
        is_new = users.address_of(user) != old
        sessions.record(request, sessions.Kind.EMAIL_CHANGED if is_new else sessions.Kind.EMAIL_CONFIRMED, user)
    if is_new:
        _tell_old_address(request, mail.compose_with_alarm("email_changed", old, user), user)


def change_by_staff(request: HttpRequest, user: Any, old: str) -> None:
    """Save a user whose address a member of the staff has changed from ``old``. The new address is to be confirmed.

    Both addresses get a mail after the commit. Call it in a transaction.
    """
    email = users.address_of(user)
    users.set_address(user, email, None)
    user.save()
    email = users.address_of(user)
    token = pending_changes.add(Purpose.EMAIL_CHANGE, user, new_email=email)
    sessions.record(request, sessions.Kind.EMAIL_CHANGED, user, "by staff", by=request.user)
    confirmation = mail.compose_with_link("confirm_email_of_staff", email, Purpose.EMAIL_CHANGE, token, email=email)
    notice = mail.compose_with_alarm("email_changed_by_staff", old, user)

    def send() -> None:
        delivery.send(confirmation)
        _tell_old_address(request, notice, user)

    transaction.on_commit(send, using=user._state.db)


def _tell_old_address(request: HttpRequest, message: EmailMessage, user: Any) -> None:
    if any(message.to) and not delivery.send(message, is_notice=True):
        sessions.record(request, sessions.Kind.MAIL_DROPPED, user)


def _others_at(email: str, user: Any) -> list[Any]:
    """Return the other accounts that have this address, in any spelling."""
    return [found for found in users.owners_of(email) if found != user]
