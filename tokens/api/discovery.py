"""The endpoints for verifiers of access tokens: the public keys (RFC 7517) and the metadata (RFC 8414)."""

from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, JsonResponse
from django.urls import NoReverseMatch, reverse
from django.views.decorators.cache import cache_control

from tokens.conf import keyring, token_settings
from tokens.web.http import paths

JWKS_MAX_AGE = 300
"""Seconds that verifiers may keep the public keys. A new key must be a fallback for longer than this."""


@login_not_required
@cache_control(public=True, max_age=JWKS_MAX_AGE)
def jwks(request: HttpRequest) -> JsonResponse:
    """Return the public keys of access tokens (RFC 7517 section 5)."""
    return JsonResponse(keyring().jwks, content_type="application/jwk-set+json")


@login_not_required
@cache_control(public=True, max_age=JWKS_MAX_AGE)
def authorization_server_metadata(request: HttpRequest, component: str = "") -> JsonResponse:
    """Return the issuer, and where the public keys and the introspection are (RFC 8414).

    ``component``: the path of the issuer, which follows the path of the metadata (section 3.1).

    Only what is true of Latchkey is in the answer. Latchkey is no OAuth provider, and has no authorization endpoint and
    no token endpoint. So `response_types_supported` and `grant_types_supported` are empty. Section 3.2 says to leave
    out what is empty, but section 2 requires the first, and without the second a wrong default would hold.

    Raise `Http404` if there is no metadata:

    - The setting ISSUER is no URL (section 2), so verifiers could not find the metadata.
    - ``component`` is not the path of ISSUER.
    - TENANT_HOOK is set. All tenants have one issuer, but each may have keys of its own.
    """
    found = token_settings()
    try:
        issuer = urlsplit(found.issuer)
    except ValueError:  # For example half of an IPv6 address.
        raise Http404 from None
    is_url = issuer.scheme in {"https", "http"} and issuer.netloc and not (issuer.query or issuer.fragment)
    if found.tenant_hook or not is_url or component.strip("/") != issuer.path.strip("/"):
        raise Http404
    metadata: dict[str, Any] = {
        "issuer": found.issuer,
        "response_types_supported": [],
        "grant_types_supported": [],
    }
    if keys := _path_of_jwks():
        metadata["jwks_uri"] = found.origin + keys
    if found.introspectors and (api := paths.auth_api()):
        metadata["introspection_endpoint"] = f"{found.origin}{api}introspect"
        metadata["introspection_endpoint_auth_methods_supported"] = ["client_secret_basic"]
    return JsonResponse(metadata)


def _path_of_jwks() -> str | None:
    """Return the path at which the project serves `jwks`, or None."""
    try:
        return reverse(jwks)
    except NoReverseMatch:
        return None
