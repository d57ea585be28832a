"""Opens a session as a sign-in does, without a client and without a password."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.test import RequestFactory
from django.utils.module_loading import import_string

from tokens.conf import token_settings
from tokens.models import RefreshToken
from tokens.service.issuing import IssuedTokens
from tokens.service.users import UserChanged
from tokens.testing.guard import only_in_tests
from tokens.web import methods
from tokens.web.django import django_session
from tokens.web.http.paths import auth_api
from tokens.web.methods import Given
from tokens.web.operations import session

SETTING_COOKIES = SessionMiddleware, CsrfViewMiddleware, AuthenticationMiddleware
PASSWORD = ("pwd",)
"""The methods of a sign-in by password."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a client has after a sign-in.

    - ``session``: the row.
    - ``cookies``: those that the response has set, with Django's own session. Empty in mode ``body``.
    - ``refresh_token``, ``device_token``: as in the response of the API in mode ``body``.
    - ``origin``: the site that the cookies are for.
    """

    user: Any
    session: RefreshToken
    origin: str
    cookies: "SimpleCookie" = field(repr=False)
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    device_token: str | None = field(repr=False)


@only_in_tests
def open_session(
    user: Any,
    *,
    mode: str = "",
    methods: Given = PASSWORD,
    remember: bool = False,
    device_name: str = "",
    meta: Mapping[str, Any] | None = None,
    cookies: "SimpleCookie | None" = None,
) -> SignedIn:
    """Sign a user in as the API does after it has checked who they are, and return what the client gets.

    ``methods`` says how the user has authenticated: names, or the time of each by its name. SIGN_IN_POLICY and
    REQUIRED_FACTORS are asked. Raise `tokens.sessions.SignInRefused` or `FactorRequired` as a sign-in does, and
    `ValueError` if the mode is not in MODES or the user cannot sign in.

    ``mode`` is by default the storage mode in which pages sign users in. ``meta`` and ``cookies`` are those of the
    request that signs in.
    """
    found = token_settings()
    mode = mode or found.mode_of_pages
    if mode not in {*found.modes, found.mode_of_pages}:
        raise ValueError(f"The mode {mode!r} is not in MODES, which are {', '.join(found.modes)}.")
    if not hasattr(user, "backend"):
        user.backend = django_session.default_backend()
    opened: list[IssuedTokens] = []

    def view(request: HttpRequest) -> HttpResponse:
        _say(request, user, methods)
        opened.append(session.open_session(request, user, mode=mode, remember=remember, device_name=device_name))
        return HttpResponse()

    try:
        response = _through_middleware(view)(_request(meta or {}, cookies))
    except UserChanged:
        what = "is not active, was deleted, or has another password in the database"
        raise ValueError(f"This user cannot sign in: the user {what}.") from None
    [issued] = opened
    return SignedIn(
        user,
        issued.session,
        found.origin,
        response.cookies,
        issued.access_token,
        issued.refresh_token,
        issued.device_token,
    )


def _say(request: HttpRequest, user: Any, given: Given) -> None:
    """Note how the user has authenticated, as a backend does that has checked it."""
    user.__dict__.pop(methods.ATTRIBUTE, None)  # What another sign-in of this object has said.
    methods.note(request, user, methods.proved(given))


def _request(meta: Mapping[str, Any], cookies: "SimpleCookie | None") -> HttpRequest:
    factory = RequestFactory(**meta)
    factory.cookies = SimpleCookie(cookies or {})
    # Over https, because the cookies may be Secure.
    return factory.post(f"{auth_api() or '/'}login", secure=True)


def _through_middleware(view: Any) -> Any:
    """Return the view within those middlewares of the project that set cookies for a sign-in.

    Others could answer in the place of the view.
    """
    named = [found for found in map(import_string, settings.MIDDLEWARE) if isinstance(found, type)]
    # `TokenMiddleware` is a subclass of Django's `AuthenticationMiddleware`.
    chain = [found for found in named if issubclass(found, SETTING_COOKIES)]
    for middleware in reversed(chain):
        view = middleware(view)
    return view
