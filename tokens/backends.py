"""Django's authentication backend with throttles.

All ways to sign in that call `django.contrib.auth.authenticate` use it::

    AUTHENTICATION_BACKENDS = ["tokens.backends.ModelBackend"]

`tokens.web.attempts` says what an attempt counts against, and `tokens.hashers` which spellings of a password are tried.
"""

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import backends, get_user_model
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from tokens.hashers import password_spellings
from tokens.web import tenants
from tokens.web.attempts import attempt, verified


class ModelBackend(backends.ModelBackend):
    """`django.contrib.auth.backends.ModelBackend`, with throttles."""

    @sensitive_variables()
    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        """Return the user with this name and password, or None.

        Raise `Throttled` after too many attempts, and `Busy` if too many passwords are being hashed.
        """
        name = username if username is not None else kwargs.get(get_user_model().USERNAME_FIELD)
        if name is None or password is None:
            return None
        with tenants.entered(request):
            found = attempt(request, name)
        with tenants.entered(request), found.checking():
            # From here on the same as Django's backend, which would look up the user a second time.
            if found.user is None or not found.user.has_usable_password():
                # A name without an account, or without a password, must take as long.
                for _ in password_spellings(password):
                    get_user_model()().set_password(password)
                return None

            @sensitive_variables()
            def is_right(user: Any) -> bool:
                return user.check_password(password) and self.user_can_authenticate(user)

            return verified(found.user, name, is_right)

    async def aauthenticate(self, *args: Any, **kwargs: Any) -> Any:
        """Do the same as `authenticate`, in a thread: it waits for its turn to hash, and asks the cache."""
        return await sync_to_async(self.authenticate)(*args, **kwargs)
