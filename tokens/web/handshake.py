"""Who opens a web socket. `tokens.sockets` uses it."""

from datetime import UTC, datetime

from django.http import HttpRequest

from tokens.conf import codec
from tokens.protocol.access_tokens import AccessToken, InvalidAccessToken
from tokens.web import cookies
from tokens.web.bearer import bearer_token
from tokens.web.origins import is_cross_origin
from tokens.web.session_cookie import session_cookie


class FromAnotherOrigin(Exception):
    """A page of another origin opens a web socket with the user's cookies."""


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
