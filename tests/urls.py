"""The project's own URLs, and views that stand for the views of a project that uses this package."""

import asyncio
from typing import Any

from django.contrib.auth import alogin, login, logout, user_logged_in
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.cache import cache_control
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as project
from tests.factories import User
from tokens.api.authentication import TokenAuthentication

__all__ = ["handler400", "handler403", "handler404", "handler500"]


def who(request: Any) -> HttpResponse:
    """Needs only the user's primary key, which the access token contains."""
    pk = str(request.user.pk) if request.user.is_authenticated else None
    return JsonResponse({"pk": pk, "sid": str(request.auth.session_id) if request.auth else None})


def email(request: Any) -> HttpResponse:
    """Needs fields of the user that only the database has."""
    return JsonResponse({"email": request.user.email, "again": request.user.get_username()})


def public(request: HttpRequest) -> HttpResponse:
    """Does not look at the user."""
    return HttpResponse("for everybody")


@cache_control(max_age=60)
def cached(request: HttpRequest) -> HttpResponse:
    """Sets its own Cache-Control."""
    return who(request)


def fails(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a bug")


def sign_in(request: HttpRequest, address: str) -> HttpResponse:
    """Signs a user in with Django's own function, as other packages do."""
    login(request, User.objects.get(email=address), backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse("in")


def announce_sign_in(request: HttpRequest, address: str) -> HttpResponse:
    """Sends the signal of a sign-in, and does not change Django's session."""
    user_logged_in.send(sender=User, request=request, user=User.objects.get(email=address))
    return HttpResponse("announced")


async def sign_in_async(request: HttpRequest, address: str) -> HttpResponse:
    user = await User.objects.aget(email=address)
    await alogin(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse("in")


def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse("out")


@login_required
def members(request: HttpRequest) -> HttpResponse:
    return HttpResponse("members")


@api_view(["GET", "POST"])
@authentication_classes([TokenAuthentication])
@permission_classes([IsAuthenticated])
def rest(request: Any) -> Response:
    return Response({"email": request.user.email, "gen": request.auth.generation})


class Waiting:
    """Requests that wait in the same view until ``size`` of them are there and a test sets ``go_on``."""

    current: "Waiting"

    def __init__(self, size: int) -> None:
        self._missing = size
        self.all_there = asyncio.Event()
        self.go_on = asyncio.Event()

    @classmethod
    def begin(cls, size: int) -> "Waiting":
        cls.current = cls(size)
        return cls.current

    async def wait(self) -> None:
        self._missing -= 1
        if not self._missing:
            self.all_there.set()
        await self.go_on.wait()


async def wait(request: Any) -> HttpResponse:
    await Waiting.current.wait()
    return HttpResponse(str(request.user.pk))


async def asynchronous(request: Any) -> HttpResponse:
    user = await request.auser()
    return HttpResponse(user.email)


urlpatterns = [
    path("probe/wait", wait),
    path("probe/async", asynchronous),
    path("probe/who", who),
    path("probe/cached", cached),
    path("accounts/", include("django.contrib.auth.urls")),
    path("probe/email", email),
    path("probe/public", public),
    path("probe/fails", fails),
    path("probe/sign-in/<str:address>", sign_in),
    path("probe/announce-sign-in/<str:address>", announce_sign_in),
    path("probe/sign-in-async/<str:address>", sign_in_async),
    path("probe/sign-out", sign_out),
    path("probe/members", members),
    path("probe/rest", rest),
    *project,
]
