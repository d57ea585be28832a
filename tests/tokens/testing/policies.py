"""What tests name in their settings: a policy for sign-ins, and hooks for claims and tenants."""

from typing import Any

from tokens import sessions


def two_factors(request: Any, user: Any, methods: Any) -> Any:
    return sessions.Open() if "mfa" in methods else sessions.MoreNeeded()


def claims(user: Any, session: Any) -> dict[str, Any]:
    return {"plan": "gold"}


def tenant(request: Any) -> str:
    name: str = request.get_host().partition(".")[0]
    return name
