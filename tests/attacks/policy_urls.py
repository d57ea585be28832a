"""Views that write before and after a sign-in, and show the user's data, as views of other packages do."""

from contextlib import suppress
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import alogin, login
from django.contrib.auth.models import Group
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.response import Response

from tests.factories import User
from tests.tokens.web.impersonation_urls import urlpatterns as project
from tokens import sessions

BACKEND = "tokens.backends.ModelBackend"
BEFORE, AFTER, CAUGHT = "written before the sign-in", "written after it", "written in spite of the exception"


def _write(name: str) -> None:
    with transaction.atomic():  # The transaction of a test could not go on after an exception.
        Group.objects.create(name=name)


def _shown(user: Any) -> HttpResponse:
    response = HttpResponse(f"the secret of {user.email}")
    response.set_cookie("view", user.email)
    return response


def careless(request: HttpRequest, address: str) -> HttpResponse:
    """Writes a row and shows the user's data after `login`."""
    user = User.objects.get(email=address)
    login(request, user, BACKEND)
    _write(AFTER)
    request.session["after"] = AFTER
    return _shown(user)


async def careless_async(request: HttpRequest, address: str) -> HttpResponse:
    user = await User.objects.aget(email=address)
    await alogin(request, user, BACKEND)
    await sync_to_async(_write)(AFTER)
    return _shown(user)


@api_view(["GET"])
@permission_classes([AllowAny])
def rest(request: Any, address: str) -> Response:
    """A view of REST framework, which turns the exception into an answer of its own."""
    user = User.objects.get(email=address)
    login(request._request, user, BACKEND)
    _write(AFTER)
    return Response({"secret": user.email})


def _catching(request: HttpRequest, address: str, sign_in: Any) -> HttpResponse:
    user = User.objects.get(email=address)
    try:
        sign_in(request, user)
    except Exception:
        request.session["caught"] = CAUGHT
    for name in (CAUGHT, AFTER):
        with suppress(Exception):
            _write(name)
    return _shown(user)


def catching(request: HttpRequest, address: str) -> HttpResponse:
    """Catches every exception, and goes on."""
    return _catching(request, address, lambda request, user: login(request, user, BACKEND))


def catching_in_a_transaction(request: HttpRequest, address: str) -> HttpResponse:
    """Catches the exception inside of a transaction, which could then be committed."""

    def sign_in(request: HttpRequest, user: Any) -> None:
        with transaction.atomic():
            _write(BEFORE)
            try:
                with transaction.atomic():
                    login(request, user, BACKEND)
            except Exception:
                _write(CAUGHT)

    with transaction.atomic():
        return _catching(request, address, sign_in)


def writing_before(request: HttpRequest, address: str) -> HttpResponse:
    """Has written before `login`, calls it in a transaction of its own, and catches the exception outside of that."""
    _write(BEFORE)
    user = User.objects.get(email=address)
    with suppress(Exception), transaction.atomic():
        login(request, user, BACKEND)
    return HttpResponse(f"the secret of {user.email}")


def catching_twice(request: HttpRequest, address: str) -> HttpResponse:
    """Tries again, and sends the signal by itself."""

    def sign_in(request: HttpRequest, user: Any) -> None:
        for attempt in (
            lambda: login(request, user, BACKEND),
            lambda: user_logged_in.send(User, request=request, user=user),
            lambda: user_logged_in.send_robust(User, request=request, user=user),
            lambda: sessions.open_session(request, user, methods=["pop", "user", "mfa"]),
        ):
            with suppress(Exception):
                attempt()

    return _catching(request, address, sign_in)


async def catching_async(request: HttpRequest, address: str) -> HttpResponse:
    user = await User.objects.aget(email=address)
    try:
        await alogin(request, user, BACKEND)
    except Exception:
        await request.session.aset("caught", CAUGHT)
    try:
        await sync_to_async(_write)(CAUGHT)
    except Exception:
        return HttpResponse(f"the secret of {user.email}", status=418)
    return HttpResponse(f"the secret of {user.email}")


def broken(request: HttpRequest, address: str) -> HttpResponse:
    """Catches the exception, and then fails."""
    try:
        login(request, User.objects.get(email=address), BACKEND)
    except Exception:
        raise RuntimeError("a bug of the view") from None
    _write(AFTER)
    return HttpResponse(f"the secret of {address}")


def announcing(request: HttpRequest, address: str) -> HttpResponse:
    """Sends the signal, and does not change Django's session."""
    user_logged_in.send(sender=User, request=request, user=User.objects.get(email=address))
    _write(AFTER)
    return HttpResponse(f"the secret of {address}")


def opening(request: HttpRequest, address: str) -> HttpResponse:
    sessions.open_session(request, User.objects.get(email=address), methods=["pwd"])
    _write(AFTER)
    return HttpResponse(f"the secret of {address}")


VIEWS = {"rest": rest} | {
    view.__name__: view
    for view in (
        *(careless, careless_async, catching, catching_in_a_transaction, writing_before),
        *(catching_twice, catching_async, broken, announcing, opening),
    )
}

urlpatterns = [*(path(f"probe/{name}/<str:address>", view) for name, view in VIEWS.items()), *project]
