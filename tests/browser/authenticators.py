"""Authenticators in software, which Chromium gives to a page by its protocol for developers (the domain WebAuthn)."""

from typing import Any

import pytest
from playwright.sync_api import Page

BY_PRESS = "PublicKeyCredential.isConditionalMediationAvailable = async () => false"
"""Runs before a page's own scripts. The browser then suggests no passkeys, so that a test has to press the button."""


class Authenticator:
    """An authenticator of this page's browser, which the user touches at once.

    ``internal``: whether it is part of the device, as Touch ID is, or a security key. ``is_old``: a security key that
    neither checks who the user is nor keeps passkeys. ``synced``: its backup flags, eligible and done.
    """

    def __init__(
        self, page: Page, *, internal: bool = True, is_old: bool = False, synced: tuple[bool, bool] = (False, False)
    ) -> None:
        browser = page.context.browser
        if browser is None or browser.browser_type.name != "chromium":
            pytest.skip("It assumes Chromium: the protocol of no other browser here has authenticators.")
        self._cdp = page.context.new_cdp_session(page)
        self._cdp.send("WebAuthn.enable", {"enableUI": False})
        options = {
            "protocol": "ctap2",
            "transport": "internal" if internal else "usb",
            "hasResidentKey": not is_old,
            "hasUserVerification": not is_old,
            "isUserVerified": not is_old,
            "automaticPresenceSimulation": True,
            "defaultBackupEligibility": synced[0],
            "defaultBackupState": synced[1],
        }
        added = self._cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self._id = {"authenticatorId": added["authenticatorId"]}

    def credentials(self) -> list[dict[str, Any]]:
        """Return its passkeys with their private keys, as a thief could who copies it."""
        return self._cdp.send("WebAuthn.getCredentials", self._id)["credentials"]  # type: ignore[no-any-return]

    def put(self, credential: dict[str, Any], **changed: Any) -> None:
        """Keep this passkey too."""
        self._cdp.send("WebAuthn.addCredential", {**self._id, "credential": {**credential, **changed}})

    def forget(self) -> None:
        """Delete all its passkeys."""
        self._cdp.send("WebAuthn.clearCredentials", self._id)

    def verify(self, is_right: bool) -> None:
        """Let it find from now on that its user is the right one, or not."""
        self._cdp.send("WebAuthn.setUserVerified", {**self._id, "isUserVerified": is_right})

    def touch(self, *, at_once: bool) -> None:
        """Let its user touch it as soon as it asks, or not at all."""
        self._cdp.send("WebAuthn.setAutomaticPresenceSimulation", {**self._id, "enabled": at_once})
