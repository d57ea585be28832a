"""Access tokens for services, with an audience of their own (RFC 7519 section 4.1.3, RFC 9068 section 3).

A service that gets such a token cannot use it at the auth API, where it would open the user's account
(`tokens.web.incoming`).
"""

from tokens.protocol.access_tokens import AccessToken, instant
from tokens.service import issuing, queries


def issue(access: AccessToken, *, can_refresh: bool) -> tuple[str, AccessToken] | None:
    """Return an access token for services, of the session of ``access``: its text, and its claims.

    ``can_refresh``: whether the client has shown a refresh token of the session. If not, the new token expires at the
    latest with ``access``, so that who has only that one does not gain time.

    None: the session has ended. The token names no generation, because its use proves no receipt of a refresh token.
    """
    session = queries.session_of(access)
    if session is None:
        return None
    until = None if can_refresh else instant(access.expires_at)
    return issuing.access_token(session, session.user, None, session.now, for_services=True, until=until)
