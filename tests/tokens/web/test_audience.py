"""For whom a response is: what it tells caches when it depends on a cookie or on a Bearer token."""

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client
from django.urls import path
from rest_framework.decorators import api_view, authentication_classes
from rest_framework.response import Response

from tests.browsers import login
from tests.tokens.api.steps import bearer
from tests.urls import handler400, handler403, handler404, handler500
from tests.urls import urlpatterns as of_tests
from tokens.api.authentication import TokenAuthentication

__all__ = ["handler400", "handler403", "handler404", "handler500"]


def answers(request: HttpRequest) -> HttpResponse:
    """Answers everybody alike, with the ``Cache-Control`` of the query."""
    response = HttpResponse("for everybody")
    if "cache" in request.GET:
        response["Cache-Control"] = request.GET["cache"]
    return response


def says_who(request: Any) -> HttpResponse:
    return JsonResponse({"pk": str(request.user.pk)})


@api_view(["GET"])
@authentication_classes([TokenAuthentication])
def reads_the_claims(request: Any) -> Response:
    """Uses the claims of the token, and never asks for the user."""
    return Response({"sub": request.auth.subject if request.auth else None})


urlpatterns = [path("answers", answers), path("who", says_who), path("claims", reads_the_claims), *of_tests]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def api(browser: Client, both_modes: None) -> Client:
    """The browser in front of either kind of server. The middleware of only one might describe the audience."""
    return browser


@pytest.fixture
def token(api: Client, user: Any) -> dict[str, str]:
    """The header of a Bearer token. Without it only responses to cookies would be tested."""
    return bearer(login(api, user, mode="body")["access_token"])


def directives(response: Any) -> set[str]:
    return set(response.get("Cache-Control", "").split(", "))


def varies_by(response: Any) -> set[str]:
    return set(response.get("Vary", "").split(", "))


class TestTheResponseToABearerToken:
    @pytest.mark.parametrize("url", ["/answers", "/who", "/claims", "/nothing"])
    def test_varies_by_authorization_and_is_private(self, api, token, url):
        response = api.get(url, headers=token)
        assert "Authorization" in varies_by(response)
        assert "private" in directives(response)

    def test_is_private_although_the_view_says_how_long_it_may_be_kept(self, api, token):
        for given in ("max-age=60", "max-age=60, must-revalidate", "s-maxage=60", "no-cache", "no-store"):
            response = api.get("/answers", {"cache": given}, headers=token)
            assert directives(response) == {*given.split(", "), "private"}

    def test_is_public_if_the_view_says_so(self, api, token):
        for given in ("public", "public, max-age=60", "max-age=60, Public"):
            response = api.get("/answers", {"cache": given}, headers=token)
            assert (response["Cache-Control"], "Authorization" in varies_by(response)) == (given, True)

    def test_is_described_also_if_the_token_is_not_valid(self, api, token):
        response = api.get("/who", headers=bearer("no token"))
        assert ("Authorization" in varies_by(response), "private" in directives(response)) == (True, True)


class TestTheResponseToACookie:
    @pytest.mark.parametrize("url", ["/who", "/claims"])
    def test_varies_by_both_so_that_no_cache_gives_it_to_a_client_with_a_token(self, signed_in, url):
        """It is private too, because some shared caches ignore Vary."""
        response = signed_in.get(url)
        assert {"Cookie", "Authorization"} <= varies_by(response)
        assert directives(response) == {"private"}

    def test_of_nobody_varies_by_both_and_may_be_stored(self, api):
        response = api.get("/who")
        assert {"Cookie", "Authorization"} <= varies_by(response)
        assert "Cache-Control" not in response.headers

    def test_is_not_described_if_the_view_does_not_ask(self, signed_in):
        response = signed_in.get("/answers", headers={"Authorization": "Basic eDp5"})
        assert {"Cookie", "Authorization"} & varies_by(response) == set()
        assert "Cache-Control" not in response.headers
