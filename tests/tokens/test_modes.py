"""The storage modes: a session never gets what its mode does not allow."""

from typing import Any

import pytest
from django.test import Client

from tests.browsers import ACCESS, DEVICE, REFRESH, login, post
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

SITE_ACCESS, SCOPED_REFRESH = "__Secure-access", "__Secure-refresh"
APP = "https://app.example.org"
ALL = ["cookie", "scoped", "subdomain", "body"]
COOKIES = {
    "cookie": {ACCESS, REFRESH, DEVICE},
    "scoped": {ACCESS, SCOPED_REFRESH, DEVICE},
    "subdomain": {SITE_ACCESS, REFRESH, DEVICE},
    "body": set(),
}


@pytest.fixture(autouse=True)
def _serves_all(settings: Any) -> None:
    settings.ORIGIN = "https://auth.example.org"
    settings.ALLOWED_HOSTS = ["*"]
    settings.TOKENS = {"MODES": ALL, "COOKIE_DOMAIN": "example.org", "TRUSTED_ORIGINS": [APP]}


@pytest.mark.parametrize("mode", ALL)
def test_sign_in_sets_the_cookies_of_the_mode_and_no_other(api, user, mode):
    response = post(api, "/api/auth/login", {"email": user.email, "password": PASSWORD, "mode": mode})
    kept = {name for name, cookie in response.cookies.items() if cookie["max-age"] != 0}
    assert kept == COOKIES[mode]
    assert ("access_token" in response.json()) is (mode == "body")
    assert response.json()["session"]["mode"] == mode


def test_scoped_refresh_cookie_is_sent_to_the_auth_api_alone(api, user):
    login(api, user, mode="scoped")
    cookie = api.cookies[SCOPED_REFRESH]
    assert (cookie["path"], cookie["domain"], cookie["secure"], cookie["httponly"]) == ("/api/auth/", "", True, True)
    assert api.cookies[ACCESS]["path"] == "/"


def test_subdomain_access_cookie_is_the_sites_and_the_refresh_cookie_the_hosts(api, user):
    login(api, user, mode="subdomain")
    assert api.cookies[SITE_ACCESS]["domain"] == "example.org"
    assert api.cookies[REFRESH]["domain"] == ""


@pytest.mark.parametrize("mode", ["cookie", "scoped", "subdomain"])
def test_each_is_refreshed_at_the_endpoint_with_its_own_cookies(api, user, clock, mode):
    login(api, user, mode=mode)
    clock.forward(601)
    response = post(api, "/api/auth/refresh")
    assert response.status_code == 200
    assert set(response.cookies) == COOKIES[mode] - {DEVICE}
    assert api.get("/probe/who").json()["pk"] == str(user.pk)


def test_a_scoped_session_is_not_refreshed_outside_the_auth_api(api, user, clock):
    login(api, user, mode="scoped")
    clock.forward(601)
    # Django's test client sends every cookie everywhere; a browser keeps this one to its path.
    del api.cookies[SCOPED_REFRESH]
    response = api.get("/probe/rest")
    assert response.status_code == 401
    assert not response.cookies
    assert api.get("/api/auth/me").json()["code"] == "token_expired"


@pytest.mark.parametrize("mode", ["cookie", "scoped", "subdomain"])
def test_no_cookie_session_gets_tokens_in_a_body(api, user, mode):
    login(api, user, mode=mode)
    stolen = api.cookies[SCOPED_REFRESH if mode == "scoped" else REFRESH].value
    response = post(Client(), "/api/auth/refresh", {"refresh_token": stolen})
    assert response.status_code == 401
    assert RefreshToken.objects.get().revoked_at is None


@pytest.mark.parametrize(("mode", "cookie"), [("cookie", SCOPED_REFRESH), ("scoped", REFRESH), ("body", REFRESH)])
def test_a_token_that_comes_in_another_modes_cookie_is_refused(api, another, user, mode, cookie):
    answer = login(api, user, mode=mode)
    own = REFRESH if mode == "cookie" else SCOPED_REFRESH
    token = answer["refresh_token"] if mode == "body" else api.cookies[own].value
    browser = another()
    browser.cookies[cookie] = token
    assert post(browser, "/api/auth/refresh").status_code == 401
    assert RefreshToken.objects.get().generation == 0


