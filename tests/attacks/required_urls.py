"""Views of REST framework that authenticate in other ways than by our tokens."""

from typing import Any

from django.contrib.auth import authenticate as by_password
from django.urls import path
from rest_framework.authentication import BasicAuthentication, RemoteUserAuthentication, SessionAuthentication
from rest_framework.authtoken.serializers import AuthTokenSerializer
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response

from tests.attacks.policy_urls import urlpatterns as project
from tests.tokens.web.django_session_urls import seen, store


class WithOtherCredentials(BasicAuthentication):
    """Looks up the user by itself, as projects do that sign in by an address."""

    def authenticate_credentials(self, userid: str, password: str, request: Any = None) -> Any:
        user = by_password(request, username=userid, password=password)
        return None if user is None else (user, None)


class WithAnotherHeader(BasicAuthentication):
    """Reads the password from somewhere else."""

    def authenticate(self, request: Any) -> Any:
        given = request.headers.get("X-Password", "").partition(":")
        return self.authenticate_credentials(given[0], given[2], request) if given[2] else None


def whose(*classes: Any) -> Any:
    @api_view(["GET"])
    @authentication_classes(classes)
    @permission_classes([IsAuthenticated])
    def view(request: Any) -> Response:
        return Response({"secret": request.user.email})

    return view


@api_view(["POST"])
@authentication_classes([])
@permission_classes([AllowAny])
def token_for_password(request: Any) -> Response:
    """Does what ``obtain_auth_token`` of REST framework does, without its table of tokens."""
    given = AuthTokenSerializer(data=request.data, context={"request": request})
    given.is_valid(raise_exception=True)
    return Response({"token": f"of {given.validated_data['user'].email}"})


urlpatterns = [
    path("probe/basic", whose(BasicAuthentication)),
    path("probe/basic-credentials", whose(WithOtherCredentials)),
    path("probe/basic-header", whose(WithAnotherHeader)),
    path("probe/remote", whose(RemoteUserAuthentication)),
    path("probe/session", whose(SessionAuthentication)),
    path("probe/token", token_for_password),
    path("probe/seen", seen),
    path("probe/store/<str:note>", store),
    *project,
]
