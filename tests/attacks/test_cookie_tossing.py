"""Cookie tossing: what a sibling host can set in somebody's browser, and what comes of it here.

A sibling host, or whoever answers plain http in its name, may set any cookie for the whole site but those whose name
begins with ``__Host-``. The browser is to see to that, by the name as it is written.
"""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import signing
from django.core.handlers.wsgi import WSGIRequest as DjangosRequest
from django.test import Client
from django.test import client as djangos_client

from config.requests import ASGIRequest, WSGIRequest
from tests.browsers import ACCESS, DEVICE, REFRESH, login
from tests.factories import PASSWORD, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

SITE_ACCESS, SCOPED_REFRESH = "__Secure-access", "__Secure-refresh"
SPACES = ["\u2000", "\u3000", "\u00a0", "\u0085", "\u2028", "\u1680", "\x1c", "\x1f", "\x0b", "\x0c"]
"""What `str.strip` takes off. Of the last four no browser takes a cookie, but programs in between might."""
SPELLINGS = [
    f"{before}{{}}{behind}" for space in SPACES for before, behind in [(space, ""), ("", space), (space, space)]
]


def send(method: str, path: str, *cookies: tuple[str, str]) -> Any:
    """A request with this Cookie header and nothing else of the browser's, as a server gets it: bytes in UTF-8."""
    header = "; ".join(f"{name}={value}" for name, value in cookies).encode().decode("latin-1")
    return Client().generic(method, path, content_type="application/json", headers={"Cookie": header})


def pk_of(answer: Any) -> str | None:
    found: str | None = answer.json()["pk"]
    return found


@pytest.fixture
def attacker(another: Callable[[], Client]) -> Client:
    """Has an account here too, and wants others to use it unawares."""
    browser = another()
    login(browser, UserFactory(email="attacker@example.org"))
    return browser


@pytest.mark.parametrize("name", [ACCESS, REFRESH])
def test_a_name_that_only_looks_like_ours_signs_nobody_in(attacker, name):
    for spelling in SPELLINGS:
        tossed = (spelling.format(name), attacker.cookies[name].value)
        assert pk_of(send("GET", "/probe/who", tossed)) is None, ascii(spelling)
        assert send("POST", "/api/auth/refresh", tossed).status_code == 401, ascii(spelling)


def test_nor_does_it_take_the_place_of_ours(api, user, attacker):
    login(api, user)
    own = (ACCESS, api.cookies[ACCESS].value)
    for spelling in SPELLINGS:
        tossed = (spelling.format(ACCESS), attacker.cookies[ACCESS].value)
        for cookies in [(own, tossed), (tossed, own), (tossed, own, tossed)]:
            assert pk_of(send("GET", "/probe/who", *cookies)) == str(user.pk), ascii(spelling)


def test_nor_is_it_taken_for_the_device(user, attacker):
    for spelling in SPELLINGS:
        tossed = (spelling.format(DEVICE), attacker.cookies[DEVICE].value)
        header = "=".join(tossed).encode().decode("latin-1")
        victim = Client(headers={"Cookie": header})
        login(victim, user)
        assert victim.cookies[DEVICE].value != attacker.cookies[DEVICE].value


def test_of_two_of_a_name_neither_counts(api, user, attacker):
    """The order in a header says nothing: the longest path comes first, and a sibling chooses the path."""
    login(api, user)
    own, tossed = [(ACCESS, browser.cookies[ACCESS].value) for browser in (api, attacker)]
    for cookies in [(own, tossed), (tossed, own)]:
        assert pk_of(send("GET", "/probe/who", *cookies)) is None


def test_a_tossed_access_cookie_leaves_the_refresh_cookie_to_say_who_it_is(api, user, attacker):
    login(api, user)
    own, tossed = [(ACCESS, browser.cookies[ACCESS].value) for browser in (api, attacker)]
    refresh = (REFRESH, api.cookies[REFRESH].value)
    assert pk_of(send("GET", "/probe/who", tossed, own, refresh)) == str(user.pk)


