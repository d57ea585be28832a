"""Registration: makes an account when the owner of the address confirms it, with a password of the owner's choice.

Until then it is a row of its own, and no account. Strangers can register an address too. They do not change what the
owner has registered. Their passwords do not sign in to anything, because the person who confirms gives the password:
either the one of this registration, or a new one. The link of each mail works until one of them was used.

The response does not reveal whether an account exists. Every outcome takes the same statements, one password hash, and
one mail, which is sent to the address:

=========================  ======================================================================================
a new address              gets a registration, and a link to it
pending                    gets another registration, and a link to it; the earlier ones stay valid
full                       gets a link to the latest registration of the address, which lasts a day from now
an account                 its stored address gets a mail that says so
throttled                  gets no mail, and nothing is stored
=========================  ======================================================================================

Where the user name is not the address, it is registered too. Whether it is taken is told to the person who has opened
the link, and can choose another one. Nobody else learns it.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, router, transaction
from django.db.models import F, Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from accounts import delivery, links, mail, users
from accounts.links import InvalidLink, Purpose, UsedLink
from accounts.models import MAX_NAME, MAX_PASSWORD, Registration
from accounts.service.passwords import check_password_rules
from accounts.service.purging import delete_in_batches
from tokens import sessions

MAX_PENDING = 10
"""Registrations of one address at a time."""
MAX_TRIES = 10
"""How often the password of one registration, or a user name, can be tried.

