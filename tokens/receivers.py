"""Receivers of Django's signals: sign-ins and sign-outs by any view, and users that are deactivated or deleted.

A receiver only notes a sign-in or sign-out on the exchange. `tokens.web.outgoing` carries it out after the view,
outside of ``ATOMIC_REQUESTS``.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_save, pre_delete, pre_save
from django.dispatch import receiver

from tokens import metrics
from tokens.database.transactions import clock, writer
from tokens.models import RefreshToken, SecurityEvent
from tokens.service import auth_hash, events, throttles
from tokens.service.client import Client
from tokens.service.revocation import revoke_all
from tokens.web import django_session
from tokens.web.attempts import attempt
from tokens.web.client import client_of
from tokens.web.exchange import exchange_of

_REHASHED_FROM = "_tokens_rehashed_from"


@receiver(user_logged_in)
def note_sign_in(*, request: Any, user: Any, **kwargs: Any) -> None:
    """Note on the exchange that a view has signed in a user."""
    exchange = exchange_of(request)
    session = getattr(request, "session", None)
    if exchange is None:
        if session is not None:
            django_session.leave_nonce(session)
        return
    if session is not None and SESSION_KEY in session:
        django_session.mark(session)
    # The API's login view has opened the session already, and sends the signal for other receivers.
    if exchange.issued is None or exchange.issued_before_view:
        exchange.signed_in = user


@receiver(user_logged_out)
def note_sign_out(*, request: Any, **kwargs: Any) -> None:
    """Note on the exchange that a view has signed out the user."""
    exchange = exchange_of(request)
    if exchange is not None:
        exchange.signed_in, exchange.signed_out = None, True


@receiver(user_login_failed)
def record_failed_sign_in(*, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
    """Count the attempt, and write a security event with the account that it was for, if there is one."""
    name = str(credentials.get("username") or credentials.get(get_user_model().USERNAME_FIELD) or "")
    failed = attempt(request, name)
    throttles.count(*failed.if_wrong)
    alias = writer(SecurityEvent)
    client = client_of(request) if request is not None else Client()
    user_id = failed.user.pk if failed.user else None
    events.write([events.record(SecurityEvent.Kind.SIGN_IN_FAILED, clock(alias), client, user_id=user_id)])
    if exchange := exchange_of(request):
        metrics.SIGN_IN_SECONDS.labels("failed").observe(exchange.seconds)


@receiver(pre_save, sender=settings.AUTH_USER_MODEL)
def notice_rehash(*, sender: Any, instance: Any, using: str, update_fields: Any, **kwargs: Any) -> None:
    """Notice that Django is rehashing the same password at a sign-in. A new password would be in ``_password``."""
    if update_fields == {"password"} and instance._password is None:
        old = sender._base_manager.using(using).filter(pk=instance.pk).values_list("password", flat=True).first()
        if old and auth_hash.is_rehash(old, instance.password):
            setattr(instance, _REHASHED_FROM, old)


@receiver(post_save, sender=settings.AUTH_USER_MODEL)
def follow_user(*, instance: Any, created: bool, raw: bool, **kwargs: Any) -> None:
    """End the sessions of a user who was deactivated. Keep those of one whose password was rehashed."""
    if created or raw:
        return
    if old := instance.__dict__.pop(_REHASHED_FROM, None):
        auth_hash.follow_rehash(instance, old)
    if not instance.is_active:
        revoke_all(_live_sessions(instance), RefreshToken.Reason.USER_DISABLED)


@receiver(pre_delete, sender=settings.AUTH_USER_MODEL)
def revoke_sessions_of_deleted_user(*, instance: Any, **kwargs: Any) -> None:
    """End the sessions of a user who is about to be deleted."""
    revoke_all(_live_sessions(instance), RefreshToken.Reason.USER_DELETED)


def _live_sessions(user: Any) -> Any:
    return RefreshToken.objects.using(writer(RefreshToken)).live().filter(user=user.pk)
