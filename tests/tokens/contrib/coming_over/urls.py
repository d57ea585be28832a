from django.contrib.auth import get_user_model
from django.urls import include, path
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework_simplejwt import views
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import RefreshToken

from tests.urls import handler400, handler403, handler404, handler500
from tests.urls import urlpatterns as of_tests
from tokens.api.authentication import TokenAuthentication
from tokens.contrib.coming_over import simplejwt_views

__all__ = ["handler400", "handler403", "handler404", "handler500"]


@api_view(["GET"])
@authentication_classes([TokenAuthentication, JWTAuthentication])
@permission_classes([IsAuthenticated])
def either(request):
    return Response({"pk": str(request.user.pk), "is_ours": hasattr(request.auth, "session_id")})


@api_view(["POST"])
@authentication_classes([])
@permission_classes([AllowAny])
def sign_in(request):
    """A sign-in of the project's own, as after a code by SMS."""
    user = get_user_model().objects.get(email=request.data["email"])
    access, refresh = simplejwt_views.signed_in(request, user, RefreshToken.for_user)
    return Response({"access": access, "refresh": refresh})


@api_view(["POST"])
@authentication_classes([])
@permission_classes([AllowAny])
def sign_out(request):
    simplejwt_views.end(request, request.data["refresh"])
    return Response(status=204)


urlpatterns = [
    path("own/sign-in", sign_in),
    path("own/sign-out", sign_out),
    path("api/token/", include("tokens.contrib.coming_over.simplejwt_urls")),
    # As they were before the release, and as another server still has them.
    path("old/token/", views.token_obtain_pair),
    path("old/token/refresh/", views.token_refresh),
    path("old/token/blacklist/", views.token_blacklist),
    path("probe/either", either),
    *of_tests,
]
