"""The adapter for django-allauth's app ``usersessions``: the end of a session there ends ours.

    USERSESSIONS_ADAPTER = "tokens.contrib.allauth.UserSessionsAdapter"

django-allauth deletes Django's session. Ours would go on. An adapter of a project's own inherits from this one.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import Any
from uuid import UUID

from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from django.conf import settings

from tokens.models import RefreshToken
from tokens.service import revocation, trust
from tokens.web.django.session_data import SESSION_ID


class UserSessionsAdapter(DefaultUserSessionsAdapter):  # type: ignore[misc]
    """Ends our session of each of Django's sessions first, so that none is left whose Django session is gone."""

    ends_ours = True
    """The check `tokens.W028` asks for it."""

    def end_sessions(self, sessions: Iterable[Any]) -> None:
        sessions = list(sessions)
        store: Any = import_module(settings.SESSION_ENGINE).SessionStore
        found = {(row.user_id, store(row.session_key).get(SESSION_ID)) for row in sessions}
        for user_id, session_id in found:
            if session_id is not None:
                ours = RefreshToken.objects.filter(id=UUID(session_id), user=user_id)
                with trust.ending(user=user_id, refresh_tokens__id=UUID(session_id)):
                    revocation.revoke(ours, RefreshToken.Reason.ENDED_BY_USER)
        super().end_sessions(sessions)
