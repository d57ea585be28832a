"""No entry point lets anybody round a factor that REQUIRED_FACTORS asks for. Each is open without the setting."""

from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.test import Client

from tests.attacks.entry_points import INTROSPECTION, by_service
from tests.attacks.test_sign_in_policy import (
    ENTRY_POINTS,
    PENDING,
    browser_at_server,
    everything,
    outside,
    signs_nobody_in,
    with_a_session_of_before,
)
from tests.browsers import ACCESS, FIREFOX, REFRESH, AsyncBrowser, new_browser, post, refresh
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.tokens.devices import OFFERED, Device
from tests.tokens.service.holders import STILL_TIME
from tests.tokens.web.impersonation import by_function, by_hijack
from tests.tokens.web_steps import signed_in_as, who
from tokens import sessions
from tokens.contrib import rest_framework as adapter
from tokens.models import RefreshToken
from tokens.service.opening import with_methods
from tokens.sockets import _identify
from tokens.web.django import django_session

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

LONG = 700
"""Seconds after which an access token has expired."""


@pytest.fixture(autouse=True)
def _project(settings: Any) -> None:
    """Serves the views, and django-hijack. Without it, an entry point would answer 404."""
    settings.ROOT_URLCONF = "tests.attacks.required_urls"
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "hijack"]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tokens.contrib.hijack.HijackUserMiddleware"]
    factors = ["tokens.web.factors.Password", "tests.factors.fixed_code.Code"]
    settings.TOKENS = {"MODES": ["cookie", "body"], "FACTORS": factors}


@pytest.fixture
def require(settings: Any) -> Callable[..., None]:
    """A function that requires a factor of the staff. Before its call a control can show that a sign-in works."""

    def given(whom: str = "staff", **more: Any) -> None:
        settings.TOKENS = {**settings.TOKENS, "REQUIRED_FACTORS": whom, **more}

    return given


@pytest.fixture
def owner(db: None) -> Any:
    """A member of the staff. Of anybody else no factor is required, and each session would be right."""
    return AdminFactory()


@pytest.fixture
def browser(owner: Any, clock: Any) -> Client:
    """A browser in which the owner signed in before that. Without it no older session would be tested."""
    found = signed_in_as(owner)
    clock.forward(STILL_TIME)
    assert refresh(found).status_code == 200
    return found


class TestASignIn:
    @pytest.mark.parametrize(("kind", "enter"), ENTRY_POINTS.values(), ids=ENTRY_POINTS)
    def test_at_each_entry_point_leaves_nothing_but_a_pending_one(self, kind, enter, owner, require, monkeypatch):
        enter(browser_at_server(kind, monkeypatch), owner)
        assert RefreshToken.objects.count() == 1
        Group.objects.all().delete()
        require()
        signs_nobody_in(browser_at_server(kind, monkeypatch), enter, owner, PENDING)

    def test_without_a_request_of_the_middleware_raises(self, owner, require):
        assert who(outside(owner)) == str(owner.pk)
        require()
        before = everything(owner)
        with pytest.raises(sessions.FactorRequired):
            outside(owner)
        assert everything(owner) == before

    def test_from_before_the_middleware_is_not_taken_over(self, owner, require):
        assert who(with_a_session_of_before(owner)) == str(owner.pk)
        found, before = with_a_session_of_before(owner), RefreshToken.objects.count()
        require()
        assert (who(found), found.get("/probe/seen").json()["django"]) == (None, None)
        assert RefreshToken.objects.count() == before

    def test_that_says_more_than_was_proved_is_the_projects_own_word(self, owner, require):
        """`open_session` and ``authenticated_by`` say it. What they say counts."""
        require()
        assert by_view(Client(), "opening", owner) == 401
        owner.authenticated_by = ["pop", "user", "mfa"]
        assert who(outside(owner)) == str(owner.pk)


def by_view(client: Client, name: str, user: Any) -> int:
    status: int = client.get(f"/probe/{name}/{user.email}", headers={"Accept": "application/json"}).status_code
    return status


def basic(user: Any, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user.email}:{password}".encode()).decode()}


def in_a_header(user: Any) -> dict[str, str]:
    return {"X-Password": f"{user.email}:{PASSWORD}"}


