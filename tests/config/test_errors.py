"""What people are shown when it goes wrong: a page that needs neither the database nor who asks."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client, override_settings

from tests.browsers import ACCESS, AsyncBrowser, login
from tests.factories import PASSWORD

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
JSON = {"Accept": "application/json"}
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "worker-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}


@pytest.fixture(params=[Client, AsyncBrowser], ids=["WSGI", "ASGI"])
def browser(request: pytest.FixtureRequest) -> Client:
    """A browser at either kind of server."""
    client: Client = request.param(raise_request_exception=False, headers=HTML)
    return client


def page(response: Any, status: int) -> str:
    """Hold the answer to being a page of its own with our policy, and return it."""
    assert response.status_code == status
    assert response["Content-Type"] == "text/html; charset=utf-8"
    assert set(response["Content-Security-Policy"].split("; ")) == POLICY
    assert {"Accept", "Accept-Language"} <= set(response["Vary"].split(", "))
    html: str = response.content.decode()
    assert f"Error {status}" in html
    assert "Sign out" not in html
    return html


def test_what_is_not_there_is_a_page(browser):
    assert "There is nothing here." in page(browser.get("/nothing"), 404)


@pytest.mark.django_db
def test_it_is_the_same_page_for_whoever_is_signed_in(api, user):
    stranger = Client().get("/nothing", headers=HTML)
    login(api, user)
    assert api.get("/nothing", headers=HTML).content == stranger.content


def test_a_method_that_is_not_there_is_a_page(browser):
    response = browser.get("/sign-out")
    page(response, 405)
    assert response["Allow"] == "POST, OPTIONS"
    assert browser.get("/sign-out", headers=JSON).json()["code"] == "method_not_allowed"


@pytest.mark.django_db
def test_a_method_that_is_not_there_does_not_cost_the_refreshed_tokens(api, user, clock):
    login(api, user)
    clock.forward(601)
    response = api.get("/sign-out", headers=HTML)
    page(response, 405)
    assert ACCESS in response.cookies


def test_a_form_without_its_token_is_a_page_that_says_what_to_do():
    strict = Client(enforce_csrf_checks=True)
    given = {"username": "somebody@example.org", "password": PASSWORD}
    assert "Load its page anew" in page(strict.post("/sign-in", given, headers=HTML), 403)
    assert strict.post("/sign-in", given, headers=JSON).json()["code"] == "form_outdated"


@pytest.mark.django_db
def test_a_request_of_another_site_is_a_page(browser, user):
    login(browser, user)
    response = browser.post("/sign-in", headers={"Origin": "https://evil.test"})
    assert "another origin" in page(response, 403)


def test_what_cannot_be_read_is_a_page(browser):
    page(browser.get("/", headers={"Host": "evil.test"}), 400)


@override_settings(ROOT_URLCONF="tests.urls")
def test_a_bug_is_a_page_that_can_be_asked_for_again(browser):
    html = page(browser.get("/probe/fails"), 500)
    assert 'href=""' in html
    assert "a bug" not in html


@pytest.mark.django_db
def test_an_outage_is_a_page_that_can_be_asked_for_again(browser, user, clock, monkeypatch):
    login(browser, user)
    clock.forward(601)
    monkeypatch.setattr("django.db.backends.utils.CursorWrapper._execute_with_wrappers", _down)
    response = browser.get("/")
    html = page(response, 503)
    assert 'href=""' in html
    assert response["Retry-After"] == "2"
    assert 'href=""' not in page(browser.post("/sign-out"), 503), "A form is not sent again by a link."


def _down(*given: Any, **more: Any) -> None:
    raise OperationalError("the database is down")


@pytest.mark.parametrize("accept", ["*/*", "", "image/png", "text/plain"])
def test_who_does_not_ask_for_a_page_gets_a_line(accept):
    response = Client().get("/nothing", headers={"Accept": accept})
    assert (response.status_code, response.content) == (404, b"There is nothing here.\n")


def test_over_tls_a_browser_is_told_to_stay_there():
    assert Client().get("/nothing", secure=True)["Strict-Transport-Security"] == f"max-age={365 * 86400}"


@pytest.mark.parametrize("path", ["/", "/sign-in", "/register", "/mail-sent", "/api/docs", "/admin/login/", "/api/x"])
@pytest.mark.django_db
def test_every_answer_has_our_policy_and_what_django_sets(path):
    response = Client().get(path, secure=True)
    assert set(response["Content-Security-Policy"].split("; ")) == POLICY
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response["X-Frame-Options"] == "DENY"


@override_settings(TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}])
def test_a_project_without_the_template_answers_with_a_line():
    response = Client().get("/nothing", headers=HTML)
    assert (response.status_code, response["Content-Type"]) == (404, "text/plain; charset=utf-8")
