"""The endpoint for applications that were made for us, and still have a credential of the old package."""

from typing import Any

from django.views.decorators.debug import sensitive_variables
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tokens.contrib.coming_over.answers import Alias
from tokens.models import RefreshToken
from tokens.service.issuing import IssuedTokens
from tokens.web.exchange import required_exchange
from tokens.web.operations import taking_over
from tokens.web.operations.taking_over import Wanted


class TakeOverInput(serializers.Serializer[Any]):
    """``token`` is the credential. ``mode`` is the storage mode, by default the first one of MODES."""

    token = serializers.CharField()
    mode = serializers.CharField(required=False)
    remember = serializers.BooleanField(default=True)
    device_name = serializers.CharField(required=False, max_length=100)
    device_token = serializers.CharField(required=False, max_length=100)

    def validate_mode(self, mode: str) -> str:
        if mode not in taking_over.modes():
            raise serializers.ValidationError("MODES does not have this mode.", code="mode")
        return mode


class TakeOverView(Alias, APIView):
    """Answers like a sign-in at ``/api/auth/login``: with cookies, or in mode ``body`` with the tokens."""

    sets_cookies = True
    serializer_class = TakeOverInput

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get_authenticate_header(self, request: Request) -> str:
        return "Bearer"  # So that a refusal is a 401, as at a sign-in.

    def take(self, request: Request, text: str, wanted: Wanted) -> IssuedTokens:
        """Return the tokens for a credential. Raise an exception of REST framework for one that is refused."""
        raise NotImplementedError

    @sensitive_variables()
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = TakeOverInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        required_exchange(request).device_token = given.get("device_token")
        wanted = Wanted(given.get("mode", taking_over.modes()[0]), given["remember"], given.get("device_name", ""))
        issued = self.take(request, given["token"], wanted)
        if issued.session.mode != RefreshToken.Mode.BODY:
            return Response({})
        found = {
            "access_token": issued.access_token,
            "token_type": "Bearer",
            "expires_in": issued.access.expires_at - issued.access.issued_at,
            "refresh_token": issued.refresh_token,
            "device_token": issued.device_token,
        }
        return Response({name: value for name, value in found.items() if value is not None})
