"""The page that asks for a factor: where it leads, what it shows, and when it sends people back."""

import re
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client
from django.urls import path

from tests.accounts.steps import sign_in_by_form
from tests.browsers import FIREFOX, AsyncBrowser
from tests.factories import AdminFactory
from tests.tokens.web.operations.test_pending import ANOTHER, CODE, PENDING, owner, policy
from tests.tokens.web_steps import who
from tests.urls import sign_in
from tokens.models import RefreshToken

__all__ = ["owner", "policy"]

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

PAGE = "/sign-in/factor"
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="[^"]+"')


@pytest.fixture
def browser() -> Client:
    """A browser that has not signed in. After a sign-in the page would lead on without a question."""
    return Client(headers={"User-Agent": FIREFOX, "Accept": "text/html"})


def answer(browser: Client, given: str = CODE, **more: str) -> Any:
    return browser.post(PAGE, {"method": "totp", "answer": given, **more})


@pytest.mark.parametrize("kind", [Client, AsyncBrowser], ids=["WSGI", "ASGI"])
@pytest.mark.parametrize("path", ["/sign-in", "/admin/login/", "/accounts/login/"])
def test_every_page_to_sign_in_leads_here_and_then_to_where_the_user_was_going(kind, path, policy):
    boss = AdminFactory(email="owner@example.org")
    browser = kind(headers={"User-Agent": FIREFOX, "Accept": "text/html"})
    response = sign_in_by_form(browser, boss, path, next="/admin/auth/group/?q=a b")
    assert (response.status_code, response["Location"]) == (302, f"{PAGE}?next=%2Fadmin%2Fauth%2Fgroup%2F%3Fq%3Da+b")
    shown = browser.get(response["Location"])
    assert shown.status_code == 200
    assert 'autocomplete="one-time-code"' in shown.text
    assert "/admin/auth/group/?q=a b" in shown.text
    done = answer(browser, f" {CODE} ", next="/admin/auth/group/?q=a b")
    assert (done.status_code, done["Location"]) == (302, "/admin/auth/group/?q=a%20b")
    assert browser.get("/admin/auth/group/").status_code == 200
    assert RefreshToken.objects.get().amr == ["pwd", "otp", "mfa"]
    assert browser.get(PAGE).status_code == 302, "A signed-in user has nothing to do here."


def test_a_page_of_another_site_is_not_gone_to(browser, owner):
    sign_in_by_form(browser, owner, next="https://elsewhere.example/")
    assert answer(browser, next="https://elsewhere.example/")["Location"] == "/"


def test_a_wrong_answer_is_shown_at_its_field(browser, owner):
    sign_in_by_form(browser, owner)
    response = answer(browser, ANOTHER, next="/password/change")
    assert response.status_code == 200
    assert "That did not work." in response.text
    assert "/password/change" in response.text
    assert who(browser) is None


def test_after_its_end_a_right_answer_looks_like_a_wrong_one(browser, owner, clock):
    sign_in_by_form(browser, owner)
    wrong = answer(browser, ANOTHER)
    clock.forward(601)
    assert TOKEN.sub("", answer(browser).text) == TOKEN.sub("", wrong.text)
    assert not RefreshToken.objects.exists()
    assert browser.get(f"{PAGE}?next=/devices")["Location"] == "/sign-in?next=/devices"


def test_without_a_pending_sign_in_it_leads_to_the_page_to_sign_in(browser, owner):
    assert browser.get(f"{PAGE}?next=/devices")["Location"] == "/sign-in?next=/devices"
    assert answer(browser).status_code == 302


def test_another_factor_can_be_chosen(browser, owner):
    sign_in_by_form(browser, owner, next="/devices")
    shown = browser.get(f"{PAGE}?next=/devices")
    assert "?method=question&amp;next=%2Fdevices" in shown.text
    assert 'name="method" value="question"' in browser.get(f"{PAGE}?method=question").text


@pytest.mark.parametrize("remember", ["on", ""], ids=["remembered", "not remembered"])
def test_the_session_is_remembered_as_the_first_page_has_asked(browser, owner, remember):
    sign_in_by_form(browser, owner, **({"remember": remember} if remember else {}))
    assert answer(browser).status_code == 302
    assert RefreshToken.objects.get().remember is bool(remember)
    assert bool(browser.cookies["__Host-Http-refresh"]["max-age"]) is bool(remember)


def test_the_session_lasts_as_long_as_the_project_has_decided(browser, owner, settings):
    settings.SESSION_COOKIE_AGE = 3600
    sign_in_by_form(browser, owner, remember="on")
    assert answer(browser).status_code == 302
    row = RefreshToken.objects.get()
    assert (row.expires_at - row.created_at).total_seconds() == 3600


def test_a_project_without_this_page_says_what_is_needed(browser, owner, settings):
    urls: Any = ModuleType("urls")
    urls.urlpatterns = [path("probe/sign-in/<str:address>", sign_in)]
    settings.ROOT_URLCONF = urls
    response = browser.get(f"/probe/sign-in/{owner.email}")
    assert response.status_code == 401
    assert "One more step is needed to sign in." in response.text
    assert PENDING in response.cookies


def test_the_page_is_in_german(browser, owner):
    sign_in_by_form(browser, owner)
    assert "Zum Anmelden fehlt noch ein Schritt." in browser.get(PAGE, headers={"Accept-Language": "de"}).text


def test_nobody_is_on_the_request_that_leads_here(browser, owner):
    response = sign_in_by_form(browser, owner)
    assert isinstance(response.wsgi_request.user, AnonymousUser)
    assert browser.cookies.keys() == {PENDING}
