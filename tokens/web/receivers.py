"""Receivers of signals: sign-ins and sign-outs by any view, and users that are changed or deleted.

A receiver only notes a sign-in or sign-out on the exchange. `tokens.web.after_view` carries it out, outside
of ``ATOMIC_REQUESTS``.
"""

from typing import Any

from django.apps import apps
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import connections
from django.db.models import Case, F, Value, When
from django.db.models.signals import post_init, post_migrate, post_save, pre_delete, pre_migrate, pre_save
from django.dispatch import receiver

from tokens import metrics
from tokens.conf import BODY
from tokens.database.transactions import clock, writer
from tokens.models import RefreshToken, SecurityEvent
from tokens.service import auth_hash, events, throttles, triggers, user_changes
from tokens.web import methods, tenants
from tokens.web.attempts import attempt
from tokens.web.django import django_session, last_login
from tokens.web.exchange import exchange_of
from tokens.web.http.client import client_of
from tokens.web.operations import admission
from tokens.web.operations.signing_out import end_opened, sign_out_outside

_LOADED = "_tokens_loaded_password"
"""The attribute of a user with the hash that was read or saved last."""
_REHASH = "_tokens_rehash"
"""The attribute of a user with the hash that was verified, and the one that Django replaces it with."""


@receiver(user_logged_in)
def note_sign_in(*, request: Any, user: Any, **kwargs: Any) -> None:
    """Note on the exchange that a view has signed in a user."""
    exchange = exchange_of(request)
    session = getattr(request, "session", None)
    if exchange is None or exchange.is_over:
        if session is not None:
            with tenants.entered(request):
                django_session.note_outside_sign_in(request, user)
        return
    proved = methods.of_sign_in(request, user)  # Before data of another person is deleted from Django's session.
    opened = exchange.issued.session if exchange.issued and exchange.is_opened_by_view else None
    if session is not None and SESSION_KEY in session and (opened is None or opened.mode != BODY):
        django_session.complete_sign_in(request, user, exchange)
    # The API has opened the session already.
    if opened is None:
        exchange.signed_in, exchange.proved = user, proved
    elif opened.mode != BODY:
        django_session.note_opened(request, opened.id)


admission.install()
last_login.replace()
methods.watch_backends()


@receiver(user_logged_out)
def note_sign_out(*, request: Any, **kwargs: Any) -> None:
    """Note on the exchange that a view has signed out the user. Outside of our middleware, sign out at once.

    So is the user of a session that another middleware has put on the request, because it is emptied after this signal.
    """
    exchange = exchange_of(request)
    if exchange is None or exchange.is_over:
        with tenants.entered(request):
            sign_out_outside(request)
    elif exchange.by_session:
        exchange.signed_in = None
        end_opened(request)
    else:
        exchange.signed_in, exchange.admitted, exchange.signed_out = None, None, True


@receiver(user_login_failed)
def record_failed_sign_in(*, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
    """Count the attempt, and write a security event with the account that it was for, if there is one.

    Only a name with a password is an attempt. Other credentials, such as a token, belong to their own backend.
    """
    name = str(credentials.get("username") or credentials.get(get_user_model().USERNAME_FIELD) or "")
    if not name or credentials.get("password") is None:
        return
    with tenants.entered(request):
        failed = attempt(request, name)
        throttles.count(*failed.if_wrong)
    alias = writer(SecurityEvent)
    client = client_of(request)
    user_id = failed.user.pk if failed.user else None
    events.write_attempt(events.new(SecurityEvent.Kind.SIGN_IN_FAILED, clock(alias), client, user_id=user_id))
    if exchange := exchange_of(request):
        metrics.SIGN_IN_SECONDS.labels("failed").observe(exchange.seconds)


def note_loaded_password(*, instance: Any, **kwargs: Any) -> None:
    """Note the password hash that the user was read with. A password is verified against this one."""
    instance.__dict__[_LOADED] = instance.__dict__.get("password")


def announce_rehash(*, sender: Any, instance: Any, using: str, update_fields: Any, **kwargs: Any) -> None:
    """Announce that Django is about to replace a password hash by another hash of the same password.

    Django replaces it at a sign-in, in `AbstractBaseUser.check_password`. The hash is only replaced if it is still the
    one that was verified. Otherwise a sign-in with the old password could undo a change of the password.
    """
    # A new password is in ``_password`` until it is saved, and a hash that was assigned leaves no such attribute.
    if update_fields != {"password"} or instance.__dict__.get("_password", "") is not None:
        return
    new, stored = instance.password, _stored_password(sender, instance, using)
    if stored is None:
        return
    verified = instance.__dict__.get(_LOADED) or stored
    if not auth_hash.is_rehash(verified, new):
        return  # A hash was assigned, or the password was made unusable.
    if stored == verified:
        auth_hash.announce_rehash(instance, stored, new)
        instance.password = Case(When(password=stored, then=Value(new)), default=F("password"))
    else:
        instance.password = F("password")  # Another request has replaced or changed the hash already.
    setattr(instance, _REHASH, (verified, new))


def follow_user(*, sender: Any, instance: Any, using: str, created: bool, raw: bool, **kwargs: Any) -> None:
    """Finish a rehash, and end the sessions of a user who was deactivated."""
    if rehash := instance.__dict__.pop(_REHASH, None):
        verified, new = rehash
        # If another request has replaced the hash first, the user keeps the hash that was verified. It opens a session
        # only if it belongs to the password that the user has now.
        instance.password = new if new == _stored_password(sender, instance, using) else verified
    instance.__dict__[_LOADED] = instance.__dict__.get("password")
    if created or raw:
        return
    if instance.is_active:
        user_changes.note_change(instance)
    else:
        user_changes.end_deactivated(instance)


def end_sessions_of_deleted_user(*, instance: Any, **kwargs: Any) -> None:
    """End the sessions of a user who is about to be deleted."""
    user_changes.end_deleted(instance)


# Without a sender, `pre_delete` would make Django read every row that it deletes, of any model.
# Users can be saved and deleted as a proxy, a child or a parent of the user model.
for _model in apps.get_models():
    if issubclass(_model, AbstractBaseUser) and (
        issubclass(_model, get_user_model()) or issubclass(get_user_model(), _model)
    ):
        post_init.connect(note_loaded_password, sender=_model)
        pre_save.connect(announce_rehash, sender=_model)
        post_save.connect(follow_user, sender=_model)
        pre_delete.connect(end_sessions_of_deleted_user, sender=_model)


@receiver(pre_migrate)
def remove_triggers(*, app_config: Any, using: str, **kwargs: Any) -> None:
    """On SQLite, remove the triggers before the migrations."""
    if app_config.label == RefreshToken._meta.app_label and connections[using].vendor == "sqlite":
        triggers.remove(using)


@receiver(post_migrate)
def install_triggers(*, app_config: Any, using: str, **kwargs: Any) -> None:
    """Install the triggers, after the migrations of this app and of the user's."""
    labels = {RefreshToken._meta.app_label, get_user_model()._meta.app_label}
    if app_config.label in labels and using == writer(RefreshToken) and triggers.has_tables(using):
        triggers.install(using)


def _stored_password(model: Any, user: Any, using: str) -> str | None:
    found: str | None = model._base_manager.using(using).filter(pk=user.pk).values_list("password", flat=True).first()
    return found
