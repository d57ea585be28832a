"""The URLs of every project: the views that are measured, and those of the packages that are installed."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

ANSWER = {"pk": "01890f6e-7c3a-7000-8000-000000000000"}
"""As long as the answer to a user who is signed in."""


@require_GET
def view(request: HttpRequest) -> JsonResponse:
    """Return the user's key, or 401 if no user is signed in."""
    if not request.user.is_authenticated:
        return JsonResponse({}, status=401)
    return JsonResponse({"pk": request.user.pk})


@require_GET
def bare(request: HttpRequest) -> JsonResponse:
    return JsonResponse(ANSWER)


@csrf_exempt
@require_POST
def bare_post(request: HttpRequest) -> JsonResponse:
    return JsonResponse(ANSWER)


def _of_packages() -> Iterator[Any]:
    """The view whose user the project's own authentication finds, and the package's own URLs."""
    if apps.is_installed("tokens"):
        yield from (path("view", view), path("", include("config.urls")))
        return
    yield path("admin/", admin.site.urls)
    if not apps.is_installed("rest_framework"):
        yield from (path("view", view), path("sign-in", LoginView.as_view()), path("sign-out", LogoutView.as_view()))
        return
    from rest_framework.decorators import api_view
    from rest_framework.response import Response

    yield path("view", api_view()(lambda request: Response({"pk": request.user.pk})))
    if apps.is_installed("allauth.headless"):
        yield from (path("accounts/", include("allauth.urls")), path("_allauth/", include("allauth.headless.urls")))
    if apps.is_installed("jwt_allauth"):
        yield path("jwt-allauth/", include("jwt_allauth.urls"))
    if apps.is_installed("knox"):
        from knox.views import LoginView as KnoxLoginView
        from knox.views import LogoutView as KnoxLogoutView
        from rest_framework.authentication import BasicAuthentication

        yield path("api/auth/login/", KnoxLoginView.as_view(authentication_classes=[BasicAuthentication]))
        yield path("api/auth/logout/", KnoxLogoutView.as_view())
    if apps.is_installed("rest_framework_simplejwt"):
        from rest_framework_simplejwt.views import TokenBlacklistView, TokenObtainPairView, TokenRefreshView

        yield path("api/token/", TokenObtainPairView.as_view())
        yield path("api/token/refresh/", TokenRefreshView.as_view())
        yield path("api/token/blacklist/", TokenBlacklistView.as_view())


urlpatterns = [path("bare", bare), path("bare-post", bare_post), *_of_packages()]
