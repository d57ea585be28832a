"""Cookie tossing: an attacker sets cookies for this site from a sibling host.

A sibling host, or an attacker who answers plain http in its name, can set any cookie for the whole site, except cookies
whose name begins with ``__Host-``. The browser compares the name as it is written, so the server must do the same.
"""

import io
from collections.abc import Iterable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import signing
from django.core.handlers.wsgi import WSGIRequest as DjangosRequest
from django.test import Client
from django.test import client as djangos_client

from tests.browsers import ACCESS, DEVICE, REFRESH, login
from tests.factories import PASSWORD, UserFactory
from tests.tokens.web_steps import signed_in_as
from tokens.web.requests import ASGIRequest, WSGIRequest

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls("tests.urls")]

SITE_ACCESS, SCOPED_REFRESH = "__Secure-access", "__Http-refresh"
SPACES = ["\u2000", "\u3000", "\u00a0", "\u0085", "\u2028", "\u1680", "\x1c", "\x1f", "\x0b", "\x0c"]
"""Characters that `str.strip` removes. No browser accepts a cookie with one of the last four, but a proxy might."""
SPELLINGS = [spelling for space in SPACES for spelling in (f"{space}{{}}", f"{{}}{space}", f"{space}{{}}{space}")]

Cookie = tuple[str, str]


