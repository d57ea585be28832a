"""The cookie of a claim to another offer to bind the session (`tokens.service.binding`)."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tokens.conf import token_settings
from tokens.service import binding
from tokens.web.http.cookie_names import CLAIM, is_sent, read
from tokens.web.http.cookies import keep_private


def is_there(request: HttpRequest) -> bool:
    """Return whether the request has a claim. Nearly all have none."""
    return CLAIM.prefixed in request.META.get("HTTP_COOKIE", "") and is_sent(request, CLAIM.name)


def text_of(request: HttpRequest) -> str | None:
    """Return the claim of this browser, or None."""
    return read(request, (CLAIM.name,))


def keep(response: HttpResponseBase, claim: str) -> None:
    """Let the browser keep its claim."""
    _set(response, claim, int(binding.CLAIM_LIFETIME.total_seconds()))


def clear(response: HttpResponseBase) -> None:
    """Delete the claim. A shared cache must not store the response, because it may have the offer."""
    _set(response, "", 0)


def _set(response: HttpResponseBase, value: str, seconds: int) -> None:
    secure = token_settings().secure
    response.set_cookie(CLAIM.name, value, max_age=seconds, secure=secure, httponly=True, samesite="Lax")
    keep_private(response)
