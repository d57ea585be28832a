"""Passwords: changed by a user who knows the current one, or reset with a link in a mail.

A change ends all other sessions of the user, and a reset ends all. `accounts.notices` sends a mail about both.
"""

from copy import copy
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import delivery, demo_accounts, links, mail, users
from accounts.links import Purpose
from accounts.models import MAX_PASSWORD
from accounts.service import pending_changes, strongest
from tokens import sessions
from tokens.sessions import authenticate

WRONG_PASSWORD = gettext_lazy("This is not your current password.")
WRONG_ANSWER = gettext_lazy("This is not right.")
"""The errors of a form field, on a page."""


class WrongPassword(Exception):
    """The current password is wrong."""


def wrong(given: dict[str, Any]) -> Any:
    """Return the error of a form whose answer was wrong. ``given``: its cleaned data."""
    return WRONG_PASSWORD if given.get("method", "password") == "password" else WRONG_ANSWER


def check_password_rules(password: str, user: Any) -> None:
    """Raise `ValidationError` unless the password is allowed for this user."""
    if len(password) > MAX_PASSWORD:
        raise ValidationError(_("This password is too long."))
    if not demo_accounts.may_use(password):
        raise ValidationError(_("This password is too common."))
    # The hash is made from the normalised password, so it must be good enough too: "ｐａｓｓｗｏｒｄ１" is common.
    for spelling in sessions.password_spellings(password):
        validate_password(spelling, user)


def reauthenticate(request: HttpRequest, user: Any, current: str, method: str = "password") -> None:
    """Record that the user has just authenticated again. Raise `WrongPassword` or `SessionEnded`."""
    if not sessions.reauthenticate(request, authenticated(request, user, current, method)):
        raise sessions.SessionEnded


def change(request: HttpRequest, user: Any, current: str, new: str) -> None:
    """Change the password. Raise `WrongPassword`, `SessionEnded`, or `ValidationError` for the new one."""
    known = authenticated(request, user, current)
    check_password_rules(new, known)
    changed = copy(known)
    changed.set_password(new)  # Before the rows are locked, because hashing takes time.
    try:
        with sessions.change_account(request, authenticated=known):
            changed.save(update_fields=["password"])
            sessions.revoke_others(request, changed, sessions.Reason.PASSWORD_CHANGED)
            sessions.record(request, sessions.Kind.PASSWORD_CHANGED, changed)
    except sessions.RefreshTokenRequired:
        raise WrongPassword from None  # Another request has changed it meanwhile.


def set_first(request: HttpRequest, user: Any, new: str, **proof: Any) -> None:
    """Set the password of a user who has none. Raise what `sessions.change_account` raises with this proof.

    Raise `RefreshTokenRequired` too if the user has a password by now, `ValidationError` for the new one, and what
    `strongest.require` raises.
    """
    check_password_rules(new, user)
    changed = copy(user)
    changed.set_password(new)
    with sessions.change_account(request, **proof) as current:
        if current.has_usable_password():
            raise sessions.RefreshTokenRequired
        strongest.require(request, current, **proof)
        changed.save(update_fields=["password"])
        sessions.revoke_others(request, changed, sessions.Reason.PASSWORD_CHANGED)
        sessions.record(request, sessions.Kind.PASSWORD_CHANGED, changed)


def ask_for_reset(request: HttpRequest, email: str) -> None:
    """Send a link that resets the password, if there is an active account with a password. Raise `Throttled`."""
    may_send = sessions.throttle(request, "reset", email)
    user = users.at_address(email)
    if user is not None and not user.is_active:
        user = None
    # Also without an account, so that both cases take the same time. What is not sent leaves no row.
    nobody = users.unsaved(email)
    recipient = user or nobody
    is_sent = may_send and user is not None and user.has_usable_password()
    with sessions.durable():
        sessions.record(request, sessions.Kind.PASSWORD_RESET, user, discard=not is_sent)
        token = pending_changes.add(Purpose.PASSWORD_RESET, recipient if is_sent else nobody, discard=not is_sent)
    stored = users.address_of(recipient)
    message = mail.compose_with_link("reset_password", stored, Purpose.PASSWORD_RESET, token, email=stored)
    if is_sent:
        delivery.send(message)


def look_at(token: str) -> None:
    """Raise `InvalidLink` or `UsedLink` if this link cannot reset the password."""
    pending_changes.look_at(links.read(token, Purpose.PASSWORD_RESET))


def user_name_of(token: str) -> str:
    """Return the user name of the account whose password this link can reset, or "" if it can reset none."""
    try:
        user = pending_changes.look_at(links.read(token, Purpose.PASSWORD_RESET))
    except (links.InvalidLink, links.UsedLink):
        return ""
    return str(user.get_username())


def reset(request: HttpRequest, token: str, new: str) -> None:
    """Set a new password by a link, and end all sessions. After the alarm this recovers the account too.

    Raise `InvalidLink`, `UsedLink` or `ValidationError`.
    """
    link = links.read(token, Purpose.PASSWORD_RESET)
    user = pending_changes.look_at(link)
    check_password_rules(new, user)
    user.set_password(new)
    # It checks again: another request may have used the link.
    with sessions.durable(), pending_changes.carry_out(link):
        user.save(update_fields=["password"])
        sessions.revoke_all(request, user, sessions.Reason.PASSWORD_CHANGED)
        sessions.recover_account(request, user, links.LIFETIMES[Purpose.ALARM])
        sessions.record(request, sessions.Kind.PASSWORD_CHANGED, user, "reset")
    sessions.allow_sign_in_after_reset(request, user)


def authenticated(request: HttpRequest, user: Any, current: str, method: str = "password") -> Any:
    """Return the user as `authenticate` returns them for the current password. Raise `WrongPassword`.

    ``method``: the name of the factor that ``current`` answers, if that is not the password. Raise
    `ImpersonationRefused` in an impersonation.
    """
    if method != "password":
        if (answered := sessions.answered(request, method, current.strip())) is None:
            raise WrongPassword
        return answered
    if sessions.actor_id(request) is not None:
        raise sessions.ImpersonationRefused
    known = authenticate(request, username=user.get_username(), password=current)
    if known is None or known.pk != user.pk:
        raise WrongPassword
    return known