def header_of(*cookies: Cookie) -> dict[str, str]:
    """Return a Cookie header as a server receives it: bytes in UTF-8, which Django decodes as Latin-1."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies).encode().decode("latin-1")}


def send(method: str, path: str, *cookies: Cookie) -> Any:
    """Send a request with these cookies and no others."""
    return Client().generic(method, path, content_type="application/json", headers=header_of(*cookies))


def user_of(*cookies: Cookie) -> str | None:
    """Return the primary key of the user whom a request with these cookies belongs to."""
    found: str | None = send("GET", "/probe/who", *cookies).json()["pk"]
    return found


def cookie_of(browser: Client, name: str) -> Cookie:
    return name, browser.cookies[name].value


def in_both_orders(one: Cookie, other: Cookie) -> Iterable[tuple[Cookie, Cookie]]:
    """The order in a header proves nothing: the longest path comes first, and a sibling host chooses the path."""
    return (one, other), (other, one)


@pytest.fixture
def attacker() -> Client:
    """The browser of an attacker who has an account here, so that its cookies are valid ones."""
    return signed_in_as(UserFactory(email="attacker@example.org"))


@pytest.mark.parametrize("name", [ACCESS, REFRESH])
def test_a_cookie_whose_name_only_resembles_ours_signs_no_user_in(attacker, name):
    for spelling in SPELLINGS:
        tossed = (spelling.format(name), attacker.cookies[name].value)
        assert user_of(tossed) is None, ascii(spelling)
        assert send("POST", "/api/auth/refresh", tossed).status_code == 401, ascii(spelling)


def test_a_cookie_whose_name_only_resembles_ours_does_not_replace_ours(signed_in, user, attacker):
    own = cookie_of(signed_in, ACCESS)
    for spelling in SPELLINGS:
        tossed = (spelling.format(ACCESS), attacker.cookies[ACCESS].value)
        for cookies in [*in_both_orders(own, tossed), (tossed, own, tossed)]:
            assert user_of(*cookies) == str(user.pk), ascii(spelling)


def test_a_cookie_whose_name_only_resembles_ours_is_not_used_as_the_device_cookie(user, attacker):
    for spelling in SPELLINGS:
        victim = Client(headers=header_of((spelling.format(DEVICE), attacker.cookies[DEVICE].value)))
        login(victim, user)
        assert victim.cookies[DEVICE].value != attacker.cookies[DEVICE].value


def test_two_cookies_of_the_same_name_are_both_ignored(signed_in, attacker):
    for cookies in in_both_orders(cookie_of(signed_in, ACCESS), cookie_of(attacker, ACCESS)):
        assert user_of(*cookies) is None


def test_with_two_access_cookies_the_refresh_cookie_identifies_the_user(signed_in, user, attacker):
    own, tossed = cookie_of(signed_in, ACCESS), cookie_of(attacker, ACCESS)
    assert user_of(tossed, own, cookie_of(signed_in, REFRESH)) == str(user.pk)


def test_a_cookie_without_a_name_is_ignored(signed_in, user, attacker):
    """Browsers send the cookie ``=text`` as ``text``. They should reject one whose text begins with a prefix."""
    own = "=".join(cookie_of(signed_in, ACCESS))
    for nameless in [ACCESS, f"={ACCESS}={attacker.cookies[ACCESS].value}", "=", ""]:
        for header in [f"{own}; {nameless}", f"{nameless}; {own}"]:
            assert Client().get("/probe/who", headers={"Cookie": header}).json()["pk"] == str(user.pk)


@pytest.mark.parametrize("name", [ACCESS.lower(), ACCESS.upper(), f"${ACCESS}", f"{ACCESS}[]", f'"{ACCESS}"', "access"])
def test_no_other_spelling_of_the_name_is_accepted(attacker, name):
    assert user_of((name, attacker.cookies[ACCESS].value)) is None


def test_on_the_auth_host_its_own_access_cookie_counts_before_that_of_the_site(api, user, settings):
    """In ``subdomain`` mode the access cookie belongs to the whole site, so a sibling host can set it."""
    settings.ORIGIN = "https://testserver.example.org"
    settings.ALLOWED_HOSTS = ["*"]
    settings.TOKENS = {"MODES": ["cookie", "subdomain"], "COOKIE_DOMAIN": "example.org"}
    attacker = signed_in_as(UserFactory(), mode="subdomain")
    login(api, user)
    for cookies in in_both_orders(cookie_of(api, ACCESS), cookie_of(attacker, SITE_ACCESS)):
        assert user_of(*cookies) == str(user.pk)


CSRF, SESSION = django_settings.CSRF_COOKIE_NAME, django_settings.SESSION_COOKIE_NAME
BLANKS = [*(space.encode() for space in SPACES), b"\xa0", b"\x85"]
"""The last two are spaces of Latin-1 and invalid UTF-8. Chromium accepts a cookie whose name begins with one."""


def by_wsgi(cookies: bytes) -> dict[str, str]:
    environ = {"REQUEST_METHOD": "GET", "wsgi.input": io.BytesIO(), "HTTP_COOKIE": cookies.decode("latin-1")}
    return WSGIRequest(environ).COOKIES


def by_asgi(cookies: bytes) -> dict[str, str]:
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"cookie", cookies)]}
    return ASGIRequest(scope, io.BytesIO()).COOKIES


class TestDjangosOwnCookies:
    """Django's CSRF and session cookies have the prefix as well. The project's request classes compare the exact name.

    Where a test is run with Django's own request class, too, the attack works there. This proves that it is a real one.
    """

    @pytest.mark.parametrize("read", [by_wsgi, by_asgi])
    @pytest.mark.parametrize("blank", BLANKS, ids=lambda blank: f"the bytes {blank.hex(' ')}")
    def test_are_read_by_their_very_names(self, read, blank):
        own = b"__Host-csrf=own; timezone=Europe/Berlin; odd"
        for name in (blank + b"__Host-csrf", b"__Host-csrf" + blank, blank + b"__Host-csrf" + blank):
            tossed = name + b"=tossed"
            assert read(tossed) == {}
            for header in (own + b"; " + tossed, tossed + b";\t" + own, tossed + b"; " + own + b";" + tossed):
                assert read(header) == {"__Host-csrf": "own", "timezone": "Europe/Berlin", "": "odd"}

    @pytest.mark.parametrize("read", [by_wsgi, by_asgi])
    @pytest.mark.parametrize(
        "value", ["ümlaut", "\u2000", "\x7f", '"quoted"'], ids=["a letter", "a space", "DEL", "quotes"]
    )
    def test_are_read_next_to_a_cookie_with_any_value(self, read, value):
        assert set(read(f"theme={value}; __Host-csrf=own".encode())) == {"theme", "__Host-csrf"}

    @pytest.fixture(params=[WSGIRequest, DjangosRequest], ids=["ours", "Django's"])
    def is_ours(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
        """Whether the project's request class reads the cookies, or Django's.

        With Django's the attack must succeed. Without that control a test could pass because its attack is broken.
        """
        monkeypatch.setattr(djangos_client, "WSGIRequest", request.param)
        return bool(request.param is WSGIRequest)

    @pytest.fixture
    def form(self, user: Any) -> tuple[str, dict[str, str]]:
        """The attacker's CSRF cookie, and the sign-in form of the victim with the token that belongs to the cookie.

        With a token of another cookie the form would be rejected for that reason, and the attack would not be tested.
        """
        form = Client().get("/sign-in", secure=True)
        data = {"username": user.email, "password": PASSWORD, "csrfmiddlewaretoken": str(form.context["csrf_token"])}
        return form.cookies[CSRF].value, data

    def test_a_planted_csrf_cookie_is_ignored(self, is_ours, form):
        value, data = form
        headers = {**header_of((f"\u2000{CSRF}", value)), "Referer": "https://testserver/sign-in"}
        answer = Client(enforce_csrf_checks=True).post("/sign-in", data, headers=headers, secure=True)
        assert answer.status_code == (403 if is_ours else 302)

    ELSEWHERE = {
        "today's browser": {"Origin": "https://sibling.testserver", "Sec-Fetch-Site": "same-site"},
        "an older browser": {"Origin": "https://sibling.testserver"},
        "a page without an origin": {"Origin": "null"},
        "a browser that sends no origin": {"Referer": "https://sibling.testserver/"},
        "a browser that sends neither": {},
    }

    @pytest.mark.parametrize("sender", ELSEWHERE.values(), ids=ELSEWHERE)
    def test_a_form_of_a_sibling_host_is_rejected_even_with_a_csrf_cookie_of_the_exact_name(
        self, is_ours, form, sender
    ):
        value, data = form
        headers = {**header_of((CSRF, value)), **sender}
        answer = Client(enforce_csrf_checks=True).post("/sign-in", data, headers=headers, secure=True)
        assert answer.status_code == 403

    def test_a_planted_session_cookie_of_django_signs_no_user_in(self, is_ours):
        """A session that was not moved over yet would be, and the victim would be signed in as the attacker."""
        evil = UserFactory()
        attacker = Client()
        attacker.force_login(evil, backend="django.contrib.auth.backends.ModelBackend")
        planted = (f"\u2000{SESSION}", attacker.cookies[SESSION].value)
        assert user_of(planted) == (None if is_ours else str(evil.pk))

    def test_a_planted_message_is_not_shown(self, is_ours, user):
        """Messages such as "you are signed out everywhere else" are in Django's session and in no other cookie."""
        attacker, victim = signed_in_as(user), signed_in_as(UserFactory())
        answer = attacker.post("/sessions/end-others")
        assert [name for name in answer.cookies if not name.startswith("__Host-")] == []
        value = answer.cookies[SESSION].value
        assert signing.loads(value, salt="django.contrib.sessions.backends.signed_cookies")["_messages"]
        cookies = [cookie_of(victim, name) for name in victim.cookies]
        page = Client().get("/", headers=header_of(*cookies, (f"\u2000{SESSION}", value))).content.decode()
        # With Django's request class the planted session counts, but it belongs to another person than the tokens.
        assert "signed out everywhere else" not in page
