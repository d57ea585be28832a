"""The views of dj-rest-auth with USE_JWT, which answer in its form with tokens of ours.

If it keeps tokens in cookies that scripts cannot read (JWT_AUTH_COOKIE, JWT_AUTH_HTTPONLY), a client is a browser. Its
session gets our cookies, and dj-rest-auth's are deleted. All other clients get tokens in the body.
"""

from datetime import timedelta
from typing import Any

from dj_rest_auth import views
from dj_rest_auth.app_settings import api_settings
from dj_rest_auth.jwt_auth import unset_jwt_cookies
from django.contrib.auth import logout
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_variables
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.views import TokenRefreshView as TheirRefreshView

from tokens.contrib.coming_over import simplejwt, simplejwt_views
from tokens.contrib.coming_over.answers import Alias, opened
from tokens.models import RefreshToken
from tokens.service.issuing import IssuedTokens
from tokens.web.exchange import required_exchange
from tokens.web.http import cookies
from tokens.web.operations import signing_out, taking_over
from tokens.web.operations.taking_over import Wanted

LOGGED_OUT = "Successfully logged out."
"""dj-rest-auth's own text, which it has translated."""


def _is_for_browsers() -> bool:
    return bool(api_settings.JWT_AUTH_COOKIE and api_settings.JWT_AUTH_HTTPONLY)


def _wanted() -> Wanted:
    return Wanted(taking_over.mode_of_pages() if _is_for_browsers() else RefreshToken.Mode.BODY)


def _sent(request: Request) -> str:
    """Return the refresh token that a request to dj-rest-auth has, or ""."""
    found = request.data.get("refresh") if isinstance(request.data, dict) else None
    return str(found or request.COOKIES.get(api_settings.JWT_AUTH_REFRESH_COOKIE or "", ""))


class _Alias(Alias):
    @property
    def sets_cookies(self) -> bool:
        return _is_for_browsers()


class LoginView(_Alias, views.LoginView):  # type: ignore[misc]
    @sensitive_variables()
    def login(self) -> None:
        self.user = self.serializer.validated_data["user"]
        if _is_for_browsers():
            issued = opened(self.request, self.user, _wanted())
            self.access_token, self.refresh_token = issued.access_token, issued.refresh_token
        else:
            get_token = api_settings.JWT_TOKEN_CLAIMS_SERIALIZER.get_token
            self.access_token, self.refresh_token = simplejwt_views.signed_in(self.request, self.user, get_token)

    def get_response(self) -> Response:
        response: Response = super().get_response()
        if "access_expiration" in response.data:
            expires = serializers.DateTimeField().to_representation
            issued: Any = required_exchange(self.request).issued
            response.data["access_expiration"] = expires(_expires(issued))
            response.data["refresh_expiration"] = expires(issued.session.ends_at)
        unset_jwt_cookies(response)  # Ours are in the response, or the tokens are in its body.
        return response


class TokenRefreshView(_Alias, TheirRefreshView):  # type: ignore[misc]
    @sensitive_variables()
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        if text := _sent(request):
            issued = simplejwt_views.refresh(request, text, _wanted() if _is_for_browsers() else None)
            response = Response(self._answer(issued, text))
            if _is_for_browsers():
                unset_jwt_cookies(response)
            return response
        # The browser has our cookies only. Our middleware has refreshed the session, if that was due.
        exchange = required_exchange(request)
        access = exchange.issued.access_token if exchange.issued else cookies.read_access(request._request)
        if exchange.access is None or access is None:
            raise InvalidToken("No valid refresh token found.")
        return Response({"access": access, "access_expiration": _after(exchange.access.expires_at)})

    def _answer(self, issued: IssuedTokens, text: str) -> dict[str, Any]:
        found: dict[str, Any] = {"access": issued.access_token, "access_expiration": _expires(issued)}
        is_ours = taking_over.is_refresh_token(text) or issued.decision is not None
        if not _is_for_browsers() and (simplejwt.rotates() or is_ours):
            found |= {"refresh": issued.refresh_token or text, "refresh_expiration": issued.session.ends_at}
        return found


class LogoutView(_Alias, views.LogoutView):  # type: ignore[misc]
    """Ends the session of the refresh token, and that of the browser's cookies or of the access token."""

    @sensitive_variables()
    def logout(self, request: Request) -> Response:
        has_ended, text = False, _sent(request)
        if text:
            try:
                simplejwt_views.end(request, text)
                has_ended = True
            except InvalidToken:
                pass
        exchange = required_exchange(request)
        presented = cookies.read_refresh(request._request)
        if presented is not None or exchange.access is not None:
            has_ended = True
            signing_out.sign_out_presented(request._request, presented)
        if not has_ended:
            return super().logout(request)  # type: ignore[no-any-return]
        if api_settings.SESSION_LOGIN:
            logout(request._request)
        response = Response({"detail": gettext(LOGGED_OUT)})
        unset_jwt_cookies(response)
        return response


def _expires(issued: IssuedTokens) -> Any:
    return _after(issued.access.expires_at)


def _after(seconds: int) -> Any:
    return timezone.now() + timedelta(seconds=seconds - timezone.now().timestamp())
