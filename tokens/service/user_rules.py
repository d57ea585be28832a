"""Whether a user may still act, by the rules of the project.

Django asks at each request: it calls `get_user` of the backend with which the user signed in, and that of
`ModelBackend` looks for the user with the model's default manager. A project can change both, so that users who are
banned, or deleted only by a mark, are nobody. Here they are asked only if the project has changed them. Otherwise a
user may act who has a row and is active, which takes no further statement.
"""

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model, load_backend
from django.contrib.auth.backends import BaseBackend, ModelBackend
from django.core.signals import setting_changed
from django.db.models.manager import BaseManager
from django.dispatch import receiver
from django.utils.module_loading import import_string


@lru_cache(maxsize=1)
def has_rules() -> bool:
    """Return whether a backend or the default manager of the user model has rules of its own."""
    manager: Any = type(get_user_model()._default_manager)
    return manager.get_queryset is not BaseManager.get_queryset or any(
        map(_has_rules, settings.AUTHENTICATION_BACKENDS)
    )


def _has_rules(path: str) -> bool:
    get_user = getattr(import_string(path), "get_user", None)
    return get_user not in {None, ModelBackend.get_user, BaseBackend.get_user}


def current(key: Any, backend: str = "") -> Any:
    """Return the active user with this primary key as the backend returns it, or None.

    ``backend`` is the one with which the user signed in. As in Django, it has to be in the settings. If it is not
    known, one of the backends has to return the user.
    """
    if _is_removed(backend):
        return None
    paths = [backend] if backend else settings.AUTHENTICATION_BACKENDS
    for found in map(load_backend, paths):
        user = found.get_user(key) if hasattr(found, "get_user") else None
        if user is not None and user.is_active:
            return user
    return None


def may_act(user: Any, backend: str = "") -> bool:
    """Return whether a user, whose row was read just now, may act. ``backend`` is that of `current`."""
    if not user.is_active or _is_removed(backend):
        return False
    return not has_rules() or current(user.pk, backend) is not None


def _is_removed(backend: str) -> bool:
    return bool(backend) and backend not in settings.AUTHENTICATION_BACKENDS


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting in {"AUTH_USER_MODEL", "AUTHENTICATION_BACKENDS"}:
        has_rules.cache_clear()
