"""Messages are kept in Django's session, and keep no request in memory."""

import gc
from collections.abc import Iterator
from typing import Any
from weakref import ReferenceType, ref

import pytest
from django.contrib import messages
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path

seen: list["ReferenceType[HttpRequest]"] = []


def add(request: HttpRequest) -> HttpResponse:
    messages.info(request, "Saved.")
    return HttpResponse()


def show(request: HttpRequest) -> HttpResponse:
    seen.append(ref(request))
    return HttpResponse(", ".join(map(str, messages.get_messages(request))))


urlpatterns = [path("add", add), path("show", show)]
pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


@pytest.fixture
def _without_collector() -> Iterator[None]:
    """Lets objects be freed only when nothing refers to them any more."""
    gc.disable()
    yield
    gc.enable()


def test_a_message_is_shown_by_the_next_page_and_only_there():
    client = Client()
    client.get("/add")
    assert [client.get("/show").content for _ in range(2)] == [b"Saved.", b""]


@pytest.mark.usefixtures("_without_collector")
def test_a_request_that_was_answered_is_freed_without_the_garbage_collector():
    handler, environ = WSGIHandler(), RequestFactory().get("/show").environ
    response: Any = handler(environ, lambda *arguments: None)
    assert seen[-1]() is not None
    response.close()
    del response
    assert seen[-1]() is None
