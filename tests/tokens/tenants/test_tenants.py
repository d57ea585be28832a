"""Two tenants in one process: what belongs to one of them is neither found nor changed at the other."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import ProgrammingError, connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from accounts import links
from accounts.links import InvalidLink, Purpose
from tests.browsers import ACCESS, REFRESH, SESSION, AsyncBrowser, login, post
from tests.factories import PASSWORD
from tests.tokens.api.test_introspection import FORM, basic, digest
from tests.tokens.protocol.pems import pem
from tests.tokens.tenants import schemas
from tests.tokens.tenants.conftest import HERE, Site
from tests.tokens.tenants.schemas import FIRST, NAMES, SECOND, host, in_schema
from tokens import conf, monitoring, sessions
from tokens.conf import tenants
from tokens.hashers import Asker
from tokens.models import RefreshToken
from tokens.service import acknowledgements, triggers
from tokens.service.revocation import revoke_all
from tokens.service.revocation_feed import feed_of
from tokens.web import attempts
from tokens.web.django import django_session

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("postgresql"), pytest.mark.long]


def me(browser: Client) -> int:
    return browser.get("/api/auth/me").status_code


def with_cookies_of(other: Client, browser: Client) -> Client:
    """Return ``browser``, which has got the tokens of another one."""
    for name in (ACCESS, REFRESH):
        browser.cookies[name] = other.cookies[name].value
    return browser


def row(name: str) -> RefreshToken:
    with in_schema(name):
        return RefreshToken.objects.get()


def claims_of(browser: Client, name: str) -> Any:
    with tenants.entered(name):
        return conf.codec().loads_expired(browser.cookies[ACCESS].value).claims


class TestATokenNamesItsTenant:
    def test_in_a_claim(self, site):
        assert claims_of(site.signed_in(FIRST), FIRST)["latchkey_tenant"] == FIRST

    def test_and_without_tenants_there_is_no_claim(self, without_hook):
        assert "latchkey_tenant" not in claims_of(without_hook.signed_in(FIRST), "")

    def test_which_decides_where_both_have_the_same_key(self, site, settings):
        settings.TOKENS = {**settings.TOKENS, "SIGNING_KEYS": [pem("ES256")], "ALGORITHM": "ES256"}
        browser = site.signed_in(FIRST)
        site.copy()
        assert me(browser) == 200
        with tenants.entered(SECOND):
            assert list(conf.keyring().verifying_keys) == [key["kid"] for key in keys_at(site, FIRST)]
        assert me(with_cookies_of(browser, site.browser(SECOND))) == 401

    def test_also_before_and_after_the_hook_is_set(self, without_hook, settings):
        """With keys that stay the same, so that the claim decides."""
        settings.TOKENS = keys = {"SIGNING_KEYS": [pem("ES256")], "ALGORITHM": "ES256"}
        before = without_hook.signed_in(FIRST)
        settings.TOKENS = {**keys, "TENANT_HOOK": f"{HERE}.tenant_of"}
        after = without_hook.signed_in(FIRST)
        assert (me(with_cookies_of(before, without_hook.browser(FIRST))), me(after)) == (401, 200)
        settings.TOKENS = keys
        assert me(with_cookies_of(after, without_hook.browser(FIRST))) == 401

    def test_in_asgi_too(self, site):
        browser = site.signed_in(FIRST)
        site.copy()
        for name, status in ((FIRST, 200), (SECOND, 401), (FIRST, 200)):
            found = with_cookies_of(browser, AsyncBrowser(headers={"Host": host(name)}))
            assert me(found) == status

    def test_and_each_request_is_asked_once(self, site):
        browser = site.browser(FIRST)
        for _ in range(2):
            login(browser, site.user)
        me(browser)
        post(browser, "/api/auth/refresh")
        assert schemas.asked == ["/api/auth/login"] * 2 + ["/api/auth/me", "/api/auth/refresh"]

    def test_a_service_that_asks_at_another_tenant_is_told_nothing(self, site, settings):
        settings.TOKENS = {**settings.TOKENS, "INTROSPECTION_CLIENTS": [f"api:{digest('a secret of a service')}"]}
        token = site.signed_in(FIRST).cookies[ACCESS].value
        site.copy()
        body, authorization = urlencode({"token": token}), basic("api", "a secret of a service")
        answers = [
            site.browser(name).post(
                "/api/auth/introspect", body, content_type=FORM, headers={"Authorization": authorization}
            )
            for name in NAMES
        ]
        assert [answer.json()["active"] for answer in answers] == [True, False]


def keys_at(site: Site, name: str) -> Any:
    return site.browser(name).get("/.well-known/jwks.json").json()["keys"]


class TestKeys:
    def test_derived_ones_differ(self, site):
        first, second = (keys_at(site, name) for name in NAMES)
        assert [len(first), len(second), first == second] == [1, 1, False]

    def test_the_hook_gives_a_tenant_its_own(self, site, settings):
        settings.TOKENS = {**settings.TOKENS, "TENANT_KEYS": f"{HERE}.keys_of"}
        first, second = (keys_at(site, name) for name in NAMES)
        assert [key["alg"] for key in first + second] == ["EdDSA", "ES256"]
        browser = site.signed_in(SECOND)
        assert (me(browser), me(with_cookies_of(browser, site.browser(FIRST)))) == (200, 401)

    def test_no_metadata_names_them_because_the_issuer_is_the_same_for_all(self, site):
        assert site.browser(FIRST).get("/.well-known/oauth-authorization-server").status_code == 404

    def test_an_unusable_one_is_named_by_its_place(self):
        with pytest.raises(conf.tenants.ImproperlyConfigured, match=r"key 2 of 'first': not a PEM text"):
            tenants.keys_of(FIRST, ["derived", "/nowhere.pem"])

    def test_a_process_keeps_those_of_a_limited_number_of_tenants(self):
        for kept in (conf._keyring, conf.codec_of, feed_of):
            assert kept.cache_info().maxsize == tenants.KEPT


def by_staff() -> None:
    with in_schema(FIRST):
        revoke_all(RefreshToken.objects.live(), RefreshToken.Reason.ENDED_BY_STAFF)


def by_sql() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f'UPDATE "{FIRST}".accounts_user SET is_active = false')  # noqa: S608


class TestARevocation:
    @pytest.mark.parametrize("revoke", [by_staff, by_sql], ids=["by staff", "by SQL that changes the user"])
    def test_is_heard_at_its_own_tenant_although_the_other_reads_first(self, with_triggers, clock, revoke):
        """The cursor counts the transactions of the server, so a cursor of another schema passes by this revocation."""
        browsers = {name: with_triggers.signed_in(name) for name in NAMES}
        assert [me(browser) for browser in browsers.values()] == [200, 200]
        revoke()
        clock.forward(2)
        assert [me(browsers[SECOND]), me(browsers[FIRST])] == [200, 401]
        assert with_triggers.revoked() == {FIRST: 1, SECOND: 0}

    def test_by_the_access_token_of_another_tenant_is_none(self, site):
        browser = site.signed_in(FIRST)
        site.copy()
        other = with_cookies_of(browser, site.browser(SECOND))
        post(other, "/api/auth/logout")
        assert site.revoked() == {FIRST: 0, SECOND: 0}
        assert me(browser) == 200


class TestEachTenantHasItsOwn:
    def test_acknowledgements(self, site, clock):
        browser = site.signed_in(FIRST)
        site.copy()
        clock.forward(100)
        assert me(browser) == 200
        for name, is_written in ((SECOND, False), (FIRST, True)):
            with in_schema(name), tenants.entered(name):
                assert acknowledgements.flush() is is_written
        assert [row(name).acknowledged for name in NAMES] == [True, False]

    def test_throttles(self, site, throttled, settings):
        settings.TOKENS = {
            "TENANT_HOOK": f"{HERE}.tenant_of",
            "THROTTLES": {"sign_in_account": "3/1h", "sign_in_network": "3/1h"},
        }
        for _ in range(3):
            answer = sign_in(site.browser(FIRST), site.user, "wrong")
            assert answer.status_code == 401
        assert sign_in(site.browser(FIRST), site.user, PASSWORD).status_code == 429
        assert sign_in(site.browser(SECOND), site.user, PASSWORD).status_code == 200

    def test_places_to_wait_for_the_hasher(self, site, monkeypatch):
        """A network has one place for all tenants, because they share the processor."""
        askers: list[Asker] = []
        monkeypatch.setattr(attempts, "hashing_for", lambda asker: askers.append(asker) or nullcontext())
        for name in (FIRST, SECOND, FIRST):
            sign_in(site.browser(name), site.user, PASSWORD)
        first, second, again = (asker.account for asker in askers)
        assert first == again != second
        assert len({asker.network for asker in askers}) == 1

    def test_triggers(self, with_triggers):
        with in_schema(FIRST):
            assert triggers.are_installed("default")
        with connection.cursor() as cursor:
            cursor.execute(f'DROP TRIGGER tokens_user_changed ON "{SECOND}".accounts_user')
        with in_schema(SECOND):
            assert not triggers.are_installed("default")

    def test_memory_of_djangos_session_cookies(self, settings):
        """One that was examined at the first tenant may belong to somebody else at the second."""
        request: Any = RequestFactory().get("/")
        request.COOKIES[settings.SESSION_COOKIE_NAME] = "a-key-of-a-session"
        request.session = SessionStore("a-key-of-a-session")
        access: Any = SimpleNamespace(subject="1")
        with tenants.entered(FIRST):
            django_session._remember("a-key-of-a-session", "1", {})
        for name, is_possible in ((FIRST, False), (SECOND, True), ("", True)):
            with tenants.entered(name):
                assert django_session.may_have_another_user(request, access) is is_possible

    def test_turns(self):
        """Otherwise a transaction of one tenant would wait for another's about the same address."""
        found = []
        for name in (FIRST, SECOND, FIRST):
            with tenants.entered(name), CaptureQueriesContext(connection) as queries:
                sessions.take_turns("a@example.org")
            found.append(queries[0]["sql"])
        assert found[0] == found[2] != found[1]

    def test_links_in_mails(self):
        with sessions.enter_tenant(FIRST):
            token = links.make(Purpose.PASSWORD_RESET, 1)
            assert links.read(token, Purpose.PASSWORD_RESET).key == "1"
        for other in (SECOND, ""):
            with tenants.entered(other), pytest.raises(InvalidLink):
                links.read(token, Purpose.PASSWORD_RESET)


