"""The URLs of a project without the admin, which needs permissions that its user models lack."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from accounts.devices import Home


def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [
    path("api/", include("accounts.api.urls")),
    path("api/", include("tokens.api.urls")),
    path("", include("accounts.urls")),
    path("", Home.as_view(), name="home"),
    path("sign-out", empty, name="sign-out"),
    path("sessions/end-others", empty, name="end-others"),
    path("sessions/<uuid:session_id>/end", empty, name="end-session"),
    path("sessions/<uuid:session_id>/rename", empty, name="rename-device"),
]
