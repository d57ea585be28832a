"""The project's URLs, and views like those of a project that uses it."""

import threading
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path
from rest_framework.decorators import api_view
from rest_framework.response import Response

from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as project

__all__ = ["handler400", "handler403", "handler404", "handler500"]

NOTE = """<!doctype html><title>note</title>
<p id="who">{{ user.email|default:"nobody" }}</p><p id="noted">{{ noted }}</p>
<form method="post">{% csrf_token %}<input name="note" aria-label="Note"><button>Save</button></form>"""


def note(request: HttpRequest) -> HttpResponse:
    """Show a form, who sent it, and its content."""
    context = {"noted": request.POST.get("note", "")}
    return HttpResponse(engines["django"].from_string(NOTE).render(context, request))


def who(request: HttpRequest) -> HttpResponse:
    """Show who is signed in, and the number of this answer, which tells it from a cached one."""
    return HttpResponse(f"{request.user.email if request.user.is_authenticated else 'nobody'} {next(_numbers)}")


@api_view()
def rest(request: Any) -> Response:
    """Return who is signed in. In mode ``scoped`` this view gets no refresh cookie: it is outside ``/api/auth/``."""
    return Response({"user": {"email": request.user.email}})


class Gate:
    """Lets the view `slow` wait until a test opens it."""

    reached = threading.Event()
    open = threading.Event()


def slow(request: HttpRequest) -> HttpResponse:
    """Answer when the test opens the gate."""
    Gate.reached.set()
    Gate.open.wait(20)
    return who(request)


_numbers = iter(range(10**9))

urlpatterns = [
    path("probe/note", note),
    path("probe/who", who),
    path("probe/slow", slow),
    path("probe/rest", rest),
    *project,
]
