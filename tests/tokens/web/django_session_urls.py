"""Views that look at Django's session, and views that sign in and fail."""

from typing import Any

from django.contrib.auth import aget_user, alogin, get_user, login, update_session_auth_hash
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from accounts.models import User
from tests.urls import handler400, handler403, handler404, handler500
from tests.urls import urlpatterns as probes

__all__ = ["handler400", "handler403", "handler404", "handler500"]

BACKEND = "tokens.backends.ModelBackend"


def _seen(request: Any, by_django: Any, data: Any) -> HttpResponse:
    user = str(request.user.pk) if request.user.is_authenticated else None
    mine = {name: value for name, value in data if not name.startswith("_")}
    return JsonResponse({"user": user, "django": by_django.pk and str(by_django.pk), "data": mine})


def seen(request: HttpRequest) -> HttpResponse:
    """Tells who is signed in by the request and by Django's session, and what views have stored."""
    return _seen(request, get_user(request), request.session.items())


async def seen_async(request: Any) -> HttpResponse:
    by_django = await aget_user(request)
    return _seen(request, by_django, await request.session.aitems())


def store(request: HttpRequest, note: str) -> HttpResponse:
    request.session["note"] = note
    return HttpResponse("stored")


def end(how: str) -> HttpResponse:
    """End a view as its URL says: by an exception, or with a response of this status."""
    if how == "raises":
        raise RuntimeError("a bug")
    return HttpResponse("a view", status=int(how))


def sign_in(request: HttpRequest, pk: str, how: str = "200") -> HttpResponse:
    login(request, User.objects.get(pk=pk), backend=BACKEND)
    return end(how)


async def sign_in_async(request: HttpRequest, pk: str, how: str = "200") -> HttpResponse:
    await alogin(request, await User.objects.aget(pk=pk), backend=BACKEND)
    return end(how)


def fail_after_new_password(request: HttpRequest, how: str) -> HttpResponse:
    user = User.objects.get(pk=request.user.pk)
    user.set_password("quite another passphrase")
    user.save()
    update_session_auth_hash(request, user)
    return end(how)


urlpatterns = [
    path("probe/seen", seen),
    path("probe/seen-async", seen_async),
    path("probe/store/<str:note>", store),
    path("probe/in/<str:pk>", sign_in),
    path("probe/in-async/<str:pk>", sign_in_async),
    path("probe/in-and-fail/<str:pk>/<str:how>", sign_in),
    path("probe/in-and-fail-async/<str:pk>/<str:how>", sign_in_async),
    path("probe/new-password-and-fail/<str:how>", fail_after_new_password),
    *probes,
]