def test_a_tossed_refresh_cookie_of_scoped_mode_ends_nobodys_session(api, user, another, settings):
    """``__Secure-refresh`` has no Domain, and no prefix that keeps siblings from setting another beside it."""
    settings.TOKENS = {"MODES": ["scoped"]}
    intruder = another()
    login(intruder, UserFactory(email="intruder@example.org"))
    login(api, user)
    own, tossed = [(SCOPED_REFRESH, browser.cookies[SCOPED_REFRESH].value) for browser in (api, intruder)]
    for cookies in [(own, tossed), (tossed, own)]:
        answer = send("POST", "/api/auth/refresh", *cookies)
        assert (answer.status_code, answer.cookies) == (401, {})
    assert send("POST", "/api/auth/refresh", own).status_code == 200


def test_a_cookie_without_a_name_is_none_of_ours(api, user, attacker):
    """Browsers send the cookie ``=text`` as ``text``; they refuse one whose text begins with a prefix, or should."""
    login(api, user)
    own = f"{ACCESS}={api.cookies[ACCESS].value}"
    for nameless in [ACCESS, f"={ACCESS}={attacker.cookies[ACCESS].value}", "=", ""]:
        for header in [f"{own}; {nameless}", f"{nameless}; {own}"]:
            assert pk_of(Client().get("/probe/who", headers={"Cookie": header})) == str(user.pk)


@pytest.mark.parametrize("name", [ACCESS.lower(), ACCESS.upper(), f"${ACCESS}", f"{ACCESS}[]", f'"{ACCESS}"', "access"])
def test_no_other_spelling_is_ours(attacker, name):
    assert pk_of(send("GET", "/probe/who", (name, attacker.cookies[ACCESS].value))) is None


def test_a_sibling_who_sets_the_sites_access_cookie_signs_nobody_in_on_the_auth_host(api, user, another, settings):
    """In ``subdomain`` mode the access cookie is the site's; where there is one of this host alone, that one counts."""
    settings.ORIGIN = "https://testserver.example.org"
    settings.ALLOWED_HOSTS = ["*"]
    settings.TOKENS = {"MODES": ["cookie", "subdomain"], "COOKIE_DOMAIN": "example.org"}
    intruder = another()
    login(intruder, UserFactory(email="intruder@example.org"), mode="subdomain")
    login(api, user)
    own, tossed = (ACCESS, api.cookies[ACCESS].value), (SITE_ACCESS, intruder.cookies[SITE_ACCESS].value)
    for cookies in [(own, tossed), (tossed, own)]:
        assert pk_of(send("GET", "/probe/who", *cookies)) == str(user.pk)


CSRF, SESSION = django_settings.CSRF_COOKIE_NAME, django_settings.SESSION_COOKIE_NAME
RAW = [b"\xa0", b"\x85"]
"""Blanks of Latin-1 that are no UTF-8. Chromium keeps a cookie whose name begins with one."""
BLANKS = [*(space.encode() for space in SPACES), *RAW]


def by_wsgi(cookies: bytes) -> dict[str, str]:
    environ = {"REQUEST_METHOD": "GET", "wsgi.input": io.BytesIO(), "HTTP_COOKIE": cookies.decode("latin-1")}
    return WSGIRequest(environ).COOKIES


def by_asgi(cookies: bytes) -> dict[str, str]:
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"cookie", cookies)]}
    return ASGIRequest(scope, io.BytesIO()).COOKIES


