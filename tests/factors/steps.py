"""What tests of factors do again and again."""

from datetime import datetime
from typing import Any

from factors import codes
from tests.browsers import post, refresh

API = "/api/auth/factors"
BY_TOTP = "/api/auth/factors/totp"


def set_up(client: Any, now: datetime, **more: Any) -> tuple[str, list[str]]:
    """Set up an authenticator app by the API. Return its secret, and the recovery codes."""
    secret = post(client, BY_TOTP).json()["secret"]
    answer = post(client, f"{BY_TOTP}/confirm", {"code": code(secret, now), **more})
    assert answer.status_code == 200, answer.content
    return secret, answer.json()["recovery_codes"]


def later(client: Any, clock: Any, seconds: int = 3600) -> None:
    """Let time pass, by default so much that the sign-in is not recent any more, and refresh the session."""
    clock.forward(seconds)
    assert refresh(client).status_code == 200


def code(secret: str, now: datetime, steps: int = 0) -> str:
    """Return the code of this time, or of so many steps later."""
    return codes.code_at(secret, codes.step_at(now) + steps)
