"""A policy for sign-ins, and a hook for claims, that tests name in their settings."""

from typing import Any

from tokens import sessions


def two_factors(request: Any, user: Any, methods: Any) -> Any:
    return sessions.Open() if "mfa" in methods else sessions.MoreNeeded()


def claims(user: Any, session: Any) -> dict[str, Any]:
    return {"plan": "gold"}
