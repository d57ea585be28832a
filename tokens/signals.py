"""What Django's own signals mean for sessions: sign-ins and sign-outs by any door, users switched off or deleted.

A receiver only notes a sign-in or sign-out on the exchange; the middleware carries it out after the view, outside
``ATOMIC_REQUESTS``.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_save, pre_delete, pre_save
from django.dispatch import receiver

from tokens import handover, metrics, throttles
from tokens.backends import attempt
from tokens.database import clock, writer
from tokens.exchange import exchange_of
from tokens.models import RefreshToken, SecurityEvent
from tokens.network import client_of
from tokens.service import events
from tokens.service.client import Client
from tokens.service.ending import end_all
from tokens.service.stamps import is_upgrade, restamp

_UPGRADED_FROM = "_tokens_upgraded_from"


@receiver(user_logged_in)
def note_sign_in(*, request: Any, user: Any, **kwargs: Any) -> None:
    exchange = exchange_of(request)
    session = getattr(request, "session", None)
    if exchange is None:
        if session is not None:
            handover.leave(session)
        return
    if session is not None and SESSION_KEY in session:
        handover.mark(session)
    # Our own login view has opened the session already, and sends the signal for the others who listen.
    if exchange.grant is None or exchange.refreshed:
        exchange.signed_in = user


@receiver(user_logged_out)
def note_sign_out(*, request: Any, **kwargs: Any) -> None:
    exchange = exchange_of(request)
    if exchange is not None:
        exchange.signed_in, exchange.signed_out = None, True


@receiver(user_login_failed)
def record_failed_sign_in(*, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
    """Count the attempt, and write it down, with the account that it was for, if there is one."""
    name = str(credentials.get("username") or credentials.get(get_user_model().USERNAME_FIELD) or "")
    tried = attempt(request, name)
    throttles.count(*tried.tallies)
    alias = writer(SecurityEvent)
    client = client_of(request) if request is not None else Client()
    user_id = tried.user.pk if tried.user else None
    events.write([events.record(SecurityEvent.Kind.SIGN_IN_FAILED, clock(alias), client, user_id=user_id)])
    if exchange := exchange_of(request):
        metrics.SIGN_IN_SECONDS.labels("failed").observe(exchange.seconds)


@receiver(pre_save, sender=settings.AUTH_USER_MODEL)
def notice_upgrade(*, sender: Any, instance: Any, using: str, update_fields: Any, **kwargs: Any) -> None:
    """Tell a password hash that Django upgrades at sign-in from a new password (which would leave it in _password)."""
    if update_fields == {"password"} and instance._password is None:
        old = sender._base_manager.using(using).filter(pk=instance.pk).values_list("password", flat=True).first()
        if old and is_upgrade(old, instance.password):
            setattr(instance, _UPGRADED_FROM, old)


@receiver(post_save, sender=settings.AUTH_USER_MODEL)
def follow_user(*, instance: Any, created: bool, raw: bool, **kwargs: Any) -> None:
    """End the sessions of a user who was switched off; keep those of one whose password hash was upgraded."""
    if created or raw:
        return
    if old := instance.__dict__.pop(_UPGRADED_FROM, None):
        restamp(instance, old)
    if not instance.is_active:
        end_all(_live_sessions(instance), RefreshToken.Reason.USER_DISABLED)


@receiver(pre_delete, sender=settings.AUTH_USER_MODEL)
def end_sessions_of_deleted(*, instance: Any, **kwargs: Any) -> None:
    end_all(_live_sessions(instance), RefreshToken.Reason.USER_DELETED)


def _live_sessions(user: Any) -> Any:
    return RefreshToken.objects.using(writer(RefreshToken)).live().filter(user=user.pk)
