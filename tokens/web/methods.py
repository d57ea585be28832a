"""How the user of a request has authenticated: what a backend has checked, and what the project says.

A sign-in has methods if one of these says them. The first of them counts:

- the attribute ``authenticated_by`` of the user object, which a backend or a view sets: ``["pop", "user", "mfa"]``, or
  the time of each by its name,
- BACKEND_METHODS, for the backend that has authenticated the user,
- `django.contrib.auth.backends.ModelBackend` and its subclasses, which have checked a password (``pwd``).

``user.backend`` proves nothing, because ``force_login`` and other packages set it too. So `watch_backends` wraps the
method ``authenticate`` of all backends. It leaves a note on the user object that the backend returns. The note counts
in this request only. It is lost when the object is pickled.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from inspect import getattr_static, iscoroutinefunction, isfunction
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.core.signals import setting_changed
from django.dispatch import Signal, receiver
from django.utils import timezone
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables

from tokens.conf import token_settings
from tokens.service.opening import NOTHING, Proved
from tokens.web.exchange import beginning_of

asked = Signal()
"""Sent before it is read how a ``user`` has authenticated. Adapters of other packages then set `ATTRIBUTE`."""
ATTRIBUTE = "authenticated_by"
"""The attribute of a user object with the methods by which the user has authenticated."""
_NOTE = "_tokens_checked_by"
_WATCHED = "_tokens_watched"
_PASSWORD = ("pwd",)

Given = Iterable[str] | Mapping[str, datetime]
"""Methods by which a user has authenticated just now, or the time of each by its name."""


class UnknownMethod(ValueError):
    """This is no value of the registry of RFC 8176, and not in OWN_METHODS."""


@dataclass(frozen=True, slots=True)
class _Note:
    """What a backend has checked. ``began`` identifies the request, or is None if the backend was given none."""

    methods: tuple[str, ...]
    began: float | None

    def __reduce__(self) -> Any:
        return type(None), ()


def proved(given: Given) -> Proved:
    """Return these methods with how long ago each was proved. Raise `UnknownMethod`."""
    if isinstance(given, str):
        raise UnknownMethod(f"{given!r} is a text, and not a list of authentication methods")
    given = given if isinstance(given, Mapping) else [*given]
    known = token_settings().known_methods
    if unknown := [name for name in given if name not in known]:
        raise UnknownMethod(f"{unknown[0]!r} is neither a value of the registry of RFC 8176 nor in OWN_METHODS")
    if not isinstance(given, Mapping):
        return dict.fromkeys(given, timedelta())
    now = timezone.now()
    return {name: max(now - at, timedelta()) for name, at in given.items()}


def of_sign_in(request: Any, user: Any) -> Proved:
    """Return how a user who signs in, or authenticates again, has authenticated. Empty: it is not known.

    Raise `UnknownMethod`.
    """
    asked.send(None, request=request, user=user)
    said = getattr(user, ATTRIBUTE, None)
    # A project's user model may have a field of this name.
    if said is not None and not hasattr(user.__class__, ATTRIBUTE):
        return proved(said)
    note = getattr(user, _NOTE, None)
    if note is None or note.began not in {None, beginning_of(request)}:
        return NOTHING
    return proved(note.methods)


@receiver(setting_changed)
def watch_backends(*, setting: str = "AUTHENTICATION_BACKENDS", **kwargs: Any) -> None:
    """Let the backends in AUTHENTICATION_BACKENDS leave a note on the users whom they authenticate."""
    if setting != "AUTHENTICATION_BACKENDS":
        return
    for path in settings.AUTHENTICATION_BACKENDS:
        try:
            backend = import_string(path)
        except ImportError:
            continue  # Django says so when it is asked to authenticate somebody.
        for name in ("authenticate", "aauthenticate"):
            method = getattr_static(backend, name, None)
            if isfunction(method) and not hasattr(method, _WATCHED):
                setattr(backend, name, _watched(method))


def _watched(authenticate: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method ``authenticate`` or ``aauthenticate`` that does the same, and leaves a note."""

    @wraps(authenticate)
    @sensitive_variables()
    def watched(self: Any, request: Any = None, *args: Any, **credentials: Any) -> Any:
        return _noted(self, request, authenticate(self, request, *args, **credentials), credentials)

    @wraps(authenticate)
    @sensitive_variables()
    async def awatched(self: Any, request: Any = None, *args: Any, **credentials: Any) -> Any:
        return _noted(self, request, await authenticate(self, request, *args, **credentials), credentials)

    found: Callable[..., Any] = awatched if iscoroutinefunction(authenticate) else watched
    setattr(found, _WATCHED, True)
    return found


@sensitive_variables()
def _noted(backend: Any, request: Any, user: Any, credentials: Mapping[str, Any]) -> Any:
    """Return the user that a backend has returned, with a note. A note of a backend that it has called is replaced."""
    if user is not None:
        setattr(user, _NOTE, _Note(_checked(backend, user, credentials), beginning_of(request)))
    return user


@sensitive_variables()
def _checked(backend: Any, user: Any, credentials: Mapping[str, Any]) -> tuple[str, ...]:
    named = token_settings().methods_by_backend
    kind = type(backend)
    for path, methods in named.items():
        if path in settings.AUTHENTICATION_BACKENDS and import_string(path) is kind:
            return methods
    if not isinstance(backend, ModelBackend) or credentials.get("password") is None:
        return ()
    # A subclass may take a code for a password. A user without a password has not given one.
    return _PASSWORD if user.has_usable_password() else ()