The reader of the mailbox need not be who chose the password.
"""
_NEW, _PENDING, _FULL, _THERE, _THROTTLED = "new address", "pending", "full", "there is an account", "throttled"


class UnknownPassword(Exception):
    """The password is not the one that was given with this registration. It can be chosen as a new one."""


def register(request: HttpRequest, email: str, password: str, name: str = "") -> None:
    """Register an address, and the user name if that is another one.

    Raise `Throttled`, or `ValidationError` for a password that is not allowed, or with the name of another field.
    """
    email = email.lower()
    name = _valid_name(name, email)
    check_password_rules(password, users.unsaved(email, name))
    canonical_address = sessions.canonical(email)
    may_send = sessions.throttle(request, "register", email)
    now = timezone.now()
    new = Registration(
        id=uuid7(),
        email=email,
        canonical_address=canonical_address,
        password=make_password(password),
        username=name,
        expires_at=now + Registration.LIFETIME,
    )
    rows = Registration.objects.using(router.db_for_write(Registration)).filter(canonical_address=canonical_address)
    with sessions.durable():
        sessions.take_turns(turn_of(email))
        owners = users.owners_of(email)
        waiting = rows.filter(expires_at__gt=now, used_at=None)
        pending = list(waiting.order_by("id").values_list("id", flat=True))
        if not may_send:
            outcome = _THROTTLED
        elif owners:
            outcome = _THERE
        else:
            outcome = _FULL if len(pending) >= MAX_PENDING else _PENDING if pending else _NEW
        is_kept = outcome in {_NEW, _PENDING}
        linked = pending[-1] if outcome == _FULL else new.id
        # Every outcome takes these statements. A registration that is not kept is deleted at once.
        new.save(force_insert=True)
        rows.filter(id=linked).update(expires_at=new.expires_at)
        rows.filter(Q(expires_at__lte=now) if is_kept else Q(expires_at__lte=now) | Q(id=new.id)).delete()
        user = owners[0] if len(owners) == 1 else None
        sessions.record(request, sessions.Kind.REGISTRATION, user, outcome, discard=not may_send)
    link = links.url(Purpose.REGISTRATION, links.make(Purpose.REGISTRATION, linked))
    hours = int(Registration.LIFETIME.total_seconds() // 3600)
    confirmation = mail.compose("confirm_registration", email, link=link, hours=hours, email=email)
    owner = users.address_of(owners[0]) if owners else email
    notice = mail.compose_notice("account_exists", owner, email=owner)
    if may_send:
        delivery.send(notice if outcome == _THERE else confirmation)


def confirm(
    request: HttpRequest, link: links.Link, password: str | None, *, is_given: bool = False, name: str = ""
) -> None:
    """Make the account of a registration, and end all other registrations of its address.

    If ``is_given``, the password is the one that was given with this registration: raise `UnknownPassword` if it is
    not. Otherwise it is a new one, or entered with care. ``name`` is a user name in the place of the registered one.
    Raise `ValidationError` if there is no password, one that is not allowed, or if the user name is taken. The link can
    be used again after each of these errors. Raise `InvalidLink` or `UsedLink`.
    """
    registration = look_at(link)
    rows = Registration.objects.using(registration._state.db)
    if password is None:
        raise ValidationError(_("Send the password that was given with the registration, or a new one."), "required")
    name = _valid_name(name or registration.username, registration.email)
    if name and registration.name_tries >= MAX_TRIES:
        raise InvalidLink  # Otherwise one link could be used to ask whether any name is taken.
    user = users.unsaved(registration.email, name, registration.password)
    if not is_given:
        check_password_rules(password, user)
        user.password = make_password(password)
    elif not _is_given(registration, password):
        raise UnknownPassword
    of_address = rows.filter(canonical_address=registration.canonical_address)
    with sessions.durable():
        sessions.take_turns(turn_of(registration.email))
        look_at(link)  # Another request may have used a link of this address.
        is_free = not name or _take_name(registration, name)
        if is_free:
            _save(user, registration)
            of_address.exclude(id=registration.id).delete()
            of_address.update(used_at=timezone.now(), password="")
            sessions.record(request, sessions.Kind.EMAIL_CONFIRMED, user)
    if not is_free:
        raise _invalid_name(_("This user name is taken."))


def look_at(link: links.Link) -> Registration:
    """Return the registration of this link. Raise `InvalidLink` or `UsedLink` if it cannot be confirmed."""
    rows = Registration.objects.using(router.db_for_write(Registration))
    try:
        registration = rows.filter(id=link.key, expires_at__gt=timezone.now()).first()
    except (ValidationError, ValueError):
        registration = None
    if registration is None or not users.can_register():
        raise InvalidLink
    if registration.used_at is not None:
        raise UsedLink(link.purpose)
    return registration


def turn_of(email: str) -> str:
    """Return the name of the turn (`sessions.take_turns`) of who gives this address to an account."""
    return f"registration {sessions.canonical(email)}"


def expired() -> Any:
    """Return the registrations that have expired, as a queryset."""
    rows = Registration.objects.using(router.db_for_write(Registration))
    return rows.filter(expires_at__lte=timezone.now())


def purge() -> Iterator[int]:
    """Delete the registrations that have expired, and yield how many each batch has deleted."""
    yield from delete_in_batches(expired())


def _is_given(registration: Registration, password: str) -> bool:
    """Return whether this is the password of the registration. After `MAX_TRIES` it is not looked at."""
    if len(password) > MAX_PASSWORD:
        return False
    rows = Registration.objects.using(registration._state.db).filter(id=registration.id, tries__lt=MAX_TRIES)
    may_try = rows.update(tries=F("tries") + 1)
    return bool(may_try) and check_password(password, registration.password)


def _save(user: Any, registration: Registration) -> None:
    """Save the new user. Raise `InvalidLink` if the address has got an account meanwhile."""
    if not users.are_addresses_unique() and users.owners_of(registration.email):
        raise InvalidLink
    try:
        with transaction.atomic(using=registration._state.db):
            user.save(force_insert=True)
    except IntegrityError:
        raise InvalidLink from None


def _take_name(registration: Registration, name: str) -> bool:
    """Return whether the user name is free, and keep others from taking it until the commit. If not, count the try."""
    sessions.take_turns(f"user name {sessions.canonical(name)}")
    is_taken = users.has_name(name)
    if is_taken:
        Registration.objects.using(registration._state.db).filter(id=registration.id).update(
            name_tries=F("name_tries") + 1
        )
    return not is_taken


def _valid_name(name: str, email: str) -> str:
    """Return the user name as the model stores it, or "" if the address is the user name. Raise `ValidationError`.

    A user name that is an address must be the user's own. Otherwise it would keep its owner from signing in with it.
    """
    field = users.name_field()
    if field is None:
        return ""
    try:
        valid = str(get_user_model().normalize_username(field.clean(name, None)))
    except ValidationError as error:
        raise _invalid_name(error.messages) from None
    if len(valid) > MAX_NAME:
        raise _invalid_name(_("This user name is too long."))
    if "@" in valid and sessions.canonical(valid) != sessions.canonical(email):
        raise _invalid_name(_("A user name that is an e-mail address must be your own address."))
    return valid


def _invalid_name(what: Any) -> ValidationError:
    return ValidationError({users.name_field().name: what})
