"""A token for services (SERVICE_AUDIENCE) opens nothing at the auth API, and services accept no other token."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import jwt
import pytest
from django.test import Client
from django.urls import get_resolver

from tests.attacks.changes import everything
from tests.attacks.entry_points import INTROSPECTION, by_service
from tests.attacks.test_entry_points import routes
from tests.browsers import ACCESS, DEVICE, FIREFOX, REFRESH, AsyncBrowser, login, new_browser, post
from tests.docs.blocks import block
from tests.docs.code import run
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.tokens.api.steps import assert_problem, bearer
from tests.tokens.devices import OFFERED
from tests.tokens.devices import Device as BoundBrowser
from tests.tokens.protocol.jws import claims_of
from tests.tokens.web_steps import EXPIRED, set_by, signed_in_as, who
from tokens.api.serializers import text_of
from tokens.conf import keyring
from tokens.models import RefreshToken, Revocation, SecurityEvent
from tokens.protocol.access_tokens import instant
from tokens.service.revocation import revoke
from tokens.service.revocation_feed import feed

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.long,
    pytest.mark.at_length_on("sqlite"),
    pytest.mark.urls("tests.urls"),
]

AUTH, SERVICES = "https://auth.example.org", "https://services.example.org"
SITE_ACCESS, SCOPED_REFRESH = "__Secure-access", "__Http-refresh"
ME, LOGOUT, TOKEN = "/api/auth/me", "/api/auth/logout", "/api/auth/service-token"
OFF = {"MODES": ["subdomain", "cookie", "scoped", "body"], "COOKIE_DOMAIN": "example.org", **OFFERED, **INTROSPECTION}
ON = {**OFF, "SERVICE_AUDIENCE": SERVICES}
MODES = ["cookie", "scoped", "subdomain", "body"]
TO_A_PAGE = (("Sec-Fetch-Mode", "navigate"),)
VERIFIER = block("docs/how-to/verify-access-tokens.md", "# verify.py")


@pytest.fixture(autouse=True)
def _on(settings: Any) -> None:
    """Gives services their audience, and serves all modes. A token could be good at the API in only one of them."""
    settings.ORIGIN, settings.ALLOWED_HOSTS, settings.TOKENS = AUTH, ["*"], ON


@pytest.fixture
def owner(clock: Any, api: Client, user: Any) -> Client:
    """The user's browser in mode ``subdomain``. In other modes no other host would see the access cookie."""
    login(api, user, mode="subdomain")
    return api


@pytest.fixture
def stolen(owner: Client) -> str:
    """What a service of the site knows: the owner's access token. A made-up token would be refused in any case."""
    return str(owner.cookies[SITE_ACCESS].value)


@pytest.fixture(params=["the cookie of mode subdomain", "a token that was asked for"])
def for_services(request: pytest.FixtureRequest, owner: Client, stolen: str, user: Any) -> str:
    """Each token that a service may get. The rule could hold for only one of them."""
    if request.param == "the cookie of mode subdomain":
        return stolen
    return str(post(signed_in_as(user, mode="cookie"), TOKEN).json()["access_token"])


def at_origin(device: BoundBrowser) -> BoundBrowser:
    """Let the browser say that its requests come from the origin of these tests."""
    device.send = lambda path, **headers: BoundBrowser.send(device, path, **{**headers, "Origin": AUTH})  # type: ignore[method-assign]
    return device


def session_of(text: str) -> RefreshToken:
    return RefreshToken.objects.get(pk=claims_of(text)["sid"])


