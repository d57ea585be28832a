"""What the suites of all packages do."""

from typing import Any

from tokens.models import RefreshToken
from tokens.sessions import Refuse

POLICY = {"SIGN_IN_POLICY": f"{__name__}.refuses"}


def refuses(request: Any, user: Any, methods: Any) -> Any:
    return Refuse("Not from here.")


def live() -> int:
    return RefreshToken.objects.live().count()
