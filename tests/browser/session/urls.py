"""The project, and the app of a project that uses it: an empty page, and an API."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import path
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.urls import *  # noqa: F403
from config.urls import urlpatterns as project
from tokens.web import problems

POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; "
    "connect-src 'self' https://auth.example.test:* https://app.example.test:* https://evil.test:*"
)


def page(request: HttpRequest) -> HttpResponse:
    """Answer with the app's page. Its policy permits only scripts and workers of its own origin."""
    return HttpResponse("<!doctype html><title>App</title>", headers={"Content-Security-Policy": POLICY})


class Orders(APIView):
    """A view of the app that Latchkey authenticates in every mode. It returns what the client sent."""

    parser_classes = (JSONParser, MultiPartParser, FormParser)

    def get(self, request: Request) -> Response:
        return Response({"user": request.auth.subject})

    def post(self, request: Request) -> Response:
        files = {name: len(file.read()) for name, file in getattr(request, "FILES", {}).items()}
        given = {name: value for name, value in request.data.items() if name not in files}
        return Response({"user": request.auth.subject, "given": given, "files": files})


def never_satisfied(request: HttpRequest) -> HttpResponse:
    """Answer like a service whose clock is wrong: it takes every token for expired."""
    return problems.respond(request, problems.TOKEN_EXPIRED)


def own_affair(request: HttpRequest) -> HttpResponse:
    """Answer with a 401 that has nothing to do with our tokens."""
    return JsonResponse({"code": "wrong_pin"}, status=401)


def away(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect(request.GET["to"])


urlpatterns: list[Any] = [
    path("app", page),
    path("api/orders", Orders.as_view()),
    path("api/never-satisfied", never_satisfied),
    path("api/own-affair", own_affair),
    path("api/away", away),
    *project,
]
