"""knox: its tokens, which are opaque, come with every request, and are never replaced.

A token is verified by knox's own class, which finds it by its digest. It becomes a session when it is first used after
the release, and is used on: the session counts as used then, and its end deletes the token.
"""

from collections.abc import Collection, Iterable
from typing import Any

from django.apps import apps
from django.db.models.signals import pre_delete
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from knox.auth import TokenAuthentication as OfKnox
from knox.models import get_token_model
from knox.settings import knox_settings
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from tokens.contrib.coming_over import sources
from tokens.contrib.coming_over.errors import in_their_form
from tokens.contrib.coming_over.models import TakenOver
from tokens.contrib.coming_over.sources import Old, end_session_of, installed, since
from tokens.service.users import UserChanged
from tokens.web.operations.taking_over import Credential
from tokens.web.sign_in_policy import SignInRefused

NAME = "knox"


@sensitive_variables()
def verified(text: str) -> Old:
    """Return a valid token of knox. Raise `AuthenticationFailed`."""
    return _old(text, *OfKnox().authenticate_credentials(text.encode()))


def _old(text: str, user: Any, row: Any) -> Old:
    is_renewed = row.expiry is None or knox_settings.AUTO_REFRESH
    lasts = None if is_renewed else row.expiry - timezone.now()
    return Old(NAME, row.digest, Credential(text, user, since(row.created), lasts))


class TokenAuthentication(OfKnox):  # type: ignore[misc]
    """knox's own class for views of REST framework. It takes the token over when it is first used.

    ``request.auth`` is knox's row, as before.
    """

    @sensitive_variables()
    def authenticate(self, request: Request) -> Any:
        found = super().authenticate(request)
        if found is None:
            return None
        user, row = found
        old = _old(request.META["HTTP_AUTHORIZATION"].split()[1], user, row)
        try:
            is_valid = sources.keep_using(request._request, old)
        except (SignInRefused, UserChanged) as error:
            raise in_their_form(error) from None
        if not is_valid:
            raise AuthenticationFailed("Invalid token.")
        return user, row


class Knox:
    """knox's table. A token ends there when its row is deleted."""

    name = NAME

    def is_ended(self, key: str, more: str) -> bool:
        return not get_token_model().objects.filter(digest=key).exists()

    def end(self, rows: Iterable[TakenOver]) -> None:
        get_token_model().objects.filter(digest__in=[row.key for row in rows]).delete()

    def end_all_of(self, user_ids: Collection[Any]) -> None:
        get_token_model().objects.filter(user__in=user_ids).delete()


def end_session(*, instance: Any, **kwargs: Any) -> None:
    """End the session of a token that knox, or the project, is deleting."""
    end_session_of(NAME, instance.digest, instance.user_id)


if apps.is_installed("knox"):
    installed[NAME] = Knox()
    pre_delete.connect(end_session, sender=get_token_model())
