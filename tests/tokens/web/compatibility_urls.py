"""Views that call `auth.login()` or use Django's session, as the views of other projects do, and such a middleware."""

import json
from typing import Any

from django.contrib.auth import login, logout
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from accounts.models import User
from tests.tokens.web.django_session_urls import BACKEND
from tests.tokens.web.django_session_urls import urlpatterns as probes
from tests.urls import handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500"]


def flush(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    return HttpResponse("flushed", status=int(request.GET.get("status", 200)))


def sign_in_for(request: HttpRequest, pk: str, seconds: int) -> HttpResponse:
    """Signs in, and says how long that lasts."""
    login(request, User.objects.get(pk=pk), backend=BACKEND)
    request.session.set_expiry(seconds)
    return HttpResponse("in")


def write(request: HttpRequest, how: str) -> HttpResponse:
    """Writes to the session, after or before what ``how`` names."""
    if how == "cycle":
        request.session.cycle_key()
    elif how == "user":
        str(request.user)
    request.session["note"] = how
    return HttpResponse(how)


def both(request: HttpRequest) -> HttpResponse:
    """Needs Django's session and a column of the user."""
    return JsonResponse({"email": request.user.get_username(), "note": request.session.get("note")})


def count(request: HttpRequest) -> HttpResponse:
    """Uses Django's session, and does not ask who the user is."""
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(json.dumps(request.session["count"]))


def borrow(request: HttpRequest) -> HttpResponse:
    """Uses another session for a while, and asks who the user is meanwhile. Then everything is as before."""
    before, user = request.session, request.user
    borrowed = SessionStore()
    request.session = borrowed
    known = isinstance(request.user, User)
    is_kept = request.session is borrowed
    request.session, request.user = before, user
    request.session["count"] = request.session.get("count", 0) + 1
    return JsonResponse({"known": known, "kept": is_kept, "count": request.session["count"]})


class Paused:
    """What happens while a view runs. A test sets it."""

    @staticmethod
    def meanwhile() -> Any:
        return None


def paused(request: HttpRequest) -> HttpResponse:
    Paused.meanwhile()
    request.session["note"] = "paused"
    return HttpResponse("paused")


def slow(request: HttpRequest) -> HttpResponse:
    Paused.meanwhile()
    return HttpResponse("slow")


urlpatterns = [
    path("probe/paused", paused),
    path("probe/slow", slow),
    path("probe/flush", flush),
    path("probe/in-for/<str:pk>/<int:seconds>", sign_in_for),
    path("probe/write/<str:how>", write),
    path("probe/both", both),
    path("probe/count", count),
    path("probe/borrow", borrow),
    *probes,
]


def signs_out(get_response: Any) -> Any:
    """Signs out before the view, or after it, as the header ``X-Sign-Out`` says."""

    def middleware(request: HttpRequest) -> Any:
        if request.headers.get("X-Sign-Out") == "before":
            logout(request)
        response = get_response(request)
        if request.headers.get("X-Sign-Out") == "after":
            logout(request)
        return response

    return middleware


def reads_session_from_header(get_response: Any) -> Any:
    """As projects do for phones, which keep no cookies."""

    def middleware(request: HttpRequest) -> Any:
        if key := request.headers.get("X-Session"):
            request.session = SessionStore(key)
        return get_response(request)

    return middleware
