"""Removes all factors of a user, who cannot do it in a session."""

from typing import Any

from factors.service import passkeys, recovery_codes, totp
from tokens import sessions


def remove_all(request: Any, user: Any, why: str) -> None:
    """Remove the app, the passkeys and the recovery codes of a locked user, in the transaction that is open.

    Also an app that nobody has confirmed yet. ``why`` is added to the reason in the security events.
    """
    for name in delete_all(user):
        sessions.record(request, sessions.Kind.FACTOR_REMOVED, user, f"{name}: {why}")


def delete_all(user: Any) -> list[str]:
    """Delete the factors of a locked user, in the transaction that is open. Return the names of those that counted."""
    removed = {
        totp.NAME: totp.delete(user),
        passkeys.NAME: passkeys.delete(user),
        recovery_codes.NAME: recovery_codes.delete(user),
    }
    return [name for name, was_there in removed.items() if was_there]
