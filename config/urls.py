from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import include, path

from accounts.devices import Home
from accounts.views import SignIn
from config import description, errors
from tokens import sessions
from tokens.api.public import authorization_server_metadata, jwks, problems


def home(request: HttpRequest) -> HttpResponseBase:
    """Show the page "Your devices" to a signed-in user, and the page to sign in to an anonymous one."""
    if sessions.could_not_refresh(request):
        return problems.respond(request, problems.UNAVAILABLE)
    # ``is_authenticated`` does not ask the database: a user who was deleted since the access token was issued has it.
    view = Home if request.user.is_active else SignIn
    return view.as_view()(request)


urlpatterns = [
    path("api/schema", description.schema, name="schema"),
    path("api/docs", description.docs, name="docs"),
    path("api/", include("accounts.api.urls")),
    path("api/", include("factors.api.urls")),
    path("api/", include("tokens.api.urls")),
    path("", home, name="home"),
    path("", include("accounts.urls")),
    path("", include("factors.urls")),
    path("admin/", admin.site.urls),
    path(".well-known/jwks.json", jwks, name="jwks"),
    path(".well-known/oauth-authorization-server", authorization_server_metadata, name="metadata"),
    path(".well-known/oauth-authorization-server/<path:component>", authorization_server_metadata),
]
if settings.DEBUG and apps.is_installed("config.demo"):
    urlpatterns.append(path("", include("config.demo.urls")))

handler400 = errors.bad_request
handler403 = errors.permission_denied
handler404 = errors.not_found
handler500 = errors.server_error
