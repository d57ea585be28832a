"""Passwords: changed by whoever knows the old one, or reset by whoever reads the account's mail.

A change ends all other sessions and keeps the one it was made in; a reset ends all. Both are told to the owner, by
`accounts.notices`.
"""

from django.contrib.auth import authenticate
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts import links, mail
from accounts.links import Purpose
from accounts.models import MAX_PASSWORD, User
from tokens import sessions


class WrongPassword(Exception):
    """The current password is another one."""


class SessionEnded(Exception):
    """The session in which something was to be changed has ended meanwhile: nothing was changed."""


def check_password_rules(password: str, user: User) -> None:
    """Raise `ValidationError` unless the password is good enough for this user."""
    if len(password) > MAX_PASSWORD:
        raise ValidationError(_("This password is too long."))
    validate_password(password, user)


def reauthenticate(request: HttpRequest, user: User, current: str) -> None:
    """Let the session count as signed in just now. Raises `WrongPassword`, and `SessionEnded`."""
    if not sessions.reauthenticate(request, _known(request, user, current)):
        raise SessionEnded


def change(request: HttpRequest, user: User, current: str, new: str) -> None:
    """Change the password. Raises `WrongPassword`, `SessionEnded`, and `ValidationError` for the new one."""
    known = _known(request, user, current)
    check_password_rules(new, known)
    before = known.password
    known.set_password(new)
    with sessions.durable():
        row = User.objects.for_decision().select_for_update(no_key=True).filter(pk=known.pk).first()
        if row is None or row.password != before:
            raise WrongPassword  # Changed meanwhile, by somebody else.
        known.save(update_fields=["password"])
        if not sessions.revoke_others(request, known, sessions.Reason.PASSWORD_CHANGED):
            raise SessionEnded
        sessions.record(request, sessions.Kind.PASSWORD_CHANGED, known)


def ask_for_reset(request: HttpRequest, email: str) -> None:
    """Send a link that resets the password, if there is an active account that signs in with one.

    Raises `Throttled`.
    """
    email = email.lower()
    may_send = sessions.throttle(request, "reset", email)
    user = User.objects.for_decision().filter(email=email, is_active=True).first()
    with sessions.durable():
        sessions.record(request, sessions.Kind.PASSWORD_RESET, user)
    # For a stranger too: what is not sent costs what the others' costs.
    somebody = user or User(email=email, password="")
    message = mail.compose_with_link("reset_password", somebody.email, Purpose.PASSWORD_RESET, somebody)
    if may_send and user is not None and user.has_usable_password():
        mail.send(message)


def reset(request: HttpRequest, token: str, new: str) -> None:
    """Set a new password by a link, and end all sessions. Raises `InvalidLink`, and `ValidationError`."""
    link = links.read(token, Purpose.PASSWORD_RESET)
    user = link.holder()
    check_password_rules(new, user)
    user.set_password(new)
    with sessions.durable():
        link.holder(lock=True)  # Still good: nobody was faster.
        user.save(update_fields=["password"])
        sessions.revoke_all(request, user, sessions.Reason.PASSWORD_CHANGED)
        sessions.record(request, sessions.Kind.PASSWORD_CHANGED, user, "reset")
    sessions.allow_sign_in_after_reset(request, user)


def _known(request: HttpRequest, user: User, current: str) -> User:
    known = authenticate(request, username=user.get_username(), password=current)
    if not isinstance(known, User) or known.pk != user.pk:
        raise WrongPassword
    return known