def sign_in(browser: Client, user: Any, password: str) -> Any:
    return post(browser, "/api/auth/login", {"email": user.email, "password": password})


class TestTheStatementThatRotates:
    def test_selects_the_schema_of_its_own_request(self, without_hook, clock):
        """It is the first statement of the request. Without the selection it would find the row of the last one."""
        browser = without_hook.signed_in(FIRST)
        clock.forward(100)
        assert post(browser, "/api/auth/refresh").status_code == 200
        clock.forward(100)
        other = without_hook.browser(SECOND)
        other.cookies[REFRESH] = browser.cookies[REFRESH].value
        with in_schema(FIRST):
            RefreshToken.objects.get()
        assert post(other, "/api/auth/refresh").status_code == 401
        assert row(FIRST).generation == 1


def test_a_database_whose_public_schema_has_no_tables_of_ours_is_up(monkeypatch):
    def fails() -> None:
        raise ProgrammingError('relation "tokens_purge" does not exist')

    monkeypatch.setattr(monitoring._last_purge, "answer", fails)
    assert "latchkey_database_up 1.0" in Client().get("/metrics").text


class TestASignInOutsideOfTheMiddleware:
    def test_is_opened_by_the_next_request_for_its_tenant(self, site, settings):
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
        browser = site.browser(FIRST)
        with in_schema(FIRST):
            browser.force_login(site.user)
        assert me(browser) == 200
        assert row(FIRST).user_id == site.user.pk
        assert claims_of(browser, FIRST)["latchkey_tenant"] == FIRST

    @pytest.mark.parametrize(
        ("engine", "status"), [("db", 401), ("signed_cookies", 200)], ids=["in a table", "in a cookie"]
    )
    def test_is_as_much_its_tenants_own_as_djangos_sessions_are(self, site, settings, engine, status):
        """The same user, with the same password hash, is in both schemas."""
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
        browser, elsewhere = site.browser(FIRST), site.browser(SECOND)
        with in_schema(FIRST):
            browser.force_login(site.user)
        elsewhere.cookies[SESSION] = browser.cookies[SESSION].value
        assert me(elsewhere) == status

    @pytest.mark.parametrize("engine", ["db", "cache", "signed_cookies"])
    def test_is_not_good_elsewhere_once_it_has_passed_the_middleware(self, site, settings, engine):
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
        browser, elsewhere = site.signed_in(FIRST), site.browser(SECOND)
        site.copy()
        elsewhere.cookies[SESSION] = browser.cookies[SESSION].value
        assert me(elsewhere) == 401