class TestAPasswordWithEachRequest:
    """REST framework's own way, and those of projects that build on it. It opens no session, so no step can follow."""

    WAYS = [
        ("/probe/basic", basic),
        ("/probe/basic-credentials", basic),
        ("/probe/basic-header", in_a_header),
        ("/probe/basic-alone", in_a_header),
    ]
    NAMES = ("as it is", "other credentials", "another header", "without the request")

    @pytest.mark.parametrize(("path", "headers"), WAYS, ids=NAMES)
    @pytest.mark.parametrize("kind", [Client, AsyncBrowser])
    def test_is_refused(self, path, headers, kind, owner, require):
        assert kind().get(path, headers=headers(owner)).status_code == 200
        require()
        response = kind().get(path, headers=headers(owner))
        assert (response.status_code, owner.email in response.text) == (401, False)
        assert kind().get(path, headers=headers(UserFactory())).status_code == 200

    @pytest.mark.parametrize(("path", "headers"), WAYS, ids=NAMES)
    def test_asks_the_policy_too_and_once(self, path, headers, owner, require):
        require("nobody", SIGN_IN_POLICY=f"{__name__}.counting")
        counted.clear()
        assert Client().get(path, headers=headers(owner)).status_code == 200
        assert counted == [{"pwd"}]
        require("nobody", SIGN_IN_POLICY="tests.attacks.test_sign_in_policy.nobody")
        assert Client().get(path, headers=headers(owner)).status_code == 401

    @pytest.mark.parametrize(("path", "headers"), WAYS, ids=NAMES)
    def test_gives_the_policy_no_password_in_the_place_of_the_request(self, path, headers, owner, require):
        require("nobody", SIGN_IN_POLICY=f"{__name__}.seeing")
        seen.clear()
        assert Client().get(path, headers=headers(owner)).status_code == 200
        (request,) = seen
        assert request is None if "alone" in path else request.path == path

    def test_by_the_word_of_a_proxy_is_refused_unless_it_says_more(self, owner, require, settings):
        backend = "django.contrib.auth.backends.RemoteUserBackend"
        settings.AUTHENTICATION_BACKENDS = [backend]
        said = {"REMOTE_USER": owner.get_username()}
        assert Client().get("/probe/remote", **said).status_code == 200
        require()
        assert Client().get("/probe/remote", **said).status_code in {401, 403}
        require(BACKEND_METHODS={backend: ["mfa"]})
        assert Client().get("/probe/remote", **said).status_code == 200

    def test_tells_a_guesser_nothing_new(self, owner, require):
        require()
        answers = [Client().get("/probe/basic", headers=basic(user, "wrong")) for user in (owner, UserFactory())]
        assert len({(answer.status_code, answer.content) for answer in answers}) == 1

    def test_gets_no_token_of_rest_frameworks_own(self, owner, require, monkeypatch):
        given = {"username": owner.email, "password": PASSWORD}
        is_installed = apps.is_installed
        monkeypatch.setattr(apps, "is_installed", lambda name: "authtoken" in name or is_installed(name))
        for _ in range(2):
            adapter.guard()
        assert post(Client(), "/probe/token", given).status_code == 200
        require()
        response = post(Client(), "/probe/token", given)
        assert (response.status_code, owner.email in response.text) == (400, False)


counted: list[set[str]] = []
seen: list[Any] = []
read: list[str] = []


class Reads:
    """A router that notes what is read where the project's routers decide, as they do for a replica that is behind."""

    def db_for_read(self, model: Any, **hints: Any) -> None:
        read.append(model._meta.label)


def counting(request: Any, user: Any, methods: Any) -> Any:
    counted.append({*methods})
    return sessions.Open()


def seeing(request: Any, user: Any, methods: Any) -> Any:
    seen.append(request)
    return sessions.Open()


