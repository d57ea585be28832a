"""The URLs of the API. Include them under ``api/``. A trailing slash is optional."""

from django.urls import re_path

from tokens.api import views
from tokens.api.base import endpoint
from tokens.api.device_binding import DeviceRefresh, DeviceRegister
from tokens.api.introspection import Introspect
from tokens.api.pending import Factor
from tokens.web.http.paths import DEVICE_REFRESH, DEVICE_REGISTER, FACTOR

app_name = "tokens"
urlpatterns = [
    endpoint("auth/login", views.Login, "login"),
    endpoint(f"auth/{FACTOR}", Factor, "factor"),
    endpoint("auth/refresh", views.Refresh, "refresh"),
    endpoint("auth/logout", views.Logout, "logout"),
    endpoint("auth/reauthenticate", views.Reauthenticate, "reauthenticate"),
    endpoint("auth/service-token", views.ServiceToken, "service-token"),
    endpoint("auth/me", views.Me, "me"),
    endpoint("auth/sessions", views.Sessions, "sessions"),
    endpoint("auth/sessions/(?P<session_id>[^/]+)", views.Session, "session"),
    endpoint(f"auth/{DEVICE_REGISTER}", DeviceRegister, "device-register"),
    endpoint(f"auth/{DEVICE_REFRESH}", DeviceRefresh, "device-refresh"),
    endpoint("auth/introspect", Introspect, "introspect"),
    re_path("", views.NotFoundView.as_view(), name="nothing"),
]
