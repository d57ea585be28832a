from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend


class IgnoresCase(ModelBackend):
    """A backend that many projects have. It raises an error if there are two such users."""

    def authenticate(self, request: Any, username: Any = None, password: Any = None, **kwargs: Any) -> Any:
        try:
            user = get_user_model()._default_manager.get(username__iexact=username or "")
        except get_user_model().DoesNotExist:
            return None
        return user if user.check_password(password or "") else None