def test_a_middleware_that_signs_in_with_each_request_makes_no_loop(owner, require, settings):
    """Such as `RemoteUserMiddleware`. The page that asks for the factor would lead to itself for ever."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.RemoteUserMiddleware"]
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
    require()
    said, browser = {"REMOTE_USER": owner.get_username()}, Client(headers={"Accept": "text/html"})
    assert browser.get("/admin/", **said)["Location"] == "/sign-in/factor"
    assert browser.get("/sign-in/factor", **said).status_code == 401
    require(BACKEND_METHODS={settings.AUTHENTICATION_BACKENDS[0]: ["mfa"]})
    assert browser.get("/admin/", **said).status_code == 200


class TestASessionOfBefore:
    """It was opened by a password. Where its row is asked, it is nobody's at once, and elsewhere within minutes."""

    def test_in_djangos_own_session_is_nobodys(self, owner, require, clock):
        found = new_browser()
        found.post("/sign-in", {"username": owner.email, "password": PASSWORD})
        found.get("/probe/store/private")
        assert found.get("/probe/session").status_code == 200
        require()
        clock.forward(LONG)
        assert found.get("/probe/seen").json() == {"user": None, "django": None, "data": {}}
        assert found.get("/probe/session").status_code in {401, 403}

    def test_that_only_djangos_session_stands_for_is_nobodys(self, owner, require, clock):
        found = outside(owner)
        assert found.get("/probe/seen").json()["django"] == str(owner.pk)
        later = outside(owner)
        require()
        clock.forward(LONG)
        for each in (found, later):
            assert each.get("/probe/seen").json() == {"user": None, "django": None, "data": {}}
            assert refresh(each).status_code == 401
        assert RefreshToken.objects.filter(revoked_at=None).count() == 2

    def test_opens_no_socket(self, browser, owner, require, rf):
        def opener() -> Any:
            cookie = f"{ACCESS}={browser.cookies[ACCESS].value}"
            return _identify(rf.get("/", headers={"User-Agent": FIREFOX, "Cookie": cookie})).user.pk

        assert opener() == owner.pk
        require()
        assert opener() is None

    def test_gives_no_socket_djangos_session(self, owner, require, rf):
        found = new_browser()
        found.post("/sign-in", {"username": owner.email, "password": PASSWORD})
        assert django_session.is_live(found.session)
        require()
        assert not django_session.is_live(found.session)

    def test_is_not_active_for_a_service(self, browser, owner, require):
        require("nobody", **INTROSPECTION)
        assert by_service(Client(), browser.cookies[ACCESS].value).json()["active"]
        require()
        assert not by_service(Client(), browser.cookies[ACCESS].value).json()["active"]

    def test_gets_no_token_for_services(self, browser, require):
        require("nobody", SERVICE_AUDIENCE="https://api.example.org")
        assert post(browser, "/api/auth/service-token").status_code == 200
        require()
        assert post(browser, "/api/auth/service-token").status_code == 401

    def test_changes_nothing_in_the_admin(self, browser, require):
        page = "/admin/auth/group/add/"
        assert browser.post(page, {"name": "before"}).status_code == 302
        require()
        assert "/admin/login/" in browser.post(page, {"name": "after"})["Location"]
        assert [*Group.objects.values_list("name", flat=True)] == ["before"]
        assert browser.get("/admin/login/").status_code == 200

    def test_is_judged_by_no_replica(self, browser, owner, require, settings):
        settings.DATABASE_ROUTERS = [f"{__name__}.Reads"]
        found = []
        for whom in ("nobody", "staff"):
            require(whom)
            read.clear()
            found.append((browser.delete("/api/auth/sessions").status_code, sorted(read)))
        assert [status for status, _ in found] == [204, 403]
        assert found[0][1] == found[1][1]

    @pytest.mark.parametrize("begin", [by_function, by_hijack])
    def test_begins_no_impersonation(self, browser, require, begin):
        require()
        target = UserFactory()
        assert begin(browser, target).status_code in {401, 403}
        assert not RefreshToken.objects.exclude(actor=None).exists()

    def test_keeps_up_no_impersonation(self, browser, owner, require, clock):
        target = UserFactory()
        assert by_function(browser, target).status_code == 200
        clock.forward(STILL_TIME)
        assert refresh(browser).status_code == 200
        clock.forward(STILL_TIME)
        assert refresh(browser).status_code == 200
        require()
        assert browser.post("/probe/release").status_code in {401, 403}
        clock.forward(LONG)
        response = refresh(browser)
        assert response.status_code == 401
        assert "totp" not in response.text  # Nothing is said about the factors of the target.
        assert who(browser) is None
        assert post(browser, "/api/auth/reauthenticate", {"method": "totp", "answer": "123456"}).status_code == 401
        assert RefreshToken.objects.filter(revoked_at=None).count() == 2
        require("nobody")
        assert who(browser) == str(target.pk)

    def test_that_is_bound_to_its_device_is_asked_and_not_ended(self, owner, require, clock, settings):
        settings.TOKENS = {**settings.TOKENS, **OFFERED}
        device = Device(new_browser()).bind(owner)
        device.lose_access()
        assert device.refresh().status_code == 200
        require()
        device.lose_access()
        found = device.refresh().status_code, who(device.browser), RefreshToken.objects.get().revoked_at
        assert found == (401, None, None)
        RefreshToken.objects.update(methods=with_methods("", {"otp": timedelta()}, clock.now))
        assert device.refresh().status_code == 200

    def test_is_not_bound_to_a_device(self, owner, require, clock, settings):
        """The registration of a key would give an access token."""
        settings.TOKENS = {**settings.TOKENS, **OFFERED}
        device = Device(new_browser()).sign_in(owner)
        require()
        assert device.register().status_code == 401
        require("nobody")
        assert device.register().status_code == 200

    def test_of_a_thief_with_the_token_is_nobodys(self, browser, owner, require, clock):
        thief = new_browser({REFRESH: browser.cookies[REFRESH].value})
        require()
        clock.forward(LONG)
        assert who(thief) is None
        for path in ("/api/auth/me", "/api/auth/sessions", "/api/auth/factors"):
            assert thief.get(path).status_code == 401
        assert post(thief, "/api/auth/reauthenticate", {"password": "wrong"}).status_code == 401
        assert thief.get("/sign-in").status_code == 200
        assert RefreshToken.objects.get().revoked_at is None
