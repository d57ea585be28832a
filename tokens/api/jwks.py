"""The public keys of access tokens (RFC 7517 section 5), for whoever checks them without asking us."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import cache_control

from tokens.keys import keyring

JWKS_MAX_AGE = 300
"""Seconds that verifiers may keep the public keys: a new key must be a fall-back for longer than this."""


@login_not_required
@cache_control(public=True, max_age=JWKS_MAX_AGE)
def jwks(request: HttpRequest) -> JsonResponse:
    return JsonResponse(keyring().jwks, content_type="application/jwk-set+json")
