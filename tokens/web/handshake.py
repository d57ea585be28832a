"""Who opens a web socket. `tokens.sockets` uses it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, parse_cookie

from tokens.conf import codec
from tokens.protocol.access_tokens import AccessToken, InvalidAccessToken
from tokens.web.django.session_cookie import session_cookie
from tokens.web.http import cookies
from tokens.web.http.bearer import bearer_token
from tokens.web.http.origins import is_cross_origin


class FromAnotherOrigin(Exception):
    """A page of another origin opens a web socket with the user's cookies."""


def request_of(scope: Mapping[str, Any]) -> HttpRequest:
    """Return a request with the headers of a handshake. Several ``Cookie`` headers are one (RFC 9113 section 8.2.3)."""
    request = HttpRequest()
    request.method, request.path = "GET", scope.get("path", "")
    request.path_info = request.path
    # A handshake without a Host is for no host of ours.
    request.META.update(SERVER_NAME="", SERVER_PORT="")
    request.scope = scope  # type: ignore[attr-defined]
    for name, value in scope.get("headers", ()):
        if b"_" in name:
            continue  # It would be read as another header, as in Django.
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        if key in request.META:
            text = f"{request.META[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        request.META[key] = text
    request.COOKIES = parse_cookie(request.META.get("HTTP_COOKIE", ""))
    return request


def access_of(request: HttpRequest) -> AccessToken | None:
    """Return the valid access token of a web socket's handshake, or None. Its session is not asked.

    Raise `FromAnotherOrigin`. Nothing is refreshed.
    """
    text, is_open = bearer_token(request), True
    if text is None or not codec().claims_to_be_ours(text):
        text, is_open = cookies.read_access(request), cookies.is_open(request)
        # Channels reads Django's session cookie too.
        if (text is not None or session_cookie(request) is not None) and is_cross_origin(request):
            raise FromAnotherOrigin
    try:
        token = codec().loads(text or "", datetime.now(UTC))
    except InvalidAccessToken:
        return None
    return token if is_open or not token.while_open else None
