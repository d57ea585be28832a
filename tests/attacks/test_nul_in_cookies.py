"""A cookie whose value has a NUL: Django reads one from an octal escape, and PostgreSQL takes none in a text."""

from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client

from tests.browsers import AsyncBrowser, login, post
from tests.tokens.web.http.test_cookie_headers import answer
from tests.tokens.web_steps import who

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.only_on("postgresql"),
    pytest.mark.urls("tests.tokens.web.compatibility_urls"),
]
SESSION = django_settings.SESSION_COOKIE_NAME
NUL = '"aaaaaaaaaaaaaaaa\\000"'


@pytest.mark.parametrize("engine", ["db", "cached_db"])
@pytest.mark.parametrize("client", [Client, AsyncBrowser])
@pytest.mark.parametrize("path", ["/probe/who", "/probe/count", "/api/auth/me", "/sign-in"])
def test_in_djangos_session_cookie_is_no_error_of_the_server(settings: Any, engine, client, path):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    response = client().get(path, headers={"Cookie": f"{SESSION}={NUL}"})
    assert response.status_code < 500


@pytest.mark.parametrize(
    "cookies", [["a=1", f"{SESSION}={NUL}"], [f"{SESSION}={NUL}", "a=1"]], ids=["the last", "the first"]
)
def test_in_one_of_several_headers_is_none_either(settings, cookies):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    assert answer("/probe/who", cookies).status_code == 200


def test_in_djangos_session_cookie_leaves_the_user_signed_in(api, user, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    login(api, user)
    api.cookies[SESSION] = "aaaaaaaaaaaaaaaa\0"
    assert who(api) == str(user.pk)
    assert post(api, "/api/auth/logout").status_code == 204
