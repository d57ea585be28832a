"""The relying party of passkeys: the name that a passkey is bound to, its origins, and the keys of its challenges.

The name (``rpId``) is COOKIE_DOMAIN if there is a mode `subdomain`, so that a passkey is good on all hosts of the site.
Otherwise it is the host of ORIGIN. It must never change: passkeys of another name cannot be used any more.

Tenants (TENANT_HOOK) have hosts of their own. There the name is the host that the request was sent to, if it is in
ALLOWED_HOSTS, and otherwise that of ORIGIN. A page of another host cannot use the passkeys of this one, because the
browser does not let it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tokens.conf import SUBDOMAIN, keyring, tenants, token_settings
from tokens.web.http.cookie_names import PASSKEY, read
from tokens.web.http.origins import addressed

MAX_BROWSER = 100
"""Characters of the random text that names a browser."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The relying party of a request (WebAuthn Level 3 section 4).

    ``origins`` are those whose pages may use passkeys, first the own one. ``keys`` are the MAC keys of challenges: the
    first makes them, and all verify. ``trusts_device_bound`` is TRUST_DEVICE_BOUND_PASSKEYS. ``browser`` is the random
    text that names the browser in the challenges of its sign-ins, or "".
    """

    id: str
    origins: Sequence[str]
    keys: Sequence[bytes] = field(repr=False)
    trusts_device_bound: bool
    browser: str = field(default="", repr=False)

    @staticmethod
    def keep(response: HttpResponseBase, browser: str) -> None:
        """Let the browser keep the random text that names it, until it is closed."""
        response.set_cookie(PASSKEY.name, browser, secure=token_settings().secure, httponly=True, samesite="Lax")


def relying_party(request: HttpRequest | None) -> RelyingParty:
    """Return the relying party of this request. Without a request, that of ORIGIN."""
    found = token_settings()
    own = found.origin
    if request is not None and tenants.current():
        own = addressed(request) or own
    is_of_site = SUBDOMAIN in found.modes and bool(found.cookie_domain)
    browser = read(request, PASSKEY.names) or "" if request is not None else ""
    return RelyingParty(
        id=found.cookie_domain.lstrip(".") if is_of_site else urlsplit(own).hostname or own,
        origins=(own, *(origin for origin in found.trusted_origins if origin != own)),
        keys=keyring().passkey_keys,
        trusts_device_bound=found.trust_device_bound_passkeys,
        browser=browser if len(browser) <= MAX_BROWSER else "",
    )
