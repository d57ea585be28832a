"""Several ``Cookie`` headers of one request, as HTTP/2 allows them, with Django's own request class for ASGI."""

import json
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.test.client import AsyncClientHandler, AsyncRequestFactory, Client

from tests.attacks.test_cookie_tossing import cookie_of
from tests.browsers import ACCESS, REFRESH
from tests.tokens.web import django_session_urls
from tests.tokens.web_steps import EXPIRED
from tokens.web.requests import ASGIRequest

pytestmark = [pytest.mark.django_db, pytest.mark.urls(django_session_urls.__name__), pytest.mark.at_length_on("sqlite")]

SESSION = django_settings.SESSION_COOKIE_NAME


def answer(path: str, cookies: Iterable[str]) -> Any:
    """Return the response to a request with a header for each of these."""
    scope = AsyncRequestFactory()._base_scope(path=path)
    headers = [header for header in scope["headers"] if header[0] != b"cookie"]
    scope["headers"] = [*headers, *((b"cookie", cookie.encode()) for cookie in cookies)]
    return async_to_sync(AsyncClientHandler(enforce_csrf_checks=False))(scope)


def said(response: Any) -> Any:
    return json.loads(response.content)


def split(browser: Client) -> list[str]:
    return ["=".join(cookie_of(browser, name)) for name in browser.cookies]


def test_are_read_as_one(clock, signed_in, user):
    for cookies in (split(signed_in), split(signed_in)[::-1], [*split(signed_in), "last=1"]):
        assert said(answer("/probe/who", cookies))["pk"] == str(user.pk)
    clock.forward(EXPIRED)
    response = answer("/probe/who", split(signed_in))
    assert said(response)["pk"] == str(user.pk)
    assert {ACCESS, REFRESH} <= set(response.cookies)


def test_djangos_session_is_read_from_them_too(signed_in):
    signed_in.get("/probe/store/mine")
    for cookies in (split(signed_in), split(signed_in)[::-1]):
        assert said(answer("/probe/seen", cookies)) == signed_in.get("/probe/seen").json()


def test_a_comma_in_a_value_separates_nothing(signed_in, user):
    own = "; ".join(split(signed_in))
    for cookies in ([f'{own}; json={{"a":1,"b":2}}'], [own, "list=1,2", f"more=x,{ACCESS}=y"]):
        assert said(answer("/probe/who", cookies))["pk"] == str(user.pk)


def test_the_projects_own_request_class_reads_them_before_any_middleware():
    headers = [(b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")]
    request = ASGIRequest({"type": "http", "method": "GET", "path": "/", "headers": headers}, BytesIO())
    assert (request.COOKIES, request.META["HTTP_COOKIE"]) == ({"a": "1", "b": "2"}, "a=1; b=2")
    assert request.META["HTTP_X"] == "y"
