"""Access tokens for services, with an audience of their own (RFC 7519 section 4.1.3, RFC 9068 section 3).

A service that gets such a token cannot use it at the auth API, where it would open the user's account
(`tokens.web.incoming`).
"""

from tokens.models import RefreshToken
from tokens.protocol.access_tokens import AccessToken, instant
from tokens.service import issuing


def issue(session: RefreshToken, access: AccessToken, *, is_held: bool) -> tuple[str, AccessToken]:
    """Return an access token for services, of the session of ``access``: its text, and its claims.

    ``session`` is its row as it is now, as `queries.session_of` returns it. ``is_held``: whether the client has shown
    a refresh token of the session that would not be rejected now. If not, the new token expires at the latest with
    ``access``, so that who has only that one does not gain time.

    The token names no generation, because its use proves no receipt of a refresh token.
    """
    until = None if is_held else instant(access.expires_at)
    return issuing.access_token(session, session.user, None, session.now, for_services=True, until=until)
