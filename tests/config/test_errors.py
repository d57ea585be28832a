"""Error pages: they need neither the database nor a signed-in user, and have the headers of every other page."""

from typing import Any

import pytest
from django.db import OperationalError
from django.db.backends.utils import CursorWrapper
from django.test import Client, override_settings

from tests.browsers import ACCESS, AsyncBrowser, login
from tests.factories import PASSWORD

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
JSON = {"Accept": "application/json"}
POLICY = {
    *("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'"),
    *("worker-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"),
}


@pytest.fixture(params=[Client, AsyncBrowser], ids=["WSGI", "ASGI"])
def browser(request: pytest.FixtureRequest) -> Client:
    """A browser in front of either kind of server. An error handler might work under only one of them."""
    client: Client = request.param(raise_request_exception=False, headers=HTML)
    return client


def page(response: Any, status: int) -> str:
    """Hold the response to being an error page with our policy, and return its HTML."""
    assert (response.status_code, response["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert set(response["Content-Security-Policy"].split("; ")) == POLICY
    assert {"Accept", "Accept-Language"} <= set(response["Vary"].split(", "))
    html: str = response.content.decode()
    assert f"Error {status}" in html
    assert "Sign out" not in html
    return html


def test_an_unknown_path_is_a_page(browser):
    assert "There is nothing here." in page(browser.get("/nothing"), 404)


@pytest.mark.django_db
def test_the_page_is_the_same_whether_or_not_the_user_is_signed_in(signed_in):
    assert signed_in.get("/nothing", headers=HTML).content == Client().get("/nothing", headers=HTML).content


def test_a_method_that_is_not_allowed_is_a_page(browser):
    response = browser.get("/sign-out")
    page(response, 405)
    assert response["Allow"] == "POST, OPTIONS"
    assert browser.get("/sign-out", headers=JSON).json()["code"] == "method_not_allowed"


@pytest.mark.django_db
def test_a_method_that_is_not_allowed_does_not_lose_the_refreshed_tokens(clock, signed_in):
    clock.forward(601)
    response = signed_in.get("/sign-out", headers=HTML)
    page(response, 405)
    assert ACCESS in response.cookies


def test_a_form_without_its_csrf_token_is_a_page_that_says_what_to_do():
    strict = Client(enforce_csrf_checks=True)
    given = {"username": "somebody@example.org", "password": PASSWORD}
    assert "Reload the page" in page(strict.post("/sign-in", given, headers=HTML, secure=True), 403)
    assert strict.post("/sign-in", given, headers=JSON).json()["code"] == "form_outdated"


def test_a_form_of_a_page_that_was_opened_over_http_names_the_address_to_use(settings):
    strict, given = Client(enforce_csrf_checks=True), {"username": "somebody@example.org", "password": PASSWORD}
    settings.ORIGIN = "https://example.org"
    assert "Open this page at https://example.org." in page(strict.post("/sign-in", given, headers=HTML), 403)
    assert "Reload the page" in page(strict.post("/sign-in", given, headers=HTML, secure=True), 403)


@pytest.mark.django_db
def test_a_request_from_another_site_is_a_page(browser, user):
    login(browser, user)
    response = browser.post("/sign-in", headers={"Origin": "https://evil.test"})
    assert "another origin" in page(response, 403)


def test_an_invalid_request_is_a_page(browser):
    page(browser.get("/", headers={"Host": "evil.test"}), 400)


@override_settings(ROOT_URLCONF="tests.urls")
def test_a_bug_is_a_page_that_can_be_reloaded(browser):
    html = page(browser.get("/probe/fails"), 500)
    assert ('href=""' in html, "a bug" in html) == (True, False)


@pytest.mark.django_db
def test_an_outage_is_a_page_that_can_be_reloaded_unless_a_form_was_sent(browser, user, clock, monkeypatch):
    def down(*given: Any, **more: Any) -> None:
        raise OperationalError("the database is down")

    login(browser, user)
    clock.forward(601)
    monkeypatch.setattr(CursorWrapper, "_execute_with_wrappers", down)
    response = browser.get("/")
    assert 'href=""' in page(response, 503)
    assert response["Retry-After"] == "2"
    assert 'href=""' not in page(browser.post("/sign-out"), 503), "A link does not send a form again."


PAGE, PROBLEM, LINE = "text/html; charset=utf-8", "application/problem+json", "text/plain; charset=utf-8"
KINDS = {
    **dict.fromkeys(["text/html,application/xhtml+xml,*/*;q=0.8", "application/json, text/html"], PAGE),
    **dict.fromkeys(["application/json", "application/problem+json", "application/json, text/plain, */*"], PROBLEM),
    **dict.fromkeys(["application/json;a*=bogus''x", "json;a*=utf-8''%00;q=é"], PROBLEM),
    **dict.fromkeys(["*/*", "", "text/*", "text/plain", "image/png"], LINE),
}


@pytest.mark.parametrize(("accept", "kind"), KINDS.items(), ids=lambda value: value or "nothing")
def test_the_client_gets_a_page_a_problem_or_a_line_of_text_as_it_prefers(accept, kind):
    response = Client().get("/nothing", headers={"Accept": accept})
    assert (response.status_code, response["Content-Type"]) == (404, kind)
    assert kind != LINE or response.content == b"There is nothing here.\n"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/sign-out", "/admin/x", "/metrics", "/.well-known/jwks.json", "/api/schema", "/api/x"]
)
def test_an_answer_whose_form_depends_on_what_the_client_accepts_says_so_to_caches(path):
    """A shared cache would otherwise show a person the JSON that a program got first."""
    answers = [Client().get(path, headers={"Accept": accept}) for accept in KINDS]
    answers += [Client().post(path, headers={"Accept": accept}) for accept in KINDS]
    for those in (answers[: len(KINDS)], answers[len(KINDS) :]):
        if len({(answer.status_code, answer["Content-Type"]) for answer in those}) > 1:
            assert [answer.headers for answer in those if "Accept" not in answer.get("Vary", "").split(", ")] == []


def test_over_tls_a_browser_is_told_to_stay_there():
    assert Client().get("/nothing", secure=True)["Strict-Transport-Security"] == f"max-age={365 * 86400}"


@pytest.mark.parametrize("path", ["/", "/sign-in", "/register", "/mail-sent", "/api/docs", "/admin/login/", "/api/x"])
@pytest.mark.django_db
def test_every_answer_has_our_policy_and_what_django_sets(path):
    response = Client().get(path, secure=True)
    assert set(response["Content-Security-Policy"].split("; ")) == POLICY
    assert response.headers.items() >= {
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("X-Frame-Options", "DENY"),
    }


@override_settings(TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}])
def test_a_project_without_the_template_answers_with_a_line_of_text():
    response = Client().get("/nothing", headers=HTML)
    assert (response.status_code, response["Content-Type"]) == (404, "text/plain; charset=utf-8")