WAYS: dict[str, Callable[[str], tuple[Client, dict[str, str]]]] = {
    "as a Bearer token": lambda text: (new_browser(), bearer(text)),
    "as a cookie of the site": lambda text: (new_browser({SITE_ACCESS: text}), {}),
    "as a cookie of the host": lambda text: (new_browser({ACCESS: text}), {}),
    "as both": lambda text: (new_browser({ACCESS: text, SITE_ACCESS: text}), bearer(text)),
    "as a cookie, on the way to a page": lambda text: (new_browser({SITE_ACCESS: text}), dict(TO_A_PAGE)),
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
ENDPOINTS = sorted({route for route in routes(get_resolver("config.urls")) if route.startswith("api/auth/")})
BODY = {
    "password": PASSWORD,
    "current_password": PASSWORD,
    "new_password": "what the thief has chosen",
    "email": "thief@example.org",
    "device_name": "of the thief",
}
METHODS = ("get", "post", "put", "patch", "delete")


def answers(endpoint: str, session: Any, browser: Client, headers: dict[str, str]) -> Iterator[tuple[int, Any]]:
    """Send a request of each method. Yield the statuses and the bodies of the responses."""
    path = f"/{endpoint}".replace("(?P<session_id>[^/]+)", str(session))
    for method in METHODS:
        more = {} if method == "get" else {"data": BODY, "content_type": "application/json"}
        response = getattr(browser, method)(path, **more, headers=headers)
        yield response.status_code, response.content
        assert not set_by(response) & {ACCESS, SITE_ACCESS, REFRESH, SCOPED_REFRESH}


def test_every_endpoint_below_the_auth_api_is_tried():
    assert len(ENDPOINTS) >= 17
    assert "api/auth/service-token" in ENDPOINTS


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_alone_it_is_worth_as_much_as_no_token(endpoint, for_services, user):
    session, before = claims_of(for_services)["sid"], everything()[:-1]  # A registration is an event.
    nothing = {headers: list(answers(endpoint, session, new_browser(), dict(headers))) for headers in ((), TO_A_PAGE)}
    for name, way in WAYS.items():
        browser, headers = way(for_services)
        assert browser.get("/probe/who", headers=headers).json()["pk"] == str(user.pk), "It is good elsewhere."
        beside = TO_A_PAGE if "Sec-Fetch-Mode" in headers else ()
        assert list(answers(endpoint, session, browser, headers)) == nothing[beside], name
    assert everything()[:-1] == before
    assert RefreshToken.objects.live().filter(pk=session).exists()


@ways
def test_it_ends_no_session_even_when_it_has_expired(way, for_services, clock):
    clock.forward(EXPIRED)
    browser, headers = way(for_services)
    assert post(browser, LOGOUT, **headers).status_code == 204
    assert RefreshToken.objects.live().filter(pk=session_of(for_services).pk).exists()


@pytest.mark.parametrize("seconds", [0, EXPIRED], ids=["valid", "expired"])
def test_as_a_bearer_token_it_is_answered_like_a_token_of_another_server(for_services, clock, seconds):
    clock.forward(seconds)
    response, other = (Client().get(ME, headers=bearer(text)) for text in (for_services, "a.b.c"))
    assert_problem(response, 401, "not_authenticated")
    assert (response["WWW-Authenticate"], response.content) == (other["WWW-Authenticate"], other.content)
    assert response["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_the_rule_is_the_same_under_asgi(clock, user):
    browser = AsyncBrowser(headers={"User-Agent": FIREFOX})
    login(browser, user, mode="subdomain")
    text = browser.cookies[SITE_ACCESS].value
    assert (browser.get(ME).status_code, browser.cookies[SITE_ACCESS].value) == (200, text)
    for name in (REFRESH, DEVICE):
        del browser.cookies[name]
    assert (browser.get(ME).status_code, who(browser)) == (401, str(user.pk))
    assert browser.get(ME, headers=bearer(text)).status_code == 401


def test_beside_the_refresh_cookie_a_bearer_token_for_services_stays_refused(owner, stolen):
    assert owner.get(ME, headers=bearer(stolen)).status_code == 401


def test_its_use_at_the_auth_api_proves_no_receipt_of_a_refresh_token(for_services, monkeypatch):
    noted: list[Any] = []
    monkeypatch.setattr("tokens.service.acknowledgements.note", lambda token, now: noted.append(token))
    for browser, headers in (way(for_services) for way in WAYS.values()):
        browser.get(ME, headers=headers)
    assert noted == []


class TestBesideTheRefreshCookieOfItsSession:
    def test_it_is_the_user_and_may_do_everything(self, owner, stolen, user):
        other = login(Client(), user)["session"]["id"]
        answer = owner.get(ME).json()
        assert (answer["user"]["id"], answer["session"]["id"]) == (str(user.pk), claims_of(stolen)["sid"])
        assert post(owner, "/api/auth/reauthenticate", {"password": PASSWORD}).status_code == 200
        assert owner.delete(f"/api/auth/sessions/{other}").status_code == 204
        assert post(owner, LOGOUT).status_code == 204
        assert not RefreshToken.objects.live().exists()

    def test_it_counts_without_a_refresh(self, owner, stolen):
        owner.get(ME)
        assert owner.cookies[SITE_ACCESS].value == stolen
        assert session_of(stolen).generation == 0

    def test_the_cookie_may_be_of_an_earlier_generation(self, owner, stolen, clock):
        """A page sends requests in parallel, and one of them refreshes."""
        late = dict(owner.cookies)
        clock.forward(100)
        post(owner, "/api/auth/refresh")
        assert session_of(stolen).generation == 1
        browser = new_browser({name: cookie.value for name, cookie in late.items()})
        assert browser.get(ME).status_code == 200
        assert SITE_ACCESS not in browser.get(ME).cookies

    def test_no_statement_is_added(self, owner, stolen, settings, django_assert_num_queries):
        feed.is_revoked(uuid4())
        with django_assert_num_queries(2):  # The user, and the session: the view asks for both.
            owner.get(ME)
        with django_assert_num_queries(0):
            owner.get("/probe/who")


class TestBesideAnotherRefreshCookie:
    @pytest.fixture(params=["of another user", "of the same user"])
    def thief(self, request: pytest.FixtureRequest, stolen: str, user: Any) -> Client:
        """A browser with a session of its own. It could be taken for the one of the token."""
        owner = user if request.param == "of the same user" else UserFactory()
        return signed_in_as(owner, mode="subdomain")

    def test_the_cookie_counts_and_the_token_does_not(self, thief, stolen):
        own = claims_of(thief.cookies[SITE_ACCESS].value)["sid"]
        thief.cookies[SITE_ACCESS] = stolen
        response = thief.get(ME)
        assert response.json()["session"]["id"] == own != claims_of(stolen)["sid"]
        assert claims_of(response.cookies[SITE_ACCESS].value)["sid"] == own

    def test_it_signs_only_the_own_session_out(self, thief, stolen):
        thief.cookies[SITE_ACCESS] = stolen
        assert post(thief, LOGOUT).status_code == 204
        assert list(RefreshToken.objects.live()) == [session_of(stolen)]

    def test_an_owner_whose_access_cookie_a_sibling_host_has_replaced_stays_who_they_are(self, thief, owner, user):
        owner.cookies[SITE_ACCESS] = thief.cookies[SITE_ACCESS].value
        assert owner.get(ME).json()["user"]["id"] == str(user.pk)

    def test_a_cookie_that_sibling_hosts_can_set_makes_no_visitor_the_attacker(self):
        attacker = signed_in_as(UserFactory(), mode="scoped")
        text = post(attacker, TOKEN).json()["access_token"]
        planted = {SITE_ACCESS: text, SCOPED_REFRESH: attacker.cookies[SCOPED_REFRESH].value}
        assert new_browser(planted).get(ME).status_code == 401

    def test_a_cookie_that_a_script_can_set_makes_no_visitor_the_attacker(self, thief):
        planted = {SITE_ACCESS: thief.cookies[SITE_ACCESS].value, "__Host-refresh": thief.cookies[REFRESH].value}
        assert new_browser(planted).get(ME).status_code == 401

    def test_a_refresh_token_in_the_body_names_another_session_and_both_cookies_are_left_alone(self, stolen, user):
        app = login(Client(), user, mode="body")
        browser = new_browser({SITE_ACCESS: stolen})
        assert post(browser, LOGOUT, {"refresh_token": app["refresh_token"]}).status_code == 204
        assert list(RefreshToken.objects.live()) == [session_of(stolen)]


class TestBesideARefreshTokenThatWasSuperseded:
    """A thief has a copy of both cookies, and the owner refreshes after the thief."""

    @pytest.mark.parametrize("mode", ["cookie", "scoped", "bound"])
    def test_a_token_for_services_lives_no_longer_than_the_access_token(self, mode, clock, api, user):
        name, device = SCOPED_REFRESH if mode == "scoped" else REFRESH, at_origin(BoundBrowser(api))
        device.sign_in(user, mode="scoped" if mode == "scoped" else "cookie")
        old = api.cookies[name].value
        if mode == "bound":
            device.register()
            assert device.refresh().status_code == 200
        for _ in range(0 if mode == "bound" else 2):
            clock.forward(100)
            assert post(api, "/api/auth/refresh").status_code == 200
        access = api.cookies[ACCESS].value
        clock.forward(300)
        given = post(new_browser({ACCESS: access, name: old}), TOKEN).json()["access_token"]
        assert claims_of(given)["exp"] == claims_of(access)["exp"]
        assert RefreshToken.objects.live().exists()

    @pytest.mark.parametrize("mode", ["cookie", "subdomain"])
    def test_a_copy_of_both_gives_nothing_when_the_access_token_has_expired(self, mode, clock, api, user):
        login(api, user, mode=mode, remember=True)
        old, access = api.cookies[REFRESH].value, cookie(api, mode)
        until, given = claims_of(access)["exp"], access
        clock.forward(100)
        post(api, "/api/auth/refresh")
        for _ in range(3):
            clock.forward(200)
            assert post(api, "/api/auth/refresh").status_code in {200, 401}
            name = SITE_ACCESS if mode == "subdomain" or given != access else ACCESS
            response = post(new_browser({name: given, REFRESH: old}), TOKEN)
            if response.status_code == 200:
                given = response.json()["access_token"]
                assert claims_of(given)["exp"] <= until
        assert clock.now.timestamp() >= until
        assert response.status_code == 401
        assert SecurityEvent.objects.filter(kind=SecurityEvent.Kind.REUSE_DETECTED).count() == 1

    @pytest.mark.parametrize("which", ["a newer cookie of the site", "a token that was asked for"])
    def test_it_opens_nothing_and_the_reuse_is_detected(self, which, owner, clock):
        old = owner.cookies[REFRESH].value
        for _ in range(2):
            clock.forward(100)
            post(owner, "/api/auth/refresh")
        seen = cookie(owner, "subdomain")
        if which == "a token that was asked for":
            seen = post(owner, TOKEN).json()["access_token"]
        thief = new_browser({SITE_ACCESS: seen, REFRESH: old})
        assert thief.get(ME).status_code == 401
        assert session_of(seen).revoked_reason == RefreshToken.Reason.REUSE

    def test_an_owner_whose_refresh_was_answered_in_part_stays_signed_in(self, owner, clock):
        """The access cookie has arrived, and the refresh cookie has not."""
        before = owner.cookies[REFRESH].value
        clock.forward(100)
        post(owner, "/api/auth/refresh")
        owner.cookies[REFRESH] = before
        clock.forward(31)
        answer = owner.get(ME)
        assert (answer.status_code, SITE_ACCESS in answer.cookies) == (200, False)
        assert post(owner, TOKEN).json()["expires_in"] >= 570
        clock.forward(EXPIRED)
        assert owner.get(ME).status_code == 200

    def test_after_a_reauthentication_the_new_cookies_count(self, owner, clock):
        clock.forward(100)
        assert post(owner, "/api/auth/reauthenticate", {"password": PASSWORD}).status_code == 200
        text = cookie(owner, "subdomain")
        assert (claims_of(text)["gen"], owner.get(ME).status_code) == (1, 200)
        assert (cookie(owner, "subdomain"), session_of(text).generation) == (text, 1)


class TestServiceToken:
    @pytest.mark.parametrize("mode", MODES)
    def test_every_client_gets_one_of_its_session(self, mode, clock, api, user):
        answer = login(api, user, mode=mode)
        headers = bearer(answer["access_token"]) if mode == "body" else {}
        response = post(api, TOKEN, **headers)
        given = response.json()
        claims = claims_of(given.pop("access_token"))
        assert given == {
            "token_type": "Bearer",
            "expires_in": claims["exp"] - claims["iat"],
            "access_token_expires_at": text_of(instant(claims["exp"])),
        }
        assert 570 <= given["expires_in"] <= 600
        assert ("no-store" in response["Cache-Control"], set_by(response)) == (True, set())
        now = int(clock.now.timestamp())
        assert {name: value for name, value in claims.items() if name not in {"exp", "jti"}} == {
            "iss": AUTH,
            "aud": SERVICES,
            "sub": str(user.pk),
            "sid": answer["session"]["id"],
            "client_id": "latchkey",
            "iat": now,
            "auth_time": now,
            "amr": ["pwd"],
            "acr": "aal1",
        }

    def test_it_names_the_actor_of_an_impersonation_and_no_time(self, clock, settings, user):
        settings.ROOT_URLCONF = "tests.tokens.web.impersonation_urls"
        staff, browser = AdminFactory(), new_browser()
        login(browser, staff, mode="cookie")
        browser.post(f"/probe/impersonate/{user.email}")
        claims = claims_of(post(browser, TOKEN).json()["access_token"])
        assert (claims["sub"], claims["act"]) == (str(user.pk), {"sub": str(staff.pk)})
        assert not {"auth_time", "amr", "acr"} & set(claims)

    def test_it_costs_one_read_beside_the_users(self, owner, django_assert_num_queries):
        feed.is_revoked(uuid4())
        with django_assert_num_queries(2):
            assert post(owner, TOKEN).status_code == 200

    def test_there_is_none_for_a_session_that_has_ended_on_another_node(self, owner, stolen, monkeypatch):
        monkeypatch.setattr(feed, "add", lambda ids: None)
        revoke(RefreshToken.objects.all(), RefreshToken.Reason.SIGNED_OUT)
        Revocation.objects.all().delete()
        assert_problem(post(owner, TOKEN), 401, "session_ended")

    def test_with_an_access_token_alone_it_brings_no_time(self, clock, user):
        access = login(Client(), user, mode="body")["access_token"]
        clock.forward(500)
        given = post(Client(), TOKEN, **bearer(access)).json()
        assert claims_of(given["access_token"])["exp"] == claims_of(access)["exp"]
        assert given["expires_in"] < 101
        assert Client().post(TOKEN, headers=bearer(given["access_token"])).status_code == 401

    @pytest.mark.parametrize("mode", ["cookie", "scoped", "subdomain"])
    def test_with_the_refresh_cookie_it_has_its_whole_lifetime(self, mode, clock, api, user):
        login(api, user, mode=mode)
        clock.forward(500)
        assert post(api, TOKEN).json()["expires_in"] >= 570

    def test_a_page_of_another_origin_does_not_get_it(self, owner):
        headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert_problem(owner.post(TOKEN, headers=headers), 403, "cross_origin")

    def test_it_cannot_be_asked_for_without_a_sign_in(self):
        assert_problem(post(Client(), TOKEN), 401, "not_authenticated")


class TestAVerifier:
    """The verifier of the guide, with the public keys of this server."""

    def test_of_a_service_accepts_only_tokens_for_services(self, monkeypatch, clock, for_services, user):
        def verify(audience: str) -> Any:
            monkeypatch.setenv("AUDIENCE", audience)
            return run(VERIFIER)["verify"]

        monkeypatch.setattr(jwt.PyJWKClient, "fetch_data", lambda self: keyring().jwks)  # There is no network.
        monkeypatch.setenv("AUTH_ORIGIN", AUTH)
        ordinary = login(Client(), user, mode="body")["access_token"]
        assert verify(SERVICES)(for_services)["sub"] == str(user.pk)
        assert verify(AUTH)(ordinary)["sub"] == str(user.pk)
        for audience, text in ((SERVICES, ordinary), (AUTH, for_services)):
            with pytest.raises(jwt.InvalidAudienceError):
                verify(audience)(text)

    def test_that_asks_latchkey_learns_the_audience(self, for_services, user):
        ordinary = login(Client(), user, mode="body")["access_token"]
        for text, audience in ((for_services, SERVICES), (ordinary, AUTH)):
            answer = by_service(Client(), text).json()
            assert (answer["active"], answer["aud"], answer["sub"]) == (True, audience, str(user.pk))


class TestEachMode:
    @pytest.mark.parametrize("mode", MODES)
    def test_only_the_cookie_that_all_hosts_see_is_for_services(self, mode, clock, api, user):
        def audience() -> str:
            text = answer["access_token"] if mode == "body" else cookie(api, mode)
            return str(claims_of(text)["aud"])

        answer = login(api, user, mode=mode)
        expected = SERVICES if mode == "subdomain" else AUTH
        assert audience() == expected
        headers = bearer(answer["access_token"]) if mode == "body" else {}
        given = {"refresh_token": answer["refresh_token"]} if mode == "body" else None
        assert api.get(ME, headers=headers).status_code == 200
        answer = post(api, "/api/auth/reauthenticate", {"password": PASSWORD}, **headers).json()
        assert audience() == expected
        clock.forward(EXPIRED)
        answer = post(api, "/api/auth/refresh", given).json()
        assert audience() == expected

    def test_the_middleware_and_pages_issue_the_same(self, clock, settings, api, user):
        settings.TOKENS = {**ON, "MODES": ["subdomain"]}
        api.post("/sign-in", {"username": user.email, "password": PASSWORD})
        assert claims_of(cookie(api, "subdomain"))["aud"] == SERVICES
        assert who(api) == str(user.pk)
        clock.forward(EXPIRED)
        assert SITE_ACCESS in api.get("/probe/who").cookies
        assert claims_of(cookie(api, "subdomain"))["aud"] == SERVICES
        api.post("/sign-out")
        assert not RefreshToken.objects.live().exists()

    def test_elsewhere_in_the_project_both_audiences_authenticate(self, for_services, user):
        for browser, headers in (way(for_services) for way in WAYS.values()):
            assert browser.get("/probe/rest", headers=headers).json()["email"] == user.email
        ordinary = login(Client(), user, mode="body")["access_token"]
        assert Client().get("/probe/rest", headers=bearer(ordinary)).status_code == 200

    def test_a_bound_session_is_refreshed_by_its_key_and_gets_tokens_for_services(self, clock, user):
        device = at_origin(BoundBrowser(new_browser()))
        device.bind(user, mode="cookie")
        clock.forward(EXPIRED)
        device.lose_access()
        assert device.refresh().status_code == 200
        assert REFRESH not in {name for name, cookie in device.browser.cookies.items() if cookie.value}
        assert claims_of(cookie(device.browser, "cookie"))["aud"] == AUTH
        clock.forward(300)
        given = post(device.browser, TOKEN).json()
        assert given["expires_in"] <= 300
        assert device.browser.get(ME).status_code == 200
        assert Client().get(ME, headers=bearer(given["access_token"])).status_code == 401

    def test_a_session_of_mode_subdomain_is_never_bound(self, api, user):
        response = post(api, "/api/auth/login", {"email": user.email, "password": PASSWORD, "mode": "subdomain"})
        assert response.status_code == 200
        assert "Secure-Session-Registration" not in response


def cookie(browser: Client, mode: str) -> str:
    return str(browser.cookies[SITE_ACCESS if mode == "subdomain" else ACCESS].value)


class TestOnThePages:
    """Views outside of the auth API accept tokens for services. They may not sign the user out there."""

    @ways
    @pytest.mark.parametrize("path", ["/sign-out", "/admin/logout/"])
    def test_it_does_not_sign_the_user_out(self, path, way, for_services, user):
        browser, headers = way(for_services)
        browser.post(path, headers=headers)
        assert RefreshToken.objects.live().filter(pk=session_of(for_services).pk).exists()
        assert browser.get("/probe/who", headers=bearer(for_services)).json()["pk"] == str(user.pk)

    @ways
    def test_it_ends_its_own_session_together_with_the_password_only(self, way, for_services):
        browser, headers = way(for_services)
        path = f"/sessions/{session_of(for_services).pk}/end"
        for given in ({}, {"current_password": "a guess"}):
            response = browser.post(path, given, headers=headers)
            assert 'name="current_password"' in response.content.decode()
            assert RefreshToken.objects.live().filter(pk=session_of(for_services).pk).exists()
        assert browser.post(path, {"current_password": PASSWORD}, headers=headers)["Location"] == "/signed-out"
        assert not RefreshToken.objects.live().filter(pk=session_of(for_services).pk).exists()

    @pytest.mark.parametrize("path", ["/sign-out", "/sessions/{own}/end"])
    @pytest.mark.parametrize("seconds", [0, EXPIRED], ids=["at once", "when the access token has expired"])
    def test_the_owners_browser_signs_out(self, seconds, path, owner, stolen, clock):
        clock.forward(seconds)
        assert owner.post(path.format(own=session_of(stolen).pk)).status_code in {200, 302}
        assert not RefreshToken.objects.live().exists()
        assert owner.cookies[SITE_ACCESS].value == ""


class TestInTheAdmin:
    """Tokens for services show nothing there, because services would see what the staff sees."""

    @pytest.fixture
    def user(self) -> Any:
        """The owner is a member of the staff. Anybody else would be refused in any case."""
        return AdminFactory()

    @ways
    @pytest.mark.parametrize("path", ["/admin/", "/admin/accounts/user/", "/admin/jsi18n/"])
    def test_it_is_worth_as_much_as_no_token(self, path, way, for_services):
        browser, headers = way(for_services)
        response, nothing = browser.get(path, headers=headers), new_browser().get(path)
        assert (response.status_code, response.get("Location")) == (nothing.status_code, nothing.get("Location"))
        assert response.status_code == 302

    @pytest.mark.parametrize("path", ["/admin/", "/admin/accounts/user/", "/admin/login/"])
    def test_the_staffs_own_browser_sees_it(self, path, owner):
        expected = (302, "/admin/") if path == "/admin/login/" else (200, None)
        for _ in range(2):
            response = owner.get(path)
            assert (response.status_code, response.get("Location")) == expected

    def test_the_staffs_own_browser_signs_out(self, owner):
        assert owner.post("/admin/logout/").status_code in {200, 302}
        assert not RefreshToken.objects.live().exists()

    def test_a_superseded_refresh_token_beside_it_does_not_count(self, owner, clock):
        old = owner.cookies[REFRESH].value
        for _ in range(2):
            clock.forward(100)
            post(owner, "/api/auth/refresh")
        thief = new_browser({SITE_ACCESS: cookie(owner, "subdomain"), REFRESH: old})
        assert thief.get("/admin/accounts/user/").status_code == 302
        assert owner.get("/admin/accounts/user/").status_code == 200


class TestTheSettingIsOff:
    @pytest.fixture(autouse=True)
    def _off(self, _on: None, settings: Any) -> None:
        """Leaves the audience for services out, as by default."""
        settings.TOKENS = OFF

    @pytest.mark.parametrize("method", METHODS)
    def test_there_is_no_endpoint(self, method, api, user):
        login(api, user, mode="cookie")
        response, missing = (getattr(api, method)(path) for path in (TOKEN, "/api/auth/nothing"))
        assert (response.status_code, response.content) == (404, missing.content)

    def test_the_access_cookie_of_mode_subdomain_is_enough_as_before(self, clock, api, user):
        login(api, user, mode="subdomain")
        text = cookie(api, "subdomain")
        assert claims_of(text)["aud"] == AUTH
        assert new_browser({SITE_ACCESS: text}).get(ME).status_code == 200
        assert Client().get(ME, headers=bearer(text)).status_code == 200
        assert post(new_browser({SITE_ACCESS: text}), LOGOUT).status_code == 204
        assert not RefreshToken.objects.live().exists()


class TestARollingDeployment:
    """Two processes, one with the setting and one without, answer a browser in turns."""

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("seconds", [0, 5, 100, EXPIRED], ids="every {} seconds".format)
    def test_signs_nobody_out(self, seconds, mode, clock, settings, api, user):
        settings.TOKENS = OFF
        answer = login(api, user, mode=mode)
        for tokens in (ON, OFF, OFF, ON, ON, OFF):
            clock.forward(seconds)
            settings.TOKENS = tokens
            headers = bearer(answer["access_token"]) if mode == "body" else {}
            response = api.get(ME, headers=headers)
            if mode == "body" and response.status_code == 401:
                assert response.json()["code"] == "token_expired"
                answer = {**answer, **post(api, "/api/auth/refresh", {"refresh_token": answer["refresh_token"]}).json()}
                response = api.get(ME, headers=bearer(answer["access_token"]))
            assert response.json()["session"]["current"] is True
            assert mode in {"body", "scoped"} or who(api) == str(user.pk)
        assert RefreshToken.objects.live().count() == 1
        assert not SecurityEvent.objects.exclude(kind__in=["signed_in", "new_device"]).exists()

    def test_a_cookie_from_before_counts_until_it_expires(self, clock, settings, api, user):
        settings.TOKENS = OFF
        login(api, user, mode="subdomain")
        text = cookie(api, "subdomain")
        settings.TOKENS = ON
        assert new_browser({SITE_ACCESS: text}).get(ME).status_code == 200
        clock.forward(EXPIRED)
        assert new_browser({SITE_ACCESS: text}).get(ME).status_code == 401
