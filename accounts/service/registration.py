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
"""

from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, router, transaction
from django.db.models import F, Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from accounts import delivery, links, mail
from accounts.links import InvalidLink, Purpose, UsedLink
from accounts.models import MAX_PASSWORD, Registration, User
from accounts.service.passwords import check_password_rules
from tokens import sessions

MAX_PENDING = 10
"""Registrations of one address at a time."""
MAX_TRIES = 10
"""How often the password of one registration can be entered. The reader of the mailbox need not be who chose it."""
_NEW, _PENDING, _FULL, _THERE, _THROTTLED = "new address", "pending", "full", "there is an account", "throttled"


class UnknownPassword(Exception):
    """The password is not the one that was given with this registration. It can be chosen as a new one."""


def register(request: HttpRequest, email: str, password: str) -> None:
    """Register an address. Raise `Throttled`, or `ValidationError` for a password that is not allowed."""
    email = email.lower()
    check_password_rules(password, User(email=email))
    canonical_address = sessions.canonical(email)
    may_send = sessions.throttle(request, "register", email)
    now = timezone.now()
    new = Registration(
        id=uuid7(),
        email=email,
        canonical_address=canonical_address,
        password=make_password(password),
        expires_at=now + Registration.LIFETIME,
    )
    rows = Registration.objects.using(router.db_for_write(Registration)).filter(canonical_address=canonical_address)
    with sessions.durable():
        sessions.take_turns(f"registration {canonical_address}")
        user = User.objects.for_decision().at_address(email)
        waiting = rows.filter(expires_at__gt=now, used_at=None)
        pending = list(waiting.order_by("id").values_list("id", flat=True))
        if not may_send:
            outcome = _THROTTLED
        elif user is not None:
            outcome = _THERE
        else:
            outcome = _FULL if len(pending) >= MAX_PENDING else _PENDING if pending else _NEW
        is_kept = outcome in {_NEW, _PENDING}
        linked = pending[-1] if outcome == _FULL else new.id
        # Every outcome takes these statements. A registration that is not kept is deleted at once.
        new.save(force_insert=True)
        rows.filter(id=linked).update(expires_at=new.expires_at)
        rows.filter(Q(expires_at__lte=now) if is_kept else Q(expires_at__lte=now) | Q(id=new.id)).delete()
        sessions.record(request, sessions.Kind.REGISTRATION, user, outcome, discard=not may_send)
    link = links.url(Purpose.REGISTRATION, links.make(Purpose.REGISTRATION, linked))
    hours = int(Registration.LIFETIME.total_seconds() // 3600)
    confirmation = mail.compose("confirm_registration", email, link=link, hours=hours, email=email)
    owner = user.email if user else email
    notice = mail.compose_notice("account_exists", owner, email=owner)
    if may_send:
        delivery.send(notice if outcome == _THERE else confirmation)


def confirm(request: HttpRequest, link: links.Link, password: str | None, *, is_given: bool) -> None:
    """Make the account of a registration, and end all other registrations of its address.

    If ``is_given``, the password is the one that was given with this registration: raise `UnknownPassword` if it is
    not. Otherwise it is a new one, or entered with care. Raise `ValidationError` if there is no password, or one that
    is not allowed. The link can be used again after each of these errors. Raise `InvalidLink` or `UsedLink`.
    """
    registration = look_at(link)
    rows = Registration.objects.using(registration._state.db)
    if password is None:
        raise ValidationError(_("Send the password that was given with the registration, or a new one."), "required")
    user = User(email=registration.email, password=registration.password)
    if not is_given:
        check_password_rules(password, user)
        user.password = make_password(password)
    elif not _is_given(registration, password):
        raise UnknownPassword
    of_address = rows.filter(canonical_address=registration.canonical_address)
    with sessions.durable():
        sessions.take_turns(f"registration {registration.canonical_address}")
        look_at(link)  # Another request may have used a link of this address.
        try:
            with transaction.atomic(using=rows.db):
                user.save(force_insert=True)
        except IntegrityError:
            raise InvalidLink from None  # The address has got an account meanwhile.
        of_address.exclude(id=registration.id).delete()
        of_address.update(used_at=timezone.now(), password="")
        sessions.record(request, sessions.Kind.EMAIL_CONFIRMED, user)


def look_at(link: links.Link) -> Registration:
    """Return the registration of this link. Raise `InvalidLink` or `UsedLink` if it cannot be confirmed."""
    rows = Registration.objects.using(router.db_for_write(Registration))
    try:
        registration = rows.filter(id=link.key, expires_at__gt=timezone.now()).first()
    except (ValidationError, ValueError):
        registration = None
    if registration is None:
        raise InvalidLink
    if registration.used_at is not None:
        raise UsedLink(link.purpose)
    return registration


def purge() -> int:
    """Delete the registrations that have expired, and return how many."""
    rows = Registration.objects.using(router.db_for_write(Registration))
    return rows.filter(expires_at__lte=timezone.now()).delete()[0]


def _is_given(registration: Registration, password: str) -> bool:
    """Return whether this is the password of the registration. After `MAX_TRIES` it is not looked at."""
    if len(password) > MAX_PASSWORD:
        return False
    rows = Registration.objects.using(registration._state.db).filter(id=registration.id, tries__lt=MAX_TRIES)
    may_try = rows.update(tries=F("tries") + 1)
    return bool(may_try) and check_password(password, registration.password)
