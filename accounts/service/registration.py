"""Registration: creates an account that is inactive until its address is confirmed.

The response does not reveal whether an account exists. Only a mail to the address does:

=========================  ======================================================================================
a new address              gets an inactive account, and a link that confirms it
never confirmed            gets the new password and a new link; older links become invalid
an existing account        gets a mail that says so
=========================  ======================================================================================
"""

from django.db import IntegrityError, router, transaction
from django.http import HttpRequest

from accounts import delivery, mail
from accounts.links import Purpose
from accounts.models import User
from accounts.service.passwords import check_password_rules
from tokens import sessions

_NEW, _AGAIN, _THERE = "new address", "never confirmed", "there is an account"


def register(request: HttpRequest, email: str, password: str) -> None:
    """Register an address. Raise `Throttled`, or `ValidationError` for a password that is not allowed."""
    user = User(email=email.lower(), is_active=False, email_confirmed_at=None)
    check_password_rules(password, user)
    may_send = sessions.throttle(request, "register", user.email)
    user.set_password(password)
    with sessions.durable():
        outcome = _NEW
        try:
            # Insert without a check before, so that parallel registrations create one account, and every outcome takes
            # the same statements.
            with transaction.atomic(using=router.db_for_write(User)):
                user.save(force_insert=True)
        except IntegrityError:
            outcome = _THERE
        unconfirmed = User.objects.filter(email=user.email, email_confirmed_at=None, is_active=False)
        if unconfirmed.update(password=user.password) and outcome is _THERE:
            outcome = _AGAIN
        row = User.objects.for_decision().filter(email=user.email).first()
        sessions.record(request, sessions.Kind.REGISTRATION, row, outcome)
    confirmation = mail.compose_with_link("confirm_registration", user.email, Purpose.REGISTRATION, row or user)
    notice = mail.compose_notice("account_exists", user.email, email=user.email)
    if may_send:
        delivery.send(notice if outcome is _THERE else confirmation)
