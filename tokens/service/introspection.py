"""Introspection: whether an access token is good at this instant, by its session's row and not by the feed."""

from tokens.access_tokens import AccessToken, instant
from tokens.models import RefreshToken
from tokens.service.stamps import renewed_stamp


def is_active(access: AccessToken) -> bool:
    """Whether the token has not expired, and its session goes on: a refresh would not be refused for what it is."""
    session = RefreshToken.objects.for_decision().live().filter(id=access.session_id).first()
    return (
        session is not None
        and session.now < instant(access.expires_at)
        and str(session.user.pk) == access.subject
        and session.user.is_active
        and renewed_stamp(session, session.user) is not None
    )
