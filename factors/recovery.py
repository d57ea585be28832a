"""``factors.recovery.RecoveryCodeFactor``: recovery codes, for the setting FACTORS."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from factors.service import recovery_codes
from tokens.sessions import Factor


class RecoveryCodeFactor(Factor):
    """A recovery code."""

    name = recovery_codes.NAME
    label = _("recovery code")
    proves = frozenset({"otp"})

    def is_available(self, user: Any) -> bool:
        return recovery_codes.left(user) > 0

    def verify(self, request: Any, user: Any, answer: Any) -> list[str] | None:
        return ["otp"] if recovery_codes.verify(request, user, answer) else None
