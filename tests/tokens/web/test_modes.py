"""The storage modes: a session gets only the cookies, or the tokens in a body, that its mode allows."""

from typing import Any

import pytest
from django.test import Client

from tests.browsers import ACCESS, DEVICE, REFRESH, SESSION, login, post
from tests.factories import PASSWORD
from tests.tokens.web_steps import EXPIRED, set_by, who
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

SITE_ACCESS, SCOPED_REFRESH = "__Secure-access", "__Http-refresh"
APP = "https://app.example.org"
COOKIES = {
    "cookie": {ACCESS, REFRESH, DEVICE},
    "scoped": {ACCESS, SCOPED_REFRESH, DEVICE},
    "subdomain": {SITE_ACCESS, REFRESH, DEVICE},
    "body": set(),
}
ALL = list(COOKIES)
WITH_COOKIES = pytest.mark.parametrize("mode", ["cookie", "scoped", "subdomain"])


@pytest.fixture(autouse=True)
def _serves_all(settings: Any) -> None:
    """Lets the server accept all modes. With one mode only, a token that is accepted in another would go unnoticed."""
    settings.ORIGIN = "https://auth.example.org"
    settings.ALLOWED_HOSTS = ["*"]
    settings.TOKENS = {"MODES": ALL, "COOKIE_DOMAIN": "example.org", "TRUSTED_ORIGINS": [APP]}


def sign_in(client: Client, user: Any, mode: str, **headers: str) -> Any:
    return post(client, "/api/auth/login", {"email": user.email, "password": PASSWORD, "mode": mode}, **headers)


def refresh_token_of(client: Client, mode: str) -> str:
    return client.cookies[SCOPED_REFRESH if mode == "scoped" else REFRESH].value


class TestEachMode:
    @pytest.mark.parametrize("mode", ALL)
    def test_sign_in_sets_the_cookies_of_the_mode_and_no_other(self, api, user, mode):
        response = sign_in(api, user, mode)
        of_django = set() if mode == "body" else {SESSION, "__Host-csrf"}
        assert set_by(response) == COOKIES[mode] | of_django
        assert ("access_token" in response.json()) is (mode == "body")
        assert response.json()["session"]["mode"] == mode

    def test_the_scoped_refresh_cookie_is_sent_only_to_the_auth_api(self, api, user):
        login(api, user, mode="scoped")
        cookie = api.cookies[SCOPED_REFRESH]
        attributes = [cookie[name] for name in ("path", "domain", "secure", "httponly")]
        assert attributes == ["/api/auth/", "", True, True]
        assert api.cookies[ACCESS]["path"] == "/"

    def test_subdomain_access_cookie_is_the_sites_and_the_refresh_cookie_the_hosts(self, api, user):
        login(api, user, mode="subdomain")
        assert (api.cookies[SITE_ACCESS]["domain"], api.cookies[REFRESH]["domain"]) == ("example.org", "")

    @WITH_COOKIES
    def test_the_endpoint_refreshes_each_mode_with_its_own_cookies(self, clock, api, user, mode):
        login(api, user, mode=mode)
        clock.forward(EXPIRED)
        response = post(api, "/api/auth/refresh")
        assert (response.status_code, set(response.cookies)) == (200, COOKIES[mode] - {DEVICE})
        assert who(api) == str(user.pk)

    def test_a_scoped_session_is_not_refreshed_outside_the_auth_api(self, clock, api, user):
        login(api, user, mode="scoped")
        clock.forward(EXPIRED)
        # A browser sends this cookie only to its path. Django's test client sends every cookie everywhere.
        del api.cookies[SCOPED_REFRESH]
        response = api.get("/probe/rest")
        assert (response.status_code, len(response.cookies)) == (401, 0)
        assert api.get("/api/auth/me").json()["code"] == "token_expired"

    @WITH_COOKIES
    def test_the_refresh_token_of_a_cookie_is_refused_in_a_body(self, api, user, mode):
        login(api, user, mode=mode)
        response = post(Client(), "/api/auth/refresh", {"refresh_token": refresh_token_of(api, mode)})
        assert (response.status_code, RefreshToken.objects.get().revoked_at) == (401, None)

    @pytest.mark.parametrize(("mode", "cookie"), [("cookie", SCOPED_REFRESH), ("scoped", REFRESH), ("body", REFRESH)])
    def test_a_refresh_token_is_refused_in_another_modes_cookie(self, api, another, user, mode, cookie):
        answer = login(api, user, mode=mode)
        browser = another()
        browser.cookies[cookie] = answer["refresh_token"] if mode == "body" else refresh_token_of(api, mode)
        assert (post(browser, "/api/auth/refresh").status_code, RefreshToken.objects.get().generation) == (401, 0)

    @pytest.mark.parametrize("mode", ALL)
    def test_signing_out_clears_the_cookies_of_every_mode(self, api, user, mode):
        login(api, user, mode=mode)
        cookies = post(api, "/api/auth/logout").cookies.items()
        of_django = set() if mode == "body" else {(SESSION, "/", "", 0)}
        assert {(name, cookie["path"], cookie["domain"], cookie["max-age"]) for name, cookie in cookies} == {
            (ACCESS, "/", "", 0),
            (SITE_ACCESS, "/", "example.org", 0),
            (REFRESH, "/", "", 0),
            (SCOPED_REFRESH, "/api/auth/", "", 0),
            *of_django,
        }

    def test_a_sign_in_in_another_mode_clears_the_cookies_of_the_first(self, clock, api, user):
        login(api, user, mode="cookie")
        login(api, user, mode="scoped")
        assert api.cookies[REFRESH].value == ""
        clock.forward(EXPIRED)
        assert post(api, "/api/auth/refresh").json()["session"]["mode"] == "scoped"

    def test_a_server_ignores_the_cookies_of_modes_that_it_does_not_serve(self, api, user, settings):
        """Another host of the site can set a cookie for the whole site."""
        login(api, user, mode="subdomain")
        settings.TOKENS = {"MODES": ["cookie"]}
        assert who(api) is None

    def test_pages_sign_in_in_the_first_mode_with_cookies(self, api, user, settings):
        settings.TOKENS = {"MODES": ["body", "scoped"]}
        api.get(f"/probe/sign-in/{user.email}")
        assert RefreshToken.objects.get().mode == "scoped"


