"""``request.user``: the signed-in user. Its primary key is known without a query, and other attributes load the row."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.functional import SimpleLazyObject, empty

REMEMBERED = 4096
"""How many primary keys a process remembers, because views use them more than anything else."""

_KNOWN = frozenset({"pk", "id", "is_authenticated", "is_anonymous"})


class LazyUser(SimpleLazyObject):  # type: ignore[type-arg]
    """The user of an access token. ``pk`` and ``is_authenticated`` need no query, and anything else needs one.

    ``on_use`` is called when an attribute is read, because the response then depends on the user. When loaded, a user
    who was deleted or deactivated since the token was issued becomes `AnonymousUser`.
    """

    def __init__(
        self, subject: str, on_use: Callable[[], None], loaded: Any = None, session_id: UUID | None = None
    ) -> None:
        own = object.__getattribute__(self, "__dict__")
        own["_wrapped"], own["_subject"], own["_on_use"], own["_loaded"] = empty, subject, on_use, loaded
        own["_session_id"] = session_id

    def __getattribute__(self, name: str) -> Any:
        # `SimpleLazyObject` looks up each attribute twice. These are read most often, and do not need it.
        return object.__getattribute__(self, name) if name in _KNOWN else super().__getattribute__(name)

    def _setup(self) -> None:
        _own(self)["_on_use"]()
        super()._setup()  # type: ignore[misc]

    def _setupfunc(self) -> Any:
        own = _own(self)
        return own["_loaded"] or load(own["_subject"])

    @property
    def pk(self) -> Any:
        own = _own(self)
        own["_on_use"]()
        return primary_key(own["_subject"]) if own["_wrapped"] is empty else own["_wrapped"].pk

    @property
    def id(self) -> Any:
        if get_user_model()._meta.pk.attname == "id":
            return self.pk
        if self._wrapped is empty:
            self._setup()
        return self._wrapped.id

    @property
    def is_authenticated(self) -> bool:
        own = _own(self)
        own["_on_use"]()
        return True if own["_wrapped"] is empty else own["_wrapped"].is_authenticated

    def __bool__(self) -> bool:
        # No user is ever false. REST framework's permissions ask this for every request.
        return True

    @property
    def is_anonymous(self) -> bool:
        return not self.is_authenticated


class AskedUser(LazyUser):
    """The user of an access token, if a backend or a manager of the project has rules (`tokens.service.standing`).

    Every attribute loads the user by ``find``, which asks these rules.
    """

    def __init__(self, subject: str, on_use: Callable[[], None], find: Callable[[], Any], session_id: UUID) -> None:
        super().__init__(subject, on_use, session_id=session_id)
        _own(self)["_find"] = find

    def _setupfunc(self) -> Any:
        return _own(self)["_find"]()

    @property
    def pk(self) -> Any:
        return self._asked().pk

    @property
    def is_authenticated(self) -> bool:
        return bool(self._asked().is_authenticated)

    def _asked(self) -> Any:
        own = _own(self)
        if own["_wrapped"] is empty:
            self._setup()
        return own["_wrapped"]


def _own(user: LazyUser) -> dict[str, Any]:
    """Return the attributes of the proxy itself.

    ``user.__dict__`` is slower, because `LazyObject` looks it up twice.
    """
    own: dict[str, Any] = object.__getattribute__(user, "__dict__")
    return own


def session_of(user: Any) -> UUID | None:
    """Return the session of a request's user. None if this is no ``request.user`` of ours.

    Other packages hand the user on, and not the request.
    """
    return _own(user)["_session_id"] if issubclass(type(user), LazyUser) else None


@lru_cache(maxsize=REMEMBERED)
def primary_key(subject: str) -> Any:
    """Return the primary key that a token's subject contains."""
    return get_user_model()._meta.pk.to_python(subject)


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "AUTH_USER_MODEL":
        primary_key.cache_clear()


def load(subject: str) -> Any:
    """Return the active user with this primary key, or `AnonymousUser`."""
    user = get_user_model()._default_manager.filter(pk=subject).first()
    return user if user is not None and user.is_active else AnonymousUser()
