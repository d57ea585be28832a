"""Include under ``api/``; a trailing slash is neither needed nor refused."""

from typing import Any

from django.urls import re_path

from tokens.api import views
from tokens.api.base import ApiView


def _path(route: str, view: type[ApiView], name: str) -> Any:
    return re_path(rf"^{route}(?:/)?$", view.as_view(), name=name)


app_name = "tokens"
urlpatterns = [
    _path("auth/login", views.Login, "login"),
    _path("auth/refresh", views.Refresh, "refresh"),
    _path("auth/logout", views.Logout, "logout"),
    _path("auth/reauthenticate", views.Reauthenticate, "reauthenticate"),
    _path("auth/me", views.Me, "me"),
    _path("auth/sessions", views.Sessions, "sessions"),
    _path("auth/sessions/(?P<session_id>[^/]+)", views.Session, "session"),
    re_path("", views.Nothing.as_view(), name="nothing"),
]
