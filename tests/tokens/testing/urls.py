"""Views that ask for more than that somebody is signed in."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from tokens import sessions


@sessions.requires(acr="aal2")
def level(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@sessions.requires(max_age=300)
def recent(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [path("level", level), path("recent", recent), path("", include("config.urls"))]
