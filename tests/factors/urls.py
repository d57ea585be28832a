"""The URLs of a project that has the pages of factors, and none of `accounts`."""

from django.contrib.auth import get_user_model, login
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def sign_in(request: HttpRequest, address: str) -> HttpResponse:
    """Signs a user in who has proved nothing that we know of, as a link in a mail does."""
    login(request, get_user_model().objects.get(email=address))
    return HttpResponse("in")


urlpatterns = [
    path("api/", include("factors.api.urls")),
    path("api/", include("tokens.api.urls")),
    path("", include("factors.urls")),
    path("probe/sign-in/<str:address>", sign_in),
]
