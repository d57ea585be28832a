"""``factors.recovery.RecoveryCodeFactor``: recovery codes, for the setting FACTORS."""

from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

from factors.service import passkeys, recovery_codes, totp
from tokens import sessions
from tokens.sessions import Factor


class RecoveryCodeFactor(Factor):
    """A recovery code."""

    name = recovery_codes.NAME
    label = _("recovery code")
    proves = frozenset({"otp"})

    def is_available(self, user: Any) -> bool:
        return recovery_codes.left(user) > 0

    def page_after_sign_in(self, request: Any, user: Any) -> str | None:
        """Lead a user to recovery codes who has none, and an app, or a passkey that they need (REQUIRED_FACTORS).

        That is so after one was set up at the sign-in.
        """
        is_needed = sessions.factors.is_required_of(user) and passkeys.has_some(user)
        if not (is_needed or totp.of_user(user)) or recovery_codes.left(user):
            return None
        try:
            return reverse("new-recovery-codes")
        except NoReverseMatch:
            return None

    def verify(self, request: Any, user: Any, answer: Any) -> list[str] | None:
        return ["otp"] if recovery_codes.verify(request, user, answer) else None
