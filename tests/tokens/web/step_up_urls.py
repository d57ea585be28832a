"""Views of a project that ask for a higher level, or for a more recent authentication."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from rest_framework.authentication import BasicAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from tests.tokens.web.impersonation_urls import urlpatterns as project
from tokens import sessions
from tokens.api.authentication import TokenAuthentication
from tokens.api.public import requires


@sessions.requires(acr="aal2")
def well(request: HttpRequest) -> HttpResponse:
    return HttpResponse("well")


@sessions.requires(acr="aal2", max_age=300)
async def well_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse("well")


@method_decorator(sessions.requires(max_age=300), "dispatch")
class Recently(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("recently")

    post = get


class Async(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("well")


@method_decorator([sessions.requires(acr="aal2"), sessions.requires(max_age=300)], "dispatch")
class AsyncByMethod(Async):
    """A class whose method is decorated twice."""


@sessions.requires(max_age=0)
def just_now(request: HttpRequest) -> HttpResponse:
    return HttpResponse("just now")


class OfRestFramework(APIView):
    """A view with REST framework's own exception handler, or the one of the settings."""

    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated, requires(acr="aal2"))

    def get(self, request: Any) -> Response:
        return Response("well")


class ByAnotherClass(OfRestFramework):
    """A view whose user may be another one than that of the cookies."""

    authentication_classes = (BasicAuthentication, TokenAuthentication)


@sessions.requires(acr="aal2")
def whose(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.pk)


def replaced(request: HttpRequest, address: str) -> HttpResponse:
    """Another middleware has put another user on the request."""
    request.user = User.objects.get(email=address)
    answer: HttpResponse = whose(request)
    return answer


urlpatterns = [
    path("drf-or-basic", ByAnotherClass.as_view()),
    path("replaced/<str:address>", replaced),
    path("well", well),
    path("well-async", well_async),
    path("well-async-class", sessions.requires(acr="aal2")(Async.as_view())),
    path("well-async-method", AsyncByMethod.as_view()),
    path("recently", Recently.as_view()),
    path("just-now", just_now),
    path("drf", OfRestFramework.as_view()),
    *project,
]
