"""Passkeys as a factor: ``factors.passkeys.PasskeyFactor`` in the setting FACTORS."""

from collections.abc import Mapping
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

from factors.service import offers, passkeys
from tokens import sessions
from tokens.sessions import Factor


class PasskeyFactor(Factor):
    """A passkey: in a password manager, in the device, or in a security key."""

    name = passkeys.NAME
    label = _("passkey")
    needs_script = True
    sign_in_template = "factors/passkey_sign_in.html"
    hint_template = "factors/passkey_hint.html"

    def __init__(self) -> None:
        is_hardware = sessions.relying_party(None).trusts_device_bound
        self.proves = frozenset({"pop", "user", "mfa", *(["hwk"] if is_hardware else [])})

    @property
    def template(self) -> str:  # type: ignore[override]
        """The template of forms that ask for a passkey. A project that has the API only has none."""
        try:
            return "factors/passkey_answer.html" if reverse("passkey-options") else ""
        except NoReverseMatch:
            return ""

    def is_available(self, user: Any) -> bool:
        return passkeys.has_some(user)

    def begin(self, request: Any, user: Any) -> Mapping[str, Any] | None:
        return passkeys.prove_options(request, user)

    def page_after_sign_in(self, request: Any, user: Any) -> str | None:
        """Return the page that offers a passkey, if the script of `hint_template` says that the device can keep one."""
        if not request.POST.get("passkeys") or not offers.is_wanted(user):
            return None
        try:
            return reverse("offer-passkey")
        except NoReverseMatch:
            return None  # The project has the API only.

    def verify(self, request: Any, user: Any, answer: Any) -> list[str] | None:
        return passkeys.verify(request, user, answer)
