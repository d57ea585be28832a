"""``request.user``: the signed-in user, known without a query, loaded when more is asked of it than who it is."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.utils.functional import SimpleLazyObject, empty


class LazyUser(SimpleLazyObject):  # type: ignore[type-arg]
    """The user of an access token. ``pk`` and ``is_authenticated`` cost no query, anything else one.

    ``on_use`` is called when it is looked at: the response then depends on who asked.

    A user deleted or switched off since the token was minted turns out to be nobody, when loaded.
    """

    def __init__(self, subject: str, on_use: Callable[[], None], loaded: Any = None) -> None:
        super().__init__(lambda: loaded or load(subject))
        self.__dict__.update(_subject=subject, _on_use=on_use)

    def _setup(self) -> None:
        self.__dict__["_on_use"]()
        super()._setup()  # type: ignore[misc]

    @property
    def pk(self) -> Any:
        self.__dict__["_on_use"]()
        if self._wrapped is not empty:
            return self._wrapped.pk
        return get_user_model()._meta.pk.to_python(self.__dict__["_subject"])

    @property
    def id(self) -> Any:
        if get_user_model()._meta.pk.attname == "id":
            return self.pk
        if self._wrapped is empty:
            self._setup()
        return self._wrapped.id

    @property
    def is_authenticated(self) -> bool:
        self.__dict__["_on_use"]()
        return True if self._wrapped is empty else self._wrapped.is_authenticated

    def __bool__(self) -> bool:
        # Neither a user nor AnonymousUser is ever false; REST framework's permissions ask this of every request.
        return True

    @property
    def is_anonymous(self) -> bool:
        return not self.is_authenticated


def load(subject: str) -> Any:
    """Return the active user whose primary key this is, or `AnonymousUser`."""
    user = get_user_model()._default_manager.filter(pk=subject).first()
    return user if user is not None and user.is_active else AnonymousUser()
