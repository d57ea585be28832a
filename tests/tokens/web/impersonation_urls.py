"""The project's URLs, and views of a project whose staff may use the accounts of others, also with django-hijack."""

from django.contrib.auth import get_user
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from accounts.models import User
from tests.tokens.web.django_session_urls import urlpatterns as project
from tokens import sessions


def impersonate(request: HttpRequest, address: str) -> HttpResponse:
    sessions.impersonate(request, User.objects.get(email=address))
    return who(request)


def release(request: HttpRequest) -> HttpResponse:
    sessions.release(request)
    return who(request)


def who(request: HttpRequest) -> HttpResponse:
    """Say who is who: for us, for Django's session, and who acts."""
    actor = sessions.actor_id(request)
    of_django = get_user(request)
    return JsonResponse(
        {
            "user": str(request.user.pk) if request.user.is_authenticated else None,
            "django": str(of_django.pk) if of_django.is_authenticated else None,
            "actor": None if actor is None else str(actor),
            "recent": sessions.is_recent(request),
            "hijacked": getattr(request.user, "is_hijacked", None),
        }
    )


def record(request: HttpRequest) -> HttpResponse:
    """Record an event as an app of the project does."""
    with sessions.durable():
        sessions.record(request, sessions.Kind.EMAIL_CHANGE, request.user)
    return who(request)


def prove(request: HttpRequest) -> HttpResponse:
    """Authenticate the user again by their password."""
    user = sessions.authenticate(request, username=request.user.email, password=request.POST["password"])
    sessions.reauthenticate(request, user)
    return who(request)


def release_and_fail(request: HttpRequest) -> HttpResponse:
    sessions.release(request)
    raise RuntimeError("a bug after the release")


def page(request: HttpRequest) -> HttpResponse:
    """A page that does not look at Django's session."""
    return HttpResponse("<html><body>a page</body></html>")


urlpatterns = [
    path("probe/impersonate/<str:address>", impersonate),
    path("probe/release", release),
    path("probe/release-and-fail", release_and_fail),
    path("probe/page", page),
    path("probe/whose", who),
    path("probe/record", record),
    path("probe/prove", prove),
    path("hijack/", include("hijack.urls")),
    *project,
]
