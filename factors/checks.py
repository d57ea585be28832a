"""System checks that ``check --deploy`` shows.

- ``factors.W001``: users can set up a second factor, and no sign-in asks for it.
- ``factors.W002``: users have no recovery codes beside the factor that they can lose.
"""

from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

from tokens import sessions

LOST = {"totp", "passkey"}
"""The factors of a thing that people lose."""


@register(Tags.security, deploy=True)
def check_factors(**kwargs: Any) -> list[CheckMessage]:
    """Check that the factors in FACTORS are asked for, and that there is a way in without the lost one."""
    try:
        names, is_asked = {*sessions.factors.names()}, sessions.factors.are_asked_for()
    except (ImproperlyConfigured, ImportError, TypeError, AttributeError):
        return []  # The checks of `tokens` say what is wrong with the settings.
    messages: list[CheckMessage] = []
    if not LOST & names:
        return messages
    if not is_asked:
        hint = 'Set SIGN_IN_POLICY to "factors.policy.enrolled", which asks the users who have set one up.'
        what = "Users can set up a second factor, but SIGN_IN_POLICY asks nobody for it."
        messages.append(Warning(what, hint=hint, id="factors.W001"))
    if "recovery_code" not in names:
        hint = 'Add "factors.recovery.RecoveryCodeFactor" to FACTORS.'
        what = "Users who lose the second factor have no recovery codes."
        messages.append(Warning(what, hint=hint, id="factors.W002"))
    return messages
