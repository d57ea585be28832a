"""The language of a response is the one that Django's own middleware would choose."""

import pytest
from django.conf import settings as django_settings
from django.test import Client, override_settings

OURS, DJANGOS = "config.languages.LanguageMiddleware", "django.middleware.locale.LocaleMiddleware"


@pytest.mark.parametrize("path", ["/api/auth/me", "/de/nothing"])
@pytest.mark.parametrize(
    ("accepted", "cookie"),
    [("de-AT,en;q=0.5", ""), ("fr", "de"), ("de", "xx"), ("", "")],
    ids=["by the header", "by the cookie", "by a cookie of an unknown language", "by neither"],
)
def test_the_language_is_the_one_of_djangos_middleware(path, accepted, cookie):
    found = []
    for middleware in (OURS, DJANGOS):
        names = [middleware if name == OURS else name for name in django_settings.MIDDLEWARE]
        with override_settings(MIDDLEWARE=names):
            client = Client(headers={"Accept-Language": accepted})
            client.cookies[django_settings.LANGUAGE_COOKIE_NAME] = cookie
            response = client.get(path)
        found.append((response.status_code, response["Content-Language"], response["Vary"], response.content))
    assert found[0] == found[1]


def test_the_project_uses_it():
    assert OURS in django_settings.MIDDLEWARE
