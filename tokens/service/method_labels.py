"""The words for the authentication methods of a session, and of an event, in the active language."""

from datetime import datetime

from tokens.conf.methods import words
from tokens.models import RefreshToken, SecurityEvent
from tokens.protocol.access_tokens import instant
from tokens.protocol.methods import loads


def dated(session: RefreshToken) -> list[tuple[str, datetime]]:
    """Return the word for each method of a session, with the time at which the user last proved it."""
    return [(word, instant(at)) for name, at in loads(session.methods).items() for word in words([name])]


def of_event(event: SecurityEvent) -> list[str]:
    """Return the words for the methods in an event."""
    return words(event.methods.split())
