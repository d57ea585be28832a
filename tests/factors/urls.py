"""The URLs of a project that has the pages of factors, and none of `accounts`."""

from django.urls import include, path

urlpatterns = [
    path("api/", include("factors.api.urls")),
    path("api/", include("tokens.api.urls")),
    path("", include("factors.urls")),
]
