"""Ends what was granted: with its session, or with everything else of a user."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models.signals import post_save
from django.dispatch import receiver
from oauth2_provider import models

from tokens.contrib.oauth_toolkit.models import Granted
from tokens.database.transactions import writer
from tokens.models import RefreshToken
from tokens.service.revocation import ended
from tokens.web.lazy_user import session_of


@receiver(ended)
def end_granted(*, session_ids: Collection[UUID], user_ids: Collection[Any], **kwargs: Any) -> None:
    """Delete what was granted on these sessions, and everything that was granted to these users."""
    end_on_sessions(session_ids)
    if user_ids:
        _delete(_refresh_tokens().filter(user__in=user_ids))
        for model in (models.get_access_token_model(), models.get_id_token_model(), models.get_grant_model()):
            _delete(model._default_manager.filter(user__in=user_ids))
        _delete(models.get_device_grant_model()._default_manager.filter(user__in=user_ids))
        _links().filter(user__in=user_ids).delete()


def end_on_sessions(session_ids: Collection[UUID]) -> None:
    """Delete what was granted on these sessions.

    The refresh tokens first, as django-oauth-toolkit locks them, so that two transactions cannot deadlock. They are
    deleted, because for a while django-oauth-toolkit accepts some that are only revoked.
    """
    keys: dict[str, list[str]] = {}
    if session_ids:
        for what, key in _links().filter(session_id__in=session_ids).values_list("what", "key"):
            keys.setdefault(what, []).append(key)
    if not keys:
        return
    families = _refresh_tokens().filter(token_family__in=keys.get(Granted.FAMILY, ()))
    access_ids = [*keys.get(Granted.ACCESS, ()), *families.values_list("access_token", flat=True)]
    _delete(families)
    access_tokens = models.get_access_token_model()._default_manager.filter(pk__in=[id for id in access_ids if id])
    id_tokens = [id for id in access_tokens.values_list("id_token", flat=True) if id]
    _delete(access_tokens)
    _delete(models.get_id_token_model()._default_manager.filter(pk__in=id_tokens))
    _delete(models.get_grant_model()._default_manager.filter(pk__in=keys.get(Granted.CODE, ())))
    _delete(models.get_device_grant_model()._default_manager.filter(pk__in=keys.get(Granted.DEVICE, ())))
    _links().filter(session_id__in=session_ids).delete()


def link(user_id: Any, session_id: UUID, what: str, key: Any) -> None:
    """Note that this was granted on the session."""
    row = Granted(user_id=user_id, session_id=session_id, what=what, key=str(key))
    _links().bulk_create([row], ignore_conflicts=True)


def unlink(what: str, key: Any) -> None:
    """Forget on which session this was granted."""
    _links().filter(what=what, key=str(key)).delete()


def session_of_grant(what: str, key: Any) -> UUID | None:
    """Return the session on which this was granted, or None."""
    found: UUID | None = _links().filter(what=what, key=str(key)).values_list("session_id", flat=True).first()
    return found


def end_expired(user_id: Any) -> None:
    """End what was granted to the user on sessions that have expired. No signal is sent when a session expires."""
    live = RefreshToken.objects.using(writer(RefreshToken)).unended().filter(user=user_id).values_list("id", flat=True)
    end_on_sessions({*_links().filter(user=user_id).values_list("session_id", flat=True)} - {*live})


def note_device(*, instance: Any, **kwargs: Any) -> None:
    """Note the session of the user who has entered the code that a device shows."""
    if instance.user_id is not None and (session_id := session_of(instance.user)) is not None:
        link(instance.user_id, session_id, Granted.DEVICE, instance.pk)


post_save.connect(note_device, sender=models.get_device_grant_model())


def _links() -> Any:
    return Granted._default_manager.using(writer(Granted))


def _refresh_tokens() -> Any:
    return models.get_refresh_token_model()._default_manager


def _delete(rows: Any) -> None:
    rows.using(writer(rows.model)).delete()
