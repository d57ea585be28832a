import os

from django.contrib import admin
from django.urls import include, path
from rest_framework.routers import DefaultRouter

from shop import api, views

router = DefaultRouter()
router.register("products", api.Products)

urlpatterns = [
    path("", views.home, name="home"),
    path("members", views.members, name="members"),
    path("greet", views.greet, name="greet"),
    path("who", views.who, name="who"),
    path("fails", views.fails, name="fails"),
    path("auth/", include("django.contrib.auth.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("api/me", api.me),
    path("api/staff", api.staff),
    path("api/scarce", api.Scarce.as_view()),
    path("api/", include(router.urls)),
]

if "WITH_LATCHKEY" in os.environ:
    from django.urls import include, path

    from tokens.api.public import authorization_server_metadata, jwks

    urlpatterns = [
        *urlpatterns,
        path("api/", include("tokens.api.urls")),
        path(".well-known/jwks.json", jwks),
        path(".well-known/oauth-authorization-server", authorization_server_metadata),
    ]
