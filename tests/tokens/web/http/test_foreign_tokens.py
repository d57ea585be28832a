"""Bearer tokens that are not ours, beside our cookies: another package's, or anybody's invention."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client
from django.urls import path
from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from tests.browsers import ACCESS, REFRESH, login, post
from tests.factories import UserFactory
from tests.tokens.api.steps import bearer
from tests.tokens.protocol import jws
from tests.tokens.web_steps import EXPIRED, unsigned, who
from tests.urls import handler400, handler403, handler404, handler500
from tests.urls import urlpatterns as of_tests
from tokens.api.authentication import TokenAuthentication
from tokens.conf import codec
from tokens.models import RefreshToken
from tokens.service.revocation import revoke

__all__ = ["handler400", "handler403", "handler404", "handler500"]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__), pytest.mark.at_length_on("sqlite"), pytest.mark.long]

CROSS_SITE = {"Sec-Fetch-Site": "cross-site"}
FOREIGN = {
    "no token": "",
    "a word": "nonsense",
    "a random text": "Zm9vYmFy-_~+/=",
    "dots": "..",
    "three words": "a.b.c",
    "no objects": f"{jws.encoded([])}.{jws.encoded('x')}.x",
    "a JWT of another type": unsigned("JWT"),
    "a JWT of another issuer": unsigned(iss="https://login.example.org"),
    "a JWT of a list of issuers": unsigned(iss=["https://testserver"]),
    "a JWT of no issuer": unsigned(iss=None),
    "an encrypted JWT": unsigned() + ".x.x",
    "a longer one than ours are": unsigned(more="x" * 8192),
    "deep nesting": f"{jws.encoded(b'[' * 3000)}.{jws.encoded(b'[' * 3000)}.x",
    "a huge number": f"{jws.encoded(b'1' * 5000)}.{jws.encoded({})}.x",
    "two tokens": f"{unsigned()}, Bearer {unsigned()}",
    "white space within": unsigned().replace(".", " ."),
}


def key_holder() -> Any:
    return UserFactory._meta.model.objects.get(email="key-holder@example.org")


class KeyAuthentication(BaseAuthentication):
    """Stands for another package's authentication: it knows one token."""

    def authenticate(self, request: Any) -> tuple[Any, str] | None:
        return (key_holder(), "key") if request.headers.get("Authorization") == "Bearer nonsense" else None


@api_view(["GET", "POST"])
@authentication_classes([TokenAuthentication, KeyAuthentication])
@permission_classes([IsAuthenticated])
def either(request: Any) -> Response:
    return Response({"pk": str(request.user.pk)})


@api_view(["GET", "POST"])
@authentication_classes([TokenAuthentication])
@permission_classes([])
def anybody(request: Any) -> Response:
    return Response({"anonymous": isinstance(request.user, AnonymousUser)})


def page(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"pk": str(request.user.pk)})


urlpatterns = [path("probe/either", either), path("probe/anybody", anybody), path("probe/page", page), *of_tests]


@pytest.fixture
def api(browser: Client) -> Client:
    """The browser in front of either kind of server. With one kind a fault in the other's way would go unnoticed."""
    return browser


class TestATokenThatIsNotOurs:
    def test_leaves_the_cookies_to_say_who_the_user_is(self, signed_in, user, subtests):
        for name, token in FOREIGN.items():
            with subtests.test(name):
                assert signed_in.get("/probe/page", headers=bearer(token)).json() == {"pk": str(user.pk)}

    def test_does_not_prevent_a_refresh(self, clock, signed_in, user, subtests):
        for name, token in FOREIGN.items():
            clock.forward(EXPIRED)
            with subtests.test(name):
                response = signed_in.get("/probe/page", headers=bearer(token))
                assert (response.json(), set(response.cookies)) == ({"pk": str(user.pk)}, {ACCESS, REFRESH})

    def test_does_not_exempt_the_cookies_from_the_check_of_the_origin(self, signed_in, subtests):
        for name, token in FOREIGN.items():
            headers = {**CROSS_SITE, **bearer(token)}
            with subtests.test(name):
                for address in ("/probe/rest", "/probe/either", "/probe/page", "/api/auth/reauthenticate"):
                    response = post(signed_in, address, **headers)
                    assert (address, response.status_code, len(response.cookies)) == (address, 403, 0)
                response = signed_in.delete("/api/auth/sessions", headers=headers)
                assert (response.status_code, response.json()["code"]) == (403, "cross_origin")

    def test_does_not_let_another_site_rotate_or_sign_out(self, clock, signed_in, user, subtests):
        for name, token in FOREIGN.items():
            with subtests.test(name):
                assert post(signed_in, "/api/auth/logout", **CROSS_SITE, **bearer(token)).status_code == 403
        clock.forward(EXPIRED)
        for name, token in FOREIGN.items():
            headers = {**CROSS_SITE, **bearer(token)}
            with subtests.test(name):
                signed_in.get("/probe/page", headers=headers)
                for address in ("/api/auth/refresh", "/api/auth/logout", "/probe/page", "/probe/rest"):
                    assert post(signed_in, address, **headers).status_code == 403
                assert RefreshToken.objects.live().get().generation == 0
        assert who(signed_in) == str(user.pk)

    def test_is_refused_where_only_ours_count(self, signed_in, subtests):
        for name, token in FOREIGN.items():
            with subtests.test(name):
                response = signed_in.get("/api/auth/me", headers=bearer(token))
                assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')
                assert Client().get("/probe/anybody", headers=bearer(token)).json() == {"anonymous": True}


def test_the_tokens_own_authentication_decides_also_beside_our_cookies(signed_in, user):
    holder = UserFactory(email="key-holder@example.org")
    for client in (Client(), signed_in):
        assert client.get("/probe/either", headers=bearer("nonsense")).json() == {"pk": str(holder.pk)}
    assert signed_in.get("/probe/either").json() == {"pk": str(user.pk)}
    assert signed_in.get("/probe/either", headers=bearer("another")).status_code == 401


def test_a_sign_out_beside_it_ends_the_session_of_the_cookies(signed_in):
    assert post(signed_in, "/api/auth/logout", **bearer("nonsense")).status_code == 204
    assert not RefreshToken.objects.live().exists()


class TestATokenThatSaysItIsOurs:
    @pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt"])
    def test_is_refused_without_a_look_at_the_cookies(self, clock, signed_in, kind):
        for seconds in (0, EXPIRED):
            clock.forward(seconds)
            for address in ("/api/auth/me", "/probe/either", "/probe/anybody", "/probe/rest"):
                response = signed_in.get(address, headers=bearer(unsigned(kind)))
                assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')
                assert not response.cookies
            assert signed_in.get("/probe/page", headers=bearer(unsigned(kind))).json() == {"pk": "None"}
        assert RefreshToken.objects.get().generation == 0

    def test_decides_alone_when_it_has_expired_or_its_session_has_ended(self, clock, signed_in, another, both_modes):
        token = login(another(), UserFactory(), mode="body")["access_token"]
        revoke(RefreshToken.objects.filter(mode="body"), RefreshToken.Reason.ENDED_BY_STAFF)
        for seconds in (0, EXPIRED):
            clock.forward(seconds)
            assert signed_in.get("/probe/either", headers=bearer(token)).status_code == 401


def test_every_token_that_the_server_accepts_says_that_it_is_ours():
    text = jws.minted(codec())
    codec().loads_expired(text)
    for known in (codec(), type(codec())(codec()._ring, codec()._issuer, codec()._audience, codec()._client_id)):
        assert known.claims_to_be_ours(text)
        assert not any(map(known.claims_to_be_ours, FOREIGN.values()))
