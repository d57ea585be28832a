"""What the app hears from `tokens`."""

from typing import Any

from django.dispatch import receiver

from factors.service import removal
from tokens import sessions


@receiver(sessions.account_recovered)
def remove_factors(*, request: Any, user: Any, **kwargs: Any) -> None:
    """Remove the factors of an account whose owner has raised the alarm and then set a new password by a mail."""
    removal.remove_all(request, user, "recovery")
