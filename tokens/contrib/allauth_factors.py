"""The second factors of django-allauth, for the setting FACTORS: codes of an app, and recovery codes.

django-allauth's passkeys are left out. It keeps the challenge of a passkey in Django's session, which a sign-in by the
API has not, and answers it on its own pages. It gives everybody who has a passkey recovery codes too.
"""

from typing import Any

from allauth.mfa import signals
from allauth.mfa.models import Authenticator
from django.dispatch import receiver
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from tokens.service import trust
from tokens.web.factors import Factor


class _OfAllauth(Factor):
    """A code that django-allauth verifies, and notes as used."""

    proves = frozenset({"otp"})
    kind: str

    def is_available(self, user: Any) -> bool:
        return self._found(user) is not None

    @sensitive_variables()
    def verify(self, request: Any, user: Any, answer: Any) -> list[str] | None:
        found = self._found(user)
        if found is None or not isinstance(answer, str) or not found.wrap().validate_code(answer):
            return None
        Authenticator.objects.get(pk=found.pk).record_usage()
        signals.authenticator_used.send(
            Authenticator, request=request, user=user, authenticator=found, reauthenticated=False, passwordless=False
        )
        return ["otp"]

    def _found(self, user: Any) -> Any:
        return Authenticator.objects.filter(user_id=user.pk, type=self.kind).first()


@receiver(signals.authenticator_removed)
@receiver(signals.authenticator_reset)
def end_trust(*, user: Any, **kwargs: Any) -> None:
    """Ask a user of whom a factor was removed or replaced for a second factor again, on all devices."""
    trust.end(user=user.pk)


class TOTP(_OfAllauth):
    """A code of an app (RFC 6238)."""

    name, label = "totp", _("code of an app")
    kind = Authenticator.Type.TOTP


class RecoveryCode(_OfAllauth):
    """One of the codes that the user has written down."""

    name, label = "recovery_code", _("recovery code")
    kind = Authenticator.Type.RECOVERY_CODES
