"""The project's URLs, and views like those of a project that uses it: pages, an API, and another way to sign in."""

import threading
from base64 import b64decode
from typing import Any

from django.contrib.auth import get_user_model, login
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect
from django.template import engines
from django.urls import path
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as project
from tests.docs.blocks import blocks
from tokens import sessions
from tokens.api.public import requires
from tokens.web.http import problems

__all__ = ["handler400", "handler403", "handler404", "handler500"]

NOTE = """<!doctype html><title>note</title>
<p id="who">{{ user.email|default:"nobody" }}</p><p id="noted">{{ noted }}</p>
<form method="post">{% csrf_token %}<input name="note" aria-label="Note"><button>Save</button></form>"""
POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; "
    "connect-src 'self' https://auth.example.org:* https://app.example.org:* https://evil.test:*"
)
[RECOMMENDED] = [one for one in blocks("docs/how-to/single-page-app.md") if one.first.startswith("default-src ")]
STRICT = " ".join(RECOMMENDED.text.split())
"""The policy that the documentation recommends for single-page apps."""
PIXEL = b64decode("R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=")
"""The smallest GIF."""


def note(request: HttpRequest) -> HttpResponse:
    """Show a form, who sent it, and its content."""
    context = {"noted": request.POST.get("note", "")}
    return HttpResponse(engines["django"].from_string(NOTE).render(context, request))


def who(request: HttpRequest) -> HttpResponse:
    """Show who is signed in, and the number of this answer, which tells it from a cached one."""
    return HttpResponse(f"{request.user.email if request.user.is_authenticated else 'nobody'} {next(_numbers)}")


class Gate:
    """Lets the view `slow` wait until a test opens it."""

    reached = threading.Event()
    open = threading.Event()


def slow(request: HttpRequest) -> HttpResponse:
    """Answer when the test opens the gate."""
    Gate.reached.set()
    Gate.open.wait(20)
    return who(request)


def magic(request: HttpRequest) -> HttpResponse:
    """Sign in by a link, like those in mails or on other sites."""
    user: Any = get_user_model()._default_manager.get(email=request.GET["email"])
    login(request, user, "tokens.backends.ModelBackend")
    return redirect("/probe/note")


def impersonate(request: HttpRequest) -> HttpResponse:
    """Let the staff use the account of another user."""
    user: Any = get_user_model()._default_manager.get(email=request.POST["email"])
    sessions.impersonate(request, user)
    return HttpResponse(status=204)


def release(request: HttpRequest) -> HttpResponse:
    sessions.release(request)
    return HttpResponse(status=204)


@login_required
def picture(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PIXEL, content_type="image/gif", headers={"Cache-Control": "private, no-store"})


def app(request: HttpRequest) -> HttpResponse:
    """Answer with the page of an app. Its policy permits only scripts and workers of its own origin.

    With the query ``strict`` it is the one that the documentation recommends.
    """
    policy = STRICT if "strict" in request.GET else POLICY
    return HttpResponse("<!doctype html><title>App</title>", headers={"Content-Security-Policy": policy})


class Orders(APIView):
    """A view of the app that Latchkey authenticates in every mode. It returns what the client sent.

    In mode ``scoped`` it gets no refresh cookie, because it is outside of ``/api/auth/``.
    """

    parser_classes = (JSONParser, MultiPartParser, FormParser)

    def get(self, request: Request) -> Response:
        return Response({"user": {"email": request.user.email}})

    def post(self, request: Request) -> Response:
        files = {name: len(file.read()) for name, file in getattr(request, "FILES", {}).items()}
        given = {name: value for name, value in request.data.items() if name not in files}
        return Response({"user": request.auth.subject, "given": given, "files": files})


class Pay(APIView):
    """A view that requires that the user has authenticated in the last five minutes."""

    permission_classes = (IsAuthenticated, requires(max_age=300))

    def post(self, request: Request) -> Response:
        return Response({})


def never_satisfied(request: HttpRequest) -> HttpResponse:
    """Answer like a service whose clock is wrong: it takes every token for expired."""
    return problems.respond(request, problems.TOKEN_EXPIRED)


def own_affair(request: HttpRequest) -> HttpResponse:
    """Answer with a 401 that has nothing to do with our tokens."""
    return JsonResponse({"code": "wrong_pin"}, status=401)


def away(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect(request.GET["to"])


_numbers = iter(range(10**9))

urlpatterns: list[Any] = [
    path("probe/note", note),
    path("probe/who", who),
    path("probe/slow", slow),
    path("probe/magic", magic),
    path("probe/impersonate", impersonate),
    path("probe/release", release),
    path("probe/picture", picture),
    path("app", app),
    path("api/orders", Orders.as_view()),
    path("api/pay", Pay.as_view()),
    path("api/never-satisfied", never_satisfied),
    path("api/own-affair", own_affair),
    path("api/away", away),
    *project,
]
