"""``request.user``: the signed-in user. Its primary key is known without a query, and other attributes load the row."""

from collections.abc import Callable
from copy import copy, deepcopy
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.functional import LazyObject, empty

REMEMBERED = 4096
"""How many primary keys a process remembers, because views use them more than anything else."""

_KNOWN = frozenset({"pk", "id", "is_authenticated", "is_anonymous"})


class Lazy(LazyObject):  # type: ignore[type-arg]
    """What ``load`` returns, when it is first used.

    It is no `SimpleLazyObject`: a package that has put another session on the request lets Django's own object forget
    its user, and so asks the session (django-allauth does). This user does not come from a session. If the object is
    none of Django's, such a package replaces it by one that asks the session.
    """

    def __init__(self, load: Callable[[], Any]) -> None:
        own = object.__getattribute__(self, "__dict__")
        own["_wrapped"], own["_load"] = empty, load

    def _setup(self) -> None:
        self._wrapped = _own(self)["_load"]()

    def _ready(self) -> Any:
        if self._wrapped is empty:
            self._setup()
        return self._wrapped

    def __repr__(self) -> str:
        own = _own(self)
        return f"<{type(self).__name__}: {'not loaded' if own['_wrapped'] is empty else repr(own['_wrapped'])}>"

    def __copy__(self) -> Any:
        return copy(self._ready())

    def __deepcopy__(self, memo: Any) -> Any:
        return deepcopy(self._ready(), memo)


class LazyUser(Lazy):
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
        # `LazyObject` looks up each attribute twice. These are read most often, and do not need it.
        return object.__getattribute__(self, name) if name in _KNOWN else super().__getattribute__(name)

    def _setup(self) -> None:
        own = _own(self)
        own["_on_use"]()
        self._wrapped = own["_loaded"] or load(own["_subject"])

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


class RuleCheckedUser(LazyUser):
    """The user of an access token, if a backend or a manager of the project has rules (`tokens.service.user_rules`).

    Every attribute loads the user by ``find``, which asks these rules.
    """

    def __init__(self, subject: str, on_use: Callable[[], None], find: Callable[[], Any], session_id: UUID) -> None:
        super().__init__(subject, on_use, session_id=session_id)
        _own(self)["_find"] = find

    def _setup(self) -> None:
        own = _own(self)
        own["_on_use"]()
        self._wrapped = own["_find"]()

    @property
    def pk(self) -> Any:
        return self._ready().pk

    @property
    def is_authenticated(self) -> bool:
        return bool(self._ready().is_authenticated)


def _own(user: Lazy) -> dict[str, Any]:
    """Return the attributes of the proxy itself.

    ``user.__dict__`` is slower, because `LazyObject` looks it up twice.
    """
    own: dict[str, Any] = object.__getattribute__(user, "__dict__")
    return own


def session_of(user: Any) -> UUID | None:
    """Return the session of a request's user. None if this is no ``request.user`` of ours.

    Other packages hand the user on, and not the request.
    """
    while type(user) is Lazy:  # One that examines Django's session first.
        user = user._ready()
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
