"""A policy for django-allauth: its confirmation of addresses and its second factors hold at every entry point.

    TOKENS = {
        "SIGN_IN_POLICY": "tokens.contrib.allauth_policy.sign_in_policy",
        "FACTORS": [
            "tokens.web.factors.Password",
            "tokens.contrib.allauth_factors.TOTP",
            "tokens.contrib.allauth_factors.RecoveryCode",
        ],
    }

django-allauth asks for both on its own pages only. The API, the pages of `accounts` and the admin know neither. With
this policy they ask for a code too, and refuse users who have not confirmed an address. A sign-in on django-allauth's
own pages has passed its stages before it is asked about, and its records say so.
"""

from typing import Any

from allauth.account import app_settings
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.utils import has_verified_email
from django.apps import apps
from django.utils.translation import gettext_lazy as _

from tokens.web.sign_in_policy import MoreNeeded, Open, Refuse

_SECOND = frozenset({"otp", "pop"})
"""The methods of django-allauth's second factors."""


def sign_in_policy(request: Any, user: Any, methods: Any) -> Open | Refuse | MoreNeeded:
    """Admit whom django-allauth would admit. An impersonation is not asked for anything."""
    if methods.actor is not None:
        return Open()
    if _must_be_confirmed(request, user) and not has_verified_email(user):
        return Refuse(_("Confirm your e-mail address before you sign in."))
    if apps.is_installed("allauth.mfa") and _has_second_factor(user) and not _SECOND & methods.keys():
        return Open() if _is_trusted(request, user) else MoreNeeded(["totp", "recovery_code"])
    return Open()


def _must_be_confirmed(request: Any, user: Any) -> bool:
    """Return whether django-allauth requires it. It has a setting of its own for sign-ins by another site."""
    rule = app_settings.EMAIL_VERIFICATION
    if apps.is_installed("allauth.socialaccount") and hasattr(request, "session"):
        from allauth.socialaccount import app_settings as of_social  # A part of django-allauth that may be missing.

        if any(record.get("method") == "socialaccount" for record in get_authentication_records(request, user)):
            rule = of_social.EMAIL_VERIFICATION
    return bool(rule == app_settings.EmailVerificationMethod.MANDATORY)


def _has_second_factor(user: Any) -> bool:
    # A part of django-allauth that may be missing.
    from allauth.mfa.models import Authenticator
    from allauth.mfa.utils import is_mfa_enabled

    return bool(is_mfa_enabled(user, [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]))


def _is_trusted(request: Any, user: Any) -> bool:
    """Return whether django-allauth trusts this browser (MFA_TRUST_ENABLED), and asks it for no second factor."""
    from allauth.mfa.internal.flows.trust import is_trusted_browser  # As above.

    return bool(is_trusted_browser(request, user))
