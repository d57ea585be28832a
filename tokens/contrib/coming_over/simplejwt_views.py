"""The views of simplejwt, which answer in its form with tokens of ours.

A client that gets another refresh token at each refresh (ROTATE_REFRESH_TOKENS) gets one of ours. All others go on with
the one that they have, and get access tokens of ours.
"""

from collections.abc import Callable
from typing import Any

from django.views.decorators.debug import sensitive_variables
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt import views
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError
from rest_framework_simplejwt.tokens import Token

from tokens.contrib.coming_over import simplejwt, sources
from tokens.contrib.coming_over.answers import Alias, of_django, opened, tokens_of
from tokens.contrib.coming_over.taking import TakeOverView
from tokens.service import revocation
from tokens.service.issuing import IssuedTokens
from tokens.web.http.client import client_of
from tokens.web.http.cookies import Presented
from tokens.web.operations import session, taking_over
from tokens.web.operations.taking_over import Wanted
from tokens.web.possession import IN_BODY


class _Given(serializers.Serializer[Any]):
    refresh = serializers.CharField()


class _GivenToken(serializers.Serializer[Any]):
    token = serializers.CharField()


def without_row(serializer_class: Any) -> Any:
    """Return a serializer that does the same, and leaves no row in simplejwt's table of outstanding tokens.

    Its tokens are thrown away, because the client gets ours.
    """
    of_theirs = getattr(serializer_class, "token_class", None)
    if of_theirs is None:
        return serializer_class
    thrown_away = type("ThrownAway", (of_theirs,), {"for_user": classmethod(Token.for_user.__func__)})
    return type(serializer_class.__name__, (serializer_class,), {"token_class": thrown_away})


class TokenObtainPairView(Alias, views.TokenObtainPairView):  # type: ignore[misc]
    """Opens a session. What the project's serializer adds to the answer stays."""

    def get_serializer_class(self) -> Any:
        return without_row(super().get_serializer_class())

    @sensitive_variables()
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        access, refresh = signed_in(request, serializer.user, super().get_serializer_class().get_token)
        return Response({**serializer.validated_data, "refresh": refresh, "access": access})


@sensitive_variables()
def signed_in(request: Any, user: Any, get_token: Callable[[Any], Any]) -> tuple[str, str]:
    """Open a session for a user whom simplejwt's serializer has authenticated. Return an access and a refresh token.

    The refresh token is one of simplejwt (``get_token``) if its clients never get another one: they would present ours
    again after it was used. A view of the project calls it with ``RefreshToken.for_user``. Raise what
    `tokens.web.sign_in_policy.admit` raises, and `UserChanged`.
    """
    request = of_django(request)
    if simplejwt.rotates():
        issued = opened(request, user, Wanted())
        return issued.access_token, issued.refresh_token or ""
    token = get_token(user)
    with simplejwt.issued(request, user, token) as old:
        return sources.sign_in(request, old).access_token, old.credential.text


class TokenRefreshView(Alias, views.TokenRefreshView):  # type: ignore[misc]
    """Refreshes a session of ours, by its refresh token or by the one of simplejwt that it comes from."""

    serializer_class = _Given

    @sensitive_variables()
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return Response(refreshed(request, serializer.validated_data["refresh"]))


@sensitive_variables()
def refreshed(request: Request, text: str) -> dict[str, str]:
    """Return the answer to a refresh token, ours or simplejwt's. Raise what is answered to any other."""
    issued = refresh(request, text)
    found = {"access": issued.access_token}
    if simplejwt.rotates() or taking_over.is_refresh_token(text) or issued.decision is not None:
        # The protocol returns no refresh token for the current one. But clients store what the answer has.
        found["refresh"] = issued.refresh_token or text
    return found


@sensitive_variables()
def refresh(request: Request, text: str, wanted: Wanted | None = None) -> IssuedTokens:
    """Return the tokens for a refresh token, ours or simplejwt's. Raise `InvalidToken` and `AuthenticationFailed`.

    A client that never gets another refresh token gets an access token only, unless the session has rotated already.
    """
    if taking_over.is_refresh_token(text):
        session_id = taking_over.session_of_refresh_token(text)
        if session_id is not None:
            sources.end_if_ended(session_id, request._request)
        answer = session.refresh(request._request, Presented(text, IN_BODY))
    else:
        old = verified(text)
        if wanted is None and not simplejwt.rotates():
            answer = sources.use(request._request, old)
        else:
            answer = sources.take_over(request._request, old, wanted)
    return tokens_of(answer, InvalidToken("Token is invalid"))


@sensitive_variables()
def verified(text: str) -> sources.Old:
    """Return a valid refresh token of simplejwt. Raise its exception for any other."""
    try:
        return simplejwt.verified(text)
    except TokenError as error:
        raise InvalidToken(error.args[0]) from None


class TokenVerifyView(Alias, views.TokenVerifyView):  # type: ignore[misc]
    """Says whether a token of ours or of simplejwt is valid."""

    @sensitive_variables()
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        given = _GivenToken(data=request.data)
        given.is_valid(raise_exception=True)
        text = given.validated_data["token"]
        if taking_over.is_refresh_token(text):
            is_valid = taking_over.session_of_refresh_token(text) is not None
        elif taking_over.access_of(text) is not None:
            is_valid = True
        else:
            super().post(request, *args, **kwargs)
            is_valid = not _has_ended(text)
        if not is_valid:
            raise InvalidToken("Token is invalid")
        return Response({})


@sensitive_variables()
def _has_ended(text: str) -> bool:
    """Return whether this is a refresh token of simplejwt whose session has ended, or that is blacklisted."""
    try:
        key = simplejwt.key_of(simplejwt.token_class()(text, verify=False))
    except TokenError:
        return False
    session_id = sources.session_of(simplejwt.NAME, key)
    is_over = session_id is not None and not taking_over.is_live(session_id)
    return is_over or simplejwt.SimpleJWT().is_ended(key, "")


class TokenBlacklistView(Alias, views.TokenBlacklistView):  # type: ignore[misc]
    """Ends the session of a refresh token, ours or simplejwt's, and blacklists simplejwt's."""

    serializer_class = _Given

    @sensitive_variables()
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        end(request, serializer.validated_data["refresh"])
        return Response({})


@sensitive_variables()
def end(request: Any, text: str) -> None:
    """End the session of a refresh token, and the refresh token of simplejwt. Raise `InvalidToken` for any other.

    A view of the project calls it in the place of ``RefreshToken(text).blacklist()``.
    """
    request = of_django(request)
    if taking_over.is_refresh_token(text):
        session_id = taking_over.session_of_refresh_token(text)
        if session_id is None:
            raise InvalidToken("Token is invalid")
        revocation.sign_out(session_id, client_of(request), is_held=True)
        return
    try:
        token = simplejwt.token_class()(text)
    except TokenError as error:
        raise InvalidToken(error.args[0]) from None
    key = simplejwt.key_of(token)
    user_id = sources.user_of(simplejwt.NAME, key)
    sources.end_session_of(simplejwt.NAME, key, user_id, request)
    if hasattr(token, "blacklist"):
        token.blacklist()
    else:
        sources.refuse(verified(text))


class TakeOver(TakeOverView):
    """Gives an application that was made for us a session for the refresh token of simplejwt that it still has."""

    @sensitive_variables()
    def take(self, request: Request, text: str, wanted: Wanted) -> IssuedTokens:
        return tokens_of(sources.take_over(request._request, verified(text), wanted), InvalidToken("Token is invalid"))
