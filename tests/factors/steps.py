"""What tests of factors do again and again."""

from datetime import datetime
from typing import Any

from factors import codes
from tests.browsers import post

API = "/api/auth/factors"
BY_TOTP = "/api/auth/factors/totp"


def set_up(client: Any, now: datetime, **more: Any) -> tuple[str, list[str]]:
    """Set up an authenticator app by the API. Return its secret, and the recovery codes."""
    secret = post(client, BY_TOTP).json()["secret"]
    answer = post(client, f"{BY_TOTP}/confirm", {"code": code(secret, now), **more})
    assert answer.status_code == 200, answer.content
    return secret, answer.json()["recovery_codes"]


def code(secret: str, now: datetime, steps: int = 0) -> str:
    """Return the code of this time, or of so many steps later."""
    return codes.code_at(secret, codes.step_at(now) + steps)