class TestDjangosOwnCookies:
    """Its CSRF cookie and its session's have the prefix too, and the project's requests hold the browser to it."""

    @pytest.mark.parametrize("read", [by_wsgi, by_asgi])
    @pytest.mark.parametrize("blank", BLANKS, ids=ascii)
    def test_are_read_by_their_very_names(self, read, blank):
        own = b"__Host-csrf=own; timezone=Europe/Berlin; odd"
        for name in (blank + b"__Host-csrf", b"__Host-csrf" + blank, blank + b"__Host-csrf" + blank):
            tossed = name + b"=tossed"
            assert read(tossed) == {}
            for header in (own + b"; " + tossed, tossed + b";\t" + own, tossed + b"; " + own + b";" + tossed):
                assert read(header) == {"__Host-csrf": "own", "timezone": "Europe/Berlin", "": "odd"}

    @pytest.mark.parametrize("read", [by_wsgi, by_asgi])
    @pytest.mark.parametrize("value", ["ümlaut", "\u2000", "\x7f", '"quoted"'], ids=ascii)
    def test_may_hold_what_they_like(self, read, value):
        assert set(read(f"theme={value}; __Host-csrf=own".encode())) == {"theme", "__Host-csrf"}

    @pytest.fixture(params=[WSGIRequest, DjangosRequest], ids=["ours", "Django's"])
    def is_ours(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
        """Whether requests are read as the project's applications read them, or as Django does: there it works."""
        monkeypatch.setattr(djangos_client, "WSGIRequest", request.param)
        return bool(request.param is WSGIRequest)

    def test_a_planted_csrf_cookie_is_none(self, is_ours, user):
        """The attacker fetches a form, plants its cookie, and has the victim send the token that belongs to it."""
        form = Client().get("/sign-in", secure=True)
        data = {"username": user.email, "password": PASSWORD, "csrfmiddlewaretoken": str(form.context["csrf_token"])}
        cookie = f"\u2000{CSRF}={form.cookies[CSRF].value}".encode().decode("latin-1")
        ours = {"Cookie": cookie, "Referer": "https://testserver/sign-in"}
        victim = Client(enforce_csrf_checks=True)
        answer = victim.post("/sign-in", data, headers=ours, secure=True)
        assert answer.status_code == (403 if is_ours else 302)

    def test_nor_would_it_be_enough(self, is_ours, user):
        """A sibling host cannot say that it is ours: its forms are refused by where they come from."""
        form = Client().get("/sign-in", secure=True)
        data = {"username": user.email, "password": PASSWORD, "csrfmiddlewaretoken": str(form.context["csrf_token"])}
        cookie = f"{CSRF}={form.cookies[CSRF].value}"  # As if it could plant the very name.
        victim = Client(enforce_csrf_checks=True)
        for sender in (
            {"Origin": "https://sibling.testserver", "Sec-Fetch-Site": "same-site"},
            {"Origin": "https://sibling.testserver"},
            {"Origin": "null"},
            {"Referer": "https://sibling.testserver/"},
            {},
        ):
            answer = victim.post("/sign-in", data, headers={"Cookie": cookie, **sender}, secure=True)
            assert answer.status_code == 403, sender

    def test_a_planted_session_of_djangos_signs_nobody_in(self, is_ours):
        """One that is not moved over yet would be, and the victim would be there as the attacker."""
        evil = UserFactory()
        attacker = Client()
        attacker.force_login(evil, backend="django.contrib.auth.backends.ModelBackend")
        tossed = (f"\u2000{SESSION}", attacker.cookies[SESSION].value)
        assert pk_of(send("GET", "/probe/who", tossed)) == (None if is_ours else str(evil.pk))

    def test_what_is_shown_to_somebody_is_not_planted_either(self, is_ours, user):
        """What a page says once, "you are signed out everywhere else" say, is in the session and in no other cookie."""
        attacker, victim = Client(), Client()
        login(attacker, user)
        said = attacker.post("/sessions/end-others")
        assert [name for name in said.cookies if not name.startswith("__Host-")] == []
        assert signing.loads(said.cookies[SESSION].value, salt="django.contrib.sessions.backends.signed_cookies")[
            "_messages"
        ]
        tossed = f"\u2000{SESSION}={said.cookies[SESSION].value}".encode().decode("latin-1")
        login(victim, UserFactory())
        own = "; ".join(f"{name}={cookie.value}" for name, cookie in victim.cookies.items())
        page = Client().get("/", headers={"Cookie": f"{own}; {tossed}"}).content.decode()
        assert ("signed out everywhere else" in page) is not is_ours
