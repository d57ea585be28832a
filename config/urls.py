from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import include, path

from accounts.views import SignIn
from config import description, errors
from tokens import problems
from tokens.api.views import jwks
from tokens.exchange import exchange_of
from tokens.pages import Home, Rename, end_others, end_session


def home(request: HttpRequest) -> HttpResponseBase:
    """Who somebody is, or the page to sign in."""
    if (exchange := exchange_of(request)) and exchange.skipped:
        return problems.respond(request, problems.UNAVAILABLE)  # Who cannot say just now who they are.
    # Not ``is_authenticated``, which asks no database: somebody gone since the token was minted is nobody.
    view = Home if request.user.is_active else SignIn
    return view.as_view()(request)


urlpatterns = [
    # First: nothing is asked for more often.
    path("api/schema", description.schema, name="schema"),
    path("api/docs", description.docs, name="docs"),
    path("api/", include("accounts.api.urls")),
    path("api/", include("tokens.api.urls")),
    path("", home, name="home"),
    path("", include("accounts.urls")),
    path("sign-out", LogoutView.as_view(), name="sign-out"),
    path("sessions/end-others", end_others, name="end-others"),
    path("sessions/<uuid:session_id>/end", end_session, name="end-session"),
    path("sessions/<uuid:session_id>/rename", Rename.as_view(), name="rename-device"),
    path("admin/", admin.site.urls),
    path(".well-known/jwks.json", jwks, name="jwks"),
]
if settings.DEBUG:
    urlpatterns += [path("", include("tokens.demo")), path("", include("config.mailbox_pages"))]

handler400 = errors.bad_request
handler403 = errors.permission_denied
handler404 = errors.not_found
handler500 = errors.server_error
