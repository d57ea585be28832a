"""Views of a project that ask for a higher level, or for a more recent authentication."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.tokens.web.impersonation_urls import urlpatterns as project
from tokens import sessions
from tokens.api.authentication import TokenAuthentication
from tokens.api.public import requires
from tokens.sessions import Factor


class Code(Factor):
    """A code that is always the same."""

    name = label = "totp"
    proves = frozenset({"otp"})

    def is_available(self, user: Any) -> bool:
        return not user.email.startswith("without")

    def verify(self, request: Any, user: Any, answer: Any) -> Any:
        return ["otp"] if answer == "123456" else None


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


@sessions.requires(max_age=0)
def just_now(request: HttpRequest) -> HttpResponse:
    return HttpResponse("just now")


class OfRestFramework(APIView):
    """A view with REST framework's own exception handler, or the one of the settings."""

    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated, requires(acr="aal2"))

    def get(self, request: Any) -> Response:
        return Response("well")


urlpatterns = [
    path("well", well),
    path("well-async", well_async),
    path("recently", Recently.as_view()),
    path("just-now", just_now),
    path("drf", OfRestFramework.as_view()),
    *project,
]
