"""The URLs of a project without the pages of the admin, which need permissions that some of its user models lack."""

from django.urls import include, path

from accounts.devices import Home
from tokens.api.public import jwks

urlpatterns = [
    path("api/", include("accounts.api.urls")),
    path("api/", include("tokens.api.urls")),
    path("", include("accounts.urls")),
    path("", Home.as_view(), name="home"),
    path(".well-known/jwks.json", jwks),
]
