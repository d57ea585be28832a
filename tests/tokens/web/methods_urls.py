"""Views and backends of a project that says how its users have authenticated."""

from typing import Any

from django.contrib.auth import aauthenticate, alogin, authenticate, login
from django.contrib.auth.backends import BaseBackend, ModelBackend
from django.http import HttpRequest, HttpResponse
from django.urls import path

from accounts.models import User
from tests.tokens.web.django_session_urls import BACKEND
from tests.tokens.web.impersonation_urls import urlpatterns as project
from tokens import sessions


class OtherPasswords(ModelBackend):
    """A subclass of Django's backend that looks for the user in another way."""

    def authenticate(self, request: Any, username: Any = None, password: Any = None, **kwargs: Any) -> Any:
        user = User.objects.filter(email=username).first()
        return user if user is not None and user.check_password(password) else None


class ByCoroutine(OtherPasswords):
    """A backend whose async method is a function that returns a coroutine, as a decorator of a project makes it."""

    def aauthenticate(self, request: Any, **credentials: Any) -> Any:
        return super().aauthenticate(request, **credentials)


class Codes(ModelBackend):
    """A subclass of Django's backend whose users type a code from a mail."""

    def authenticate(self, request: Any, username: Any = None, code: Any = None) -> Any:  # type: ignore[override]
        return User.objects.filter(email=username).first() if code == "123456" else None


class Directory(BaseBackend):
    """A backend that is none of Django's, and asks another server for the password."""

    def authenticate(self, request: Any, username: Any = None, password: Any = None, **kwargs: Any) -> Any:
        return User.objects.filter(email=username).first() if password == "of the directory" else None

    def get_user(self, user_id: Any) -> Any:
        return User.objects.filter(pk=user_id).first()


class Passkeys(Directory):
    """A backend that says by the attribute what it has verified."""

    def authenticate(self, request: Any, username: Any = None, passkey: Any = None, **kwargs: Any) -> Any:
        user = User.objects.filter(email=username).first()
        if user is None or passkey is None:
            return None
        user.authenticated_by = ["pop", "user", "mfa", *(["swk"] if passkey == "synced" else [])]
        return user


def given(request: HttpRequest) -> dict[str, Any]:
    """Return the fields of a form as credentials."""
    return {name: value for name, value in request.POST.items() if name != "other"}


def sign_in(request: HttpRequest) -> HttpResponse:
    """Authenticate by what is posted, and sign in, or sign in another user, whom nobody has authenticated."""
    user = authenticate(request, **given(request))
    if other := request.POST.get("other"):
        login(request, User.objects.get(email=other), backend=BACKEND)
    elif user is not None:
        login(request, user)
    return HttpResponse("in")


def sign_in_without_request(request: HttpRequest) -> HttpResponse:
    login(request, authenticate(**given(request)))
    return HttpResponse("in")


async def sign_in_async(request: HttpRequest) -> HttpResponse:
    await alogin(request, await aauthenticate(request, **given(request)))
    return HttpResponse("in")


KEPT: dict[str, Any] = {}
"""A project that keeps what `authenticate` has returned."""


def keep(request: HttpRequest) -> HttpResponse:
    KEPT["user"] = authenticate(request, **given(request))
    return HttpResponse("kept")


def sign_in_kept(request: HttpRequest) -> HttpResponse:
    login(request, KEPT.pop("user"))
    return HttpResponse("in")


def open_session(request: HttpRequest, address: str, methods: str) -> HttpResponse:
    sessions.open_session(request, User.objects.get(email=address), methods=[*filter(None, methods.split("+"))])
    return HttpResponse("in")


def open_in_steps(request: HttpRequest, address: str, methods: str) -> HttpResponse:
    first, *more = methods.split("+")
    open_session(request, address, first)
    assert sessions.add_method(request, *more)
    return HttpResponse("in")


def add_method(request: HttpRequest, methods: str) -> HttpResponse:
    return HttpResponse(sessions.add_method(request, *methods.split("+")))


def reauthenticate(request: HttpRequest) -> HttpResponse:
    user: Any = authenticate(request, **given(request))
    return HttpResponse(sessions.reauthenticate(request, user))


urlpatterns = [
    path("probe/sign-in", sign_in),
    path("probe/sign-in-without-request", sign_in_without_request),
    path("probe/sign-in-async", sign_in_async),
    path("probe/keep", keep),
    path("probe/sign-in-kept", sign_in_kept),
    path("probe/open/<str:address>/<str:methods>", open_session),
    path("probe/open-in-steps/<str:address>/<str:methods>", open_in_steps),
    path("probe/add/<str:methods>", add_method),
    path("probe/reauthenticate", reauthenticate),
    *project,
]