@pytest.mark.parametrize("mode", ALL)
def test_signing_out_clears_the_cookies_of_every_mode(api, user, mode):
    login(api, user, mode=mode)
    response = post(api, "/api/auth/logout")
    cleared = {(name, cookie["path"], cookie["domain"]) for name, cookie in response.cookies.items()}
    assert cleared == {
        (ACCESS, "/", ""),
        (SITE_ACCESS, "/", "example.org"),
        (REFRESH, "/", ""),
        (SCOPED_REFRESH, "/api/auth/", ""),
    }
    assert {cookie["max-age"] for cookie in response.cookies.values()} == {0}


def test_signing_in_in_another_mode_leaves_nothing_of_the_first(api, user, clock):
    login(api, user, mode="cookie")
    login(api, user, mode="scoped")
    assert api.cookies[REFRESH].value == ""
    clock.forward(601)
    assert post(api, "/api/auth/refresh").json()["session"]["mode"] == "scoped"


def test_a_server_of_one_mode_does_not_look_at_the_others_cookies(api, user, settings):
    """A sibling host can set a cookie for the whole site: only who serves that mode takes it."""
    login(api, user, mode="subdomain")
    settings.TOKENS = {"MODES": ["cookie"]}
    assert api.get("/probe/who").json()["pk"] is None


def test_a_cookie_of_this_host_goes_before_the_sites(api, another, user):
    login(api, user)
    intruder = another()
    login(intruder, UserFactory(), mode="subdomain")
    api.cookies[SITE_ACCESS] = intruder.cookies[SITE_ACCESS].value
    assert api.get("/probe/who").json()["pk"] == str(user.pk)


def test_pages_sign_in_in_the_first_mode_that_keeps_cookies(api, user, settings):
    settings.TOKENS = {"MODES": ["body", "scoped"]}
    api.get(f"/probe/sign-in/{user.email}")
    assert RefreshToken.objects.get().mode == "scoped"


class TestAnAppOnAnotherHost:
    """``subdomain`` mode is used cross-origin with credentials: CORS must let the trusted origin, and no other."""

    def test_may_ask_and_sign_in(self, api, user):
        asked = api.options(
            "/api/auth/login",
            headers={
                "Origin": APP,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type",
            },
        )
        assert asked["Access-Control-Allow-Origin"] == APP
        assert asked["Access-Control-Allow-Credentials"] == "true"
        assert "content-type" in asked["Access-Control-Allow-Headers"]
        data = {"email": user.email, "password": PASSWORD, "mode": "subdomain"}
        response = post(api, "/api/auth/login", data, Origin=APP, **{"Sec-Fetch-Site": "same-site"})
        assert response.status_code == 200
        assert response["Access-Control-Allow-Origin"] == APP

    def test_is_told_errors_too(self, api):
        response = api.get("/api/auth/me", headers={"Origin": APP})
        assert response.status_code == 401
        assert response["Access-Control-Allow-Origin"] == APP

    def test_is_told_the_time_and_how_long_to_wait(self, api):
        response = api.get("/api/auth/me", headers={"Origin": APP})
        assert response["Access-Control-Expose-Headers"] == "Date, Retry-After"

    @pytest.mark.parametrize("origin", ["https://evil.example.org", "http://app.example.org", "null"])
    def test_is_refused_from_an_origin_that_is_not_trusted(self, api, user, origin):
        data = {"email": user.email, "password": PASSWORD, "mode": "subdomain"}
        response = post(api, "/api/auth/login", data, Origin=origin, **{"Sec-Fetch-Site": "same-site"})
        assert response.status_code == 403
        assert "Access-Control-Allow-Origin" not in response
        assert not response.cookies

    def test_sees_no_page_beside_the_api(self, api):
        assert "Access-Control-Allow-Origin" not in api.get("/sign-in", headers={"Origin": APP})

    @pytest.mark.parametrize(
        "allowed",
        [
            {"TOKENS": {"TRUSTED_ORIGINS": [APP]}},
            {"CORS_ALLOWED_ORIGINS": [APP]},
            {"CORS_ALLOWED_ORIGIN_REGEXES": [r"https://app\..*"]},
            {"CORS_ALLOW_ALL_ORIGINS": True},
        ],
    )
    def test_is_all_that_costs_an_answer_anything(self, api, settings, allowed):
        """Whether it is allowed by our setting or by one of django-cors-headers'."""
        settings.TOKENS = {}
        assert "origin" not in vary(api)
        for name, value in allowed.items():
            setattr(settings, name, value)
        assert "origin" in vary(api)


def vary(api: Client) -> str:
    answer = api.get("/api/auth/me", headers={"Origin": APP})
    assert answer.get("Access-Control-Allow-Origin") == (APP if "origin" in answer.get("Vary", "") else None)
    return str(answer.get("Vary", ""))
