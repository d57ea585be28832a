"""djangorestframework-simplejwt: its refresh tokens, which are JWTs, and its blacklist.

A refresh token is verified by the class of TOKEN_REFRESH_SERIALIZER, its user by `JWTAuthentication` and by
USER_AUTHENTICATION_RULE. So a project's own class, rule and claims count.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from typing import Any

from django.apps import apps
from django.db.models.signals import post_save, pre_save
from django.utils import timezone
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken
from rest_framework_simplejwt.utils import aware_utcnow, datetime_from_epoch

from tokens.contrib.coming_over.models import TakenOver
from tokens.contrib.coming_over.sources import Old, end_session_of, installed, since
from tokens.web import methods
from tokens.web.operations.taking_over import Credential

NAME = "simplejwt"
KNOWN_KEY = 255
"""Characters of a token's id in simplejwt's table."""
HAS_BLACKLIST = apps.is_installed("rest_framework_simplejwt.token_blacklist")


@sensitive_variables()
def verified(text: str) -> Old:
    """Return a valid refresh token of simplejwt that is not blacklisted.

    Raise `TokenError`, or `AuthenticationFailed` about its user.
    """
    token = token_class()(text)
    user = JWTAuthentication().get_user(token)
    if not api_settings.USER_AUTHENTICATION_RULE(user):
        raise AuthenticationFailed("No active account found for the given token.", "no_active_account")
    issued = token.get("iat")
    issued_ago = since(_at(issued)) if isinstance(issued, int | float) else None
    return _old(token, Credential(text, user, issued_ago, _left(token)))


@contextmanager
def issued(request: Any, user: Any, token: Any) -> Iterator[Old]:
    """Yield a refresh token that simplejwt has just issued to a user who has authenticated in this request.

    If the block raises an exception, nobody gets the token, and its row is deleted.
    """
    proved = methods.of_sign_in(request, user)
    try:
        yield _old(token, Credential(str(token), user, timedelta(), _left(token), proved, is_sign_in=True))
    except Exception:
        if HAS_BLACKLIST:
            OutstandingToken.objects.filter(jti=key_of(token)).delete()
        raise


def _old(token: Any, credential: Credential) -> Old:
    return Old(NAME, key_of(token), credential, more=str(int(token["exp"])))


def _left(token: Any) -> timedelta | None:
    return None if rotates() else max(_at(token["exp"]) - timezone.now(), timedelta(seconds=1))


def rotates() -> bool:
    """Return whether a client of this project gets, and stores, another refresh token whenever it refreshes."""
    return bool(api_settings.ROTATE_REFRESH_TOKENS)


def token_class() -> Any:
    """Return the project's class of refresh tokens."""
    return getattr(import_string(api_settings.TOKEN_REFRESH_SERIALIZER), "token_class", RefreshToken)


def key_of(token: Any) -> str:
    """Return what identifies a refresh token: its id, or a digest of what it says if tokens have none that fits."""
    found = str(token.get(api_settings.JTI_CLAIM) or "")
    return found if 0 < len(found) <= KNOWN_KEY else sha256(str(token).encode()).hexdigest()


def _at(seconds: float) -> Any:
    return timezone.make_aware(found) if timezone.is_naive(found := datetime_from_epoch(seconds)) else found


class SimpleJWT:
    """simplejwt's blacklist. Only with its app ``token_blacklist`` can it end a refresh token."""

    name = NAME

    def is_ended(self, key: str, more: str) -> bool:
        return HAS_BLACKLIST and BlacklistedToken.objects.filter(token__jti=key).exists()

    def end(self, rows: Iterable[TakenOver]) -> None:
        # ``get_or_create`` as simplejwt does it: a token from before its app was installed has no row. simplejwt reads
        # no other column than the id.
        given = [(row, {"user": row.user, "created_at": aware_utcnow(), "token": ""}) for row in rows]
        self._blacklist(
            OutstandingToken.objects.get_or_create(
                jti=row.key, defaults={**more, "expires_at": datetime_from_epoch(int(row.more))}
            )[0]
            for row, more in given
        )

    def end_all_of(self, user_ids: Collection[Any]) -> None:
        found = OutstandingToken.objects.filter(user__in=user_ids, expires_at__gt=aware_utcnow())
        self._blacklist(found.filter(blacklistedtoken=None))

    def _blacklist(self, tokens: Iterable[Any]) -> None:
        rows = [BlacklistedToken(token=token, blacklisted_at=timezone.now()) for token in tokens]
        BlacklistedToken.objects.bulk_create(rows, ignore_conflicts=True)


def end_session(*, instance: Any, created: bool = True, raw: bool = False, **kwargs: Any) -> None:
    """End the session of a refresh token that is being blacklisted, or was just now.

    Before as well, so that a transaction locks the session first, as `tokens.contrib.coming_over.revocation` does.
    After as well, because without a transaction the token may have been taken over meanwhile.
    """
    if created and not raw:
        end_session_of(NAME, instance.token.jti, instance.token.user_id)


if HAS_BLACKLIST:
    installed[NAME] = SimpleJWT()
    pre_save.connect(end_session, sender=BlacklistedToken)
    post_save.connect(end_session, sender=BlacklistedToken)
