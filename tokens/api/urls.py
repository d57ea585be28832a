"""Include under ``api/``; a trailing slash is neither needed nor refused."""

from django.urls import re_path

from tokens.api.endpoints import Endpoint, endpoint

app_name = "tokens"
urlpatterns = [
    endpoint("auth/login", "tokens.api.views.Login", "login"),
    endpoint("auth/refresh", "tokens.api.views.Refresh", "refresh"),
    endpoint("auth/logout", "tokens.api.views.Logout", "logout"),
    endpoint("auth/reauthenticate", "tokens.api.views.Reauthenticate", "reauthenticate"),
    endpoint("auth/me", "tokens.api.views.Me", "me"),
    endpoint("auth/sessions", "tokens.api.views.Sessions", "sessions"),
    endpoint("auth/sessions/(?P<session_id>[^/]+)", "tokens.api.views.Session", "session"),
    endpoint("auth/introspect", "tokens.api.introspection.Introspect", "introspect"),
    re_path("", Endpoint("tokens.api.views.Nothing"), name="nothing"),
]
