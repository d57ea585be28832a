"""The project's URLs, those of django-oauth-toolkit, and a view for its tokens."""

from typing import Any

from django.urls import include, path
from oauth2_provider.contrib.rest_framework import OAuth2Authentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from tests.urls import handler400, handler403, handler404, handler500
from tests.urls import urlpatterns as of_tests
from tokens.api.authentication import TokenAuthentication

__all__ = ["handler400", "handler403", "handler404", "handler500"]


@api_view(["GET"])
@authentication_classes([TokenAuthentication, OAuth2Authentication])
@permission_classes([IsAuthenticated])
def either(request: Any) -> Response:
    return Response({"pk": str(request.user.pk)})


urlpatterns = [
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("probe/either", either),
    *of_tests,
]
