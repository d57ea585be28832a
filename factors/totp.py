"""``factors.totp.TotpFactor``: codes of an authenticator app, for the setting FACTORS."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from factors.service import totp
from tokens.sessions import Factor


class TotpFactor(Factor):
    """A code of an authenticator app."""

    name = totp.NAME
    label = _("authenticator app")
    answer_label = _("code of your authenticator app")
    proves = frozenset({"otp"})

    def is_available(self, user: Any) -> bool:
        return totp.of_user(user) is not None

    def verify(self, request: Any, user: Any, answer: Any) -> list[str] | None:
        return ["otp"] if totp.verify(user, answer) else None
