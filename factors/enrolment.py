"""Ways to set up a factor at a sign-in, for users who lack one that REQUIRED_FACTORS asks for. Add them to FACTORS.

Somebody who has found out the password of such an account can use them too, as long as its user has set up none. The
user gets a mail about it, with the alarm's link.
"""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from factors.service import passkeys, totp
from tokens import sessions
from tokens.sessions import Factor


class TotpEnrolment(Factor):
    """A new authenticator app. `begin` returns its secret, and the answer is a code of it."""

    name = "enrol_totp"
    label = _("authenticator app")
    proves = frozenset({"otp"})
    is_enrolment = True
    template = "factors/enrol_app.html"

    def is_available(self, user: Any) -> bool:
        return totp.of_user(user) is None

    def begin(self, request: Any, user: Any) -> dict[str, str] | None:
        session_id = sessions.factors.bound_to(request)
        if session_id is None:
            return None
        found = totp.begin_at_sign_in(user, session_id)
        return {"secret": found.secret, "otpauth_uri": found.uri}

    def verify(self, request: Any, user: Any, answer: Any) -> list[str] | None:
        session_id = sessions.factors.bound_to(request)
        is_right = session_id is not None and totp.confirm_at_sign_in(request, user, session_id, answer)
        return ["otp"] if is_right else None


class PasskeyEnrolment(Factor):
    """A new passkey. `begin` returns what the browser needs to create it, and the answer is what it returns.

    It counts as something that the user has, whether it has verified its user or not: nobody has signed in by it yet.
    """

    name = passkeys.ENROLMENT
    label = _("passkey")
    proves = frozenset({"pop", "user"})
    is_enrolment = True
    needs_script = True
    template = "factors/enrol_passkey.html"

    def is_available(self, user: Any) -> bool:
        return passkeys.are_on() and not passkeys.has_some(user)

    def begin(self, request: Any, user: Any) -> Mapping[str, Any] | None:
        has_session = sessions.factors.bound_to(request) is not None
        return passkeys.creation_options(request, user) if has_session else None

    def verify(self, request: Any, user: Any, answer: Any) -> list[str] | None:
        try:
            passkeys.create(request, user, answer)
        except (passkeys.CreationRefused, passkeys.TooMany, sessions.SessionEnded):
            return None
        return ["pop", "user"]