def test_a_token_without_a_tenant_is_nobodys_although_the_hook_was_asked_too_early(site, settings):
    settings.TOKENS = {
        **settings.TOKENS,
        "TENANT_HOOK": f"{HERE}.tenant_or_none",
        "SIGNING_KEYS": [pem("ES256")],
        "ALGORITHM": "ES256",
    }
    settings.MIDDLEWARE = [f"{HERE}.checks_a_password", *settings.MIDDLEWARE]
    outside = site.signed_in("public")
    token = {"Authorization": f"Bearer {outside.cookies[ACCESS].value}"}
    with connection.cursor() as cursor:
        for table in ("tokens_device", "tokens_refreshtoken"):
            cursor.execute(f'INSERT INTO "{FIRST}"."{table}" SELECT * FROM public."{table}"')  # noqa: S608
    for more in ({}, {"X-Password": "wrong"}):
        assert site.browser(FIRST).get("/api/auth/me", headers={**token, **more}).status_code == 401


def test_a_hook_that_returns_no_name_is_an_error(site, settings, monkeypatch):
    """An object would be another tenant in each request."""
    monkeypatch.setattr(schemas, "tenant_of", lambda request: object())
    with pytest.raises(conf.tenants.ImproperlyConfigured, match="must return a string or None, and not object"):
        me(site.browser(FIRST))
