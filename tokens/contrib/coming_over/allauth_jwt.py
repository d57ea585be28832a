"""django-allauth's ``headless`` with JWTs: its refresh tokens, each of which belongs to a session of Django's.

    HEADLESS_TOKEN_STRATEGY = "tokens.contrib.coming_over.allauth_jwt.TokenStrategy"

Its URLs stay as they are. A refresh token is verified by django-allauth's own strategy. Django's session stays too, and
django-allauth's views find it by an access token of ours.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from allauth.core import context
from allauth.headless import app_settings
from allauth.headless.tokens.strategies.jwt import JWTTokenStrategy, internal
from django.apps import apps
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from tokens.contrib.coming_over import sources
from tokens.contrib.coming_over.models import TakenOver
from tokens.contrib.coming_over.sources import Old, end_session_of, installed, since
from tokens.database.transactions import writer
from tokens.service.refreshing import Refusal
from tokens.web.exchange import exchange_of
from tokens.web.http.cookies import Presented
from tokens.web.methods import ATTRIBUTE, asked, proved
from tokens.web.operations import session, taking_over
from tokens.web.operations.taking_over import Credential
from tokens.web.possession import IN_BODY
from tokens.web.sign_in_policy import SignInRefused

NAME = "allauth_jwt"


class TokenStrategy(JWTTokenStrategy):  # type: ignore[misc]
    """django-allauth's own strategy. A refresh of its token answers with tokens of ours."""

    def get_session_token(self, request: Any) -> Any:
        """Return the key of Django's session, also for an access token of the session that it has become."""
        exchange = exchange_of(request)
        access = exchange.access if exchange is not None and exchange.by_bearer else None
        if access is not None and not access.for_services:
            row = _rows().filter(session_id=access.session_id).first()
            return None if row is None else internal.session_key_from_sid(row.more)
        return super().get_session_token(request)

    @sensitive_variables()
    def refresh_token(self, refresh_token: str) -> tuple[str, str] | None:
        request = context.request
        try:
            if taking_over.is_refresh_token(refresh_token):
                answer = _refreshed(request, refresh_token)
            else:
                answer = _taken_over(request, refresh_token)
        except SignInRefused:
            return None  # It is answered as any other refresh token that is refused.
        if isinstance(answer, Refusal):
            return None
        return answer.access_token, answer.refresh_token or refresh_token


@sensitive_variables()
def _refreshed(request: Any, text: str) -> Any:
    session_id = taking_over.session_of_refresh_token(text)
    if session_id is not None and not sources.end_if_ended(session_id, request):
        row = _rows().filter(session_id=session_id).first()
        if row is not None:
            _django_session(row.more).save()  # As django-allauth does. Otherwise Django's session would expire.
    return session.refresh(request, Presented(text, IN_BODY))


@sensitive_variables()
def _taken_over(request: Any, text: str) -> Any:
    valid = internal.validate_refresh_token(text)
    if valid is None:
        return Refusal()
    user, django_session, payload = valid
    rotates = app_settings.JWT_ROTATE_REFRESH_TOKEN
    lasts = None if rotates else max(_at(payload["exp"]) - timezone.now(), timedelta(seconds=1))
    credential = Credential(text, user, since(_at(payload["iat"])), lasts, _proved(django_session, user))
    old = Old(NAME, payload["jti"], credential, more=payload["sid"])
    answer = sources.take_over(request, old) if rotates else sources.use(request, old)
    if not isinstance(answer, Refusal):
        django_session.save()
    return answer


def _proved(django_session: Any, user: Any) -> Any:
    """Return what the user has proved just now in django-allauth's views, by its records (`allauth_methods`)."""
    asked.send(None, request=SimpleNamespace(session=django_session), user=user)
    return proved(getattr(user, ATTRIBUTE, {}))


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _django_session(sid: str) -> Any:
    return internal.get_token_session({"sid": sid})


def _rows() -> Any:
    return TakenOver._default_manager.using(writer(TakenOver)).filter(package=NAME)


class AllauthJWT:
    """Django's sessions, which the refresh tokens of django-allauth belong to. They end with them."""

    name = NAME

    def is_ended(self, key: str, more: str) -> bool:
        return _django_session(more) is None

    def end(self, rows: Iterable[TakenOver]) -> None:
        for row in rows:
            if (found := _django_session(row.more)) is not None:
                found.flush()

    def end_all_of(self, user_ids: Collection[Any]) -> None:
        # Those that were not taken over yet are refused by the security events, and by the hash of the password.
        self.end(_rows().filter(user__in=user_ids))


if apps.is_installed("allauth.headless"):
    installed[NAME] = AllauthJWT()


@receiver(user_logged_out)
def end_session(*, request: Any, user: Any, **kwargs: Any) -> None:
    """End the sessions that the refresh tokens of Django's session have become."""
    key = getattr(getattr(request, "session", None), "session_key", None)
    if user is None or key is None:
        return
    for row in _rows().filter(user=user.pk):
        if internal.session_key_from_sid(row.more) == key:
            end_session_of(NAME, row.key, row.user.pk, request)
