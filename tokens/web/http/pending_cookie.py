"""The cookie of a pending sign-in (`tokens.web.operations.pending`): the browser may answer the factors it names."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tokens.conf import token_settings
from tokens.web.http.cookie_names import PENDING, is_sent, read


def text_of(request: HttpRequest) -> str | None:
    """Return the pending sign-in of this browser, or None."""
    return read(request, PENDING.names)


def keep(response: HttpResponseBase, text: str, seconds: int) -> None:
    """Let the browser keep a pending sign-in for so long."""
    secure = token_settings().secure
    response.set_cookie(PENDING.name, text, max_age=seconds, secure=secure, httponly=True, samesite="Lax")


def clear(request: HttpRequest, response: HttpResponseBase) -> None:
    """Delete the pending sign-in of this browser, if it has one."""
    if is_sent(request, PENDING.name):
        keep(response, "", 0)
