"""The project's own URLs, and views that stand for the ones that other people write."""

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
    """A form; says who sent it, and what."""
    context = {"noted": request.POST.get("note", "")}
    return HttpResponse(engines["django"].from_string(NOTE).render(context, request))


def who(request: HttpRequest) -> HttpResponse:
    """Says who somebody is, and which answer this is: a cached one would say the same again."""
    return HttpResponse(f"{request.user.email if request.user.is_authenticated else 'nobody'} {next(_numbers)}")


@api_view()
def rest(request: Any) -> Response:
    """A view of the app's own, outside ``/api/auth/``: the refresh cookie of mode ``scoped`` does not come here."""
    return Response({"user": {"email": request.user.email}})


class Gate:
    """Where the view `slow` waits until it is let go."""

    reached = threading.Event()
    open = threading.Event()


def slow(request: HttpRequest) -> HttpResponse:
    """Takes as long as the test wants."""
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