ALLOWED: list[tuple[str, Any]] = [
    ("TOKENS", {"TRUSTED_ORIGINS": [APP]}),
    ("CORS_ALLOWED_ORIGINS", [APP]),
    ("CORS_ALLOWED_ORIGIN_REGEXES", [r"https://app\..*"]),
    ("CORS_ALLOW_ALL_ORIGINS", True),
]


class TestAnAppOnAnotherHost:
    """In mode ``subdomain`` an app sends requests with cookies from another origin. CORS allows only trusted ones."""

    def test_a_trusted_origin_may_send_requests_and_sign_in(self, api, user):
        headers = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        preflight = api.options("/api/auth/login", headers={"Origin": APP, **headers})
        assert preflight["Access-Control-Allow-Origin"] == APP
        assert preflight["Access-Control-Allow-Credentials"] == "true"
        assert "content-type" in preflight["Access-Control-Allow-Headers"]
        response = sign_in(api, user, "subdomain", **{"Origin": APP, "Sec-Fetch-Site": "same-site"})
        assert (response.status_code, response["Access-Control-Allow-Origin"]) == (200, APP)

    def test_it_may_read_errors_the_time_and_how_long_to_wait_and_no_pages(self, api):
        response = api.get("/api/auth/me", headers={"Origin": APP})
        assert (response.status_code, response["Access-Control-Allow-Origin"]) == (401, APP)
        assert response["Access-Control-Expose-Headers"] == "Date, Retry-After"
        assert "Access-Control-Allow-Origin" not in api.get("/sign-in", headers={"Origin": APP})

    @pytest.mark.parametrize("origin", ["https://evil.example.org", "http://app.example.org", "null"])
    def test_is_refused_from_an_origin_that_is_not_trusted(self, api, user, origin):
        response = sign_in(api, user, "subdomain", **{"Origin": origin, "Sec-Fetch-Site": "same-site"})
        assert (response.status_code, len(response.cookies)) == (403, 0)
        assert "Access-Control-Allow-Origin" not in response

    @pytest.mark.parametrize(("name", "value"), ALLOWED, ids=[name for name, _ in ALLOWED])
    def test_only_where_an_origin_is_allowed_do_responses_vary_by_it(self, api, settings, name, value):
        """The origin may be allowed by our own setting, or by one of django-cors-headers."""

        def cors() -> tuple[bool, str | None]:
            response = api.get("/api/auth/me", headers={"Origin": APP})
            return "origin" in response.get("Vary", ""), response.get("Access-Control-Allow-Origin")

        settings.TOKENS = {}
        assert cors() == (False, None)
        setattr(settings, name, value)
        assert cors() == (True, APP)
