"""Step-up: who passes, and what a request that falls short is answered (RFC 9470)."""

from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.utils import timezone

from tests.browsers import FIREFOX, REFRESH, AsyncBrowser, copy_of, login, post, refresh
from tests.factories import PASSWORD, UserFactory
from tests.tokens.web import step_up_urls
from tests.tokens.web_steps import signed_in_as
from tokens import sessions
from tokens.web.operations.step_up import requirement

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls(step_up_urls.__name__)]

AGAIN = "/api/auth/reauthenticate"
CODE = {"method": "totp", "answer": "123456"}
JSON = {"Accept": "application/json"}
PAGE = {"Accept": "text/html,*/*;q=0.8"}


@pytest.fixture(autouse=True)
def _with_codes(settings: Any) -> None:
    """Adds a factor to the password. Without it nobody could reach the level."""
    settings.TOKENS = {**settings.TOKENS, "FACTORS": ["tokens.web.factors.Password", "tests.tokens.web.steps.Code"]}


@pytest.fixture
def browser(clock: Any, signed_in: Client) -> Client:
    """A browser signed in by a password. It falls short of the level. With a code there would be no challenge."""
    return signed_in


def challenge(response: Any) -> str:
    assert response.status_code == 401
    return str(response["WWW-Authenticate"])


@pytest.mark.parametrize("path", ["/well", "/well-async", "/drf"])
def test_a_request_that_falls_short_gets_the_challenge_and_passes_after_the_step_up(browser, path):
    response = browser.get(path, headers=JSON)
    assert challenge(response).startswith('Bearer error="insufficient_user_authentication", error_description="')
    assert 'acr_values="aal2 aal3"' in challenge(response)
    assert ('max_age="300"' in challenge(response)) is (path == "/well-async")
    if path != "/drf":
        assert response.json()["code"] == "insufficient_user_authentication"
        assert response.json()["offered"] == ["totp"]
        assert (response.json()["acr_values"], response["Cache-Control"]) == (["aal2", "aal3"], "no-store")
    assert post(browser, AGAIN, CODE).status_code == 200
    assert browser.get(path, headers=JSON).status_code == 200


@pytest.mark.parametrize("kind", [Client, AsyncBrowser], ids=["WSGI", "ASGI"])
@pytest.mark.parametrize("path", ["/well-async", "/well-async-class", "/well-async-method"])
def test_an_async_view_is_guarded_however_it_is_decorated(user, path, kind):
    browser = kind(headers={"User-Agent": FIREFOX})
    login(browser, user)
    assert challenge(browser.get(path, headers=JSON)).startswith('Bearer error="insufficient_user_authentication"')
    assert post(browser, AGAIN, CODE).status_code == 200
    assert browser.get(path, headers=JSON).content == b"well"


def test_a_higher_level_is_enough_and_a_lower_one_is_not(browser):
    assert requirement("aal1").is_met("aal3", None, timezone.now())
    assert requirement("aal1", timedelta(minutes=5)) == requirement("aal1", 300)
    assert not requirement("aal3").is_met("aal2", None, timezone.now())
    assert not requirement("aal1").is_met(None, None, timezone.now())


def test_an_authentication_that_is_too_old_is_asked_for_again(browser, clock):
    assert browser.get("/recently", headers=JSON).status_code == 200
    clock.forward(301)
    response = browser.get("/recently", headers=JSON)
    assert 'max_age="300"' in challenge(response)
    assert "acr_values" not in challenge(response)
    assert response.json()["offered"] == ["password", "totp"]
    assert post(browser, AGAIN, {"password": PASSWORD}).status_code == 200
    assert browser.get("/recently", headers=JSON).status_code == 200


def test_an_old_access_token_passes_if_the_session_was_stepped_up_meanwhile(browser, django_assert_num_queries):
    tab = copy_of(browser)
    assert post(browser, AGAIN, CODE).status_code == 200
    with django_assert_num_queries(1):
        assert tab.get("/well", headers=JSON).status_code == 200
    with django_assert_num_queries(0):
        assert browser.get("/well", headers=JSON).status_code == 200


class TestAMaximumAgeOfZero:
    def test_is_decided_by_the_row_and_a_reauthentication_is_enough_to_repeat_the_request(self, browser, clock):
        clock.forward(61)
        tab = copy_of(browser)
        assert 'max_age="0"' in challenge(browser.get("/just-now", headers=JSON))
        assert post(browser, AGAIN, {"password": PASSWORD}).status_code == 200
        clock.forward(59)
        assert browser.get("/just-now", headers=JSON).status_code == 200
        assert tab.get("/just-now", headers=JSON).status_code == 200  # Its token is old, and the row is not.
        clock.forward(2)
        challenge(browser.get("/just-now", headers=JSON))

    def test_a_refresh_is_no_authentication(self, browser, clock):
        clock.forward(100)
        assert refresh(browser).status_code == 200
        challenge(browser.get("/just-now", headers=JSON))


class TestAPage:
    def test_is_led_to_the_page_that_asks_and_back(self, browser):
        response = browser.get("/well?a=1&b=2", headers=PAGE)
        assert (response.status_code, response.url) == (302, "/sign-in/again?next=%2Fwell%3Fa%3D1%26b%3D2&acr=aal2")
        page = browser.get(response.url).content.decode()
        assert 'value="totp"' in page
        assert 'value="password"' not in page  # It would not be enough.
        given = {"method": "totp", "current_password": "123456", "next": "/well?a=1&b=2"}
        response = browser.post("/sign-in/again", given)
        assert response.url == "/well?a=1&b=2"
        assert browser.get(response.url, headers=PAGE).content == b"well"

    def test_whose_form_was_sent_is_led_back_to_the_form_and_never_to_another_site(self, browser, clock):
        clock.forward(301)
        for referer, back in [("http://testserver/form?x=1", "%2Fform%3Fx%3D1"), ("https://evil.example/", "%2F")]:
            response = browser.post("/recently", headers={**PAGE, "Referer": referer})
            assert response.url == f"/sign-in/again?next={back}"

    def test_asks_a_visitor_to_sign_in(self, api):
        assert api.get("/well", headers=PAGE).url == "/sign-in?next=/well"

    def test_without_a_page_that_asks_says_so(self, browser, settings):
        settings.TOKENS = {**settings.TOKENS, "REAUTHENTICATION_URL": "there-is-none"}
        assert 'acr_values="aal2 aal3"' in challenge(browser.get("/well", headers=PAGE))


class TestNobodyIsAskedForEver:
    @pytest.mark.parametrize("headers", [JSON, PAGE], ids=["a program", "a page"])
    def test_who_has_no_factor_that_is_enough(self, headers, clock):
        client = signed_in_as(UserFactory(email="without@example.org"))
        response = client.get("/well", headers=headers)
        assert (response.status_code, response.has_header("WWW-Authenticate")) == (403, False)
        assert client.get("/drf", headers=headers).status_code == 403

    def test_somebody_who_needs_two_steps_gets_there_in_two(self, clock, api):
        api.force_login(UserFactory())
        assert api.get("/well", headers=JSON).json()["offered"] == ["password", "totp"]
        post(api, AGAIN, {"password": PASSWORD})
        assert api.get("/well", headers=JSON).json()["offered"] == ["totp"]
        post(api, AGAIN, CODE)
        assert api.get("/well", headers=JSON).status_code == 200

    def test_an_impersonation(self, browser, clock):
        person = UserFactory()
        assert browser.post(f"/probe/impersonate/{person.email}").status_code == 200
        assert browser.get("/recently", headers=JSON).status_code == 403
        assert browser.get("/recently", headers=PAGE).status_code == 403


def test_visitors_and_clients_whose_session_has_ended_are_told_so(another, browser):
    assert another().get("/well", headers=JSON).json()["code"] == "not_authenticated"
    assert another().get("/drf", headers=JSON).status_code == 401
    browser.cookies.pop(REFRESH)
    post(browser, "/api/auth/logout")
    assert browser.get("/well", headers=JSON).status_code == 401


@pytest.mark.parametrize("given", [{}, {"acr": "gold"}], ids=["nothing", "an unknown level"])
def test_a_requirement_that_makes_no_sense_is_an_error_of_the_project(given, browser, rf):
    with pytest.raises(ImproperlyConfigured):
        sessions.requires(**given)(lambda request: None)(browser.get("/well").wsgi_request)


class TestAUserWhomSomethingElseHasAuthenticated:
    """The cookies beside are those of a session that was stepped up. It is another user's."""

    @pytest.fixture
    def stepped_up(self, browser: Client) -> Client:
        """The cookies of another session that has the level. Without them nobody could borrow it."""
        assert post(browser, AGAIN, CODE).status_code == 200
        return browser

    def test_by_basic_authentication_does_not_pass(self, stepped_up):
        other = UserFactory()
        basic = b64encode(f"{other.email}:{PASSWORD}".encode()).decode()
        assert stepped_up.get("/drf-or-basic").status_code == 200
        refused = stepped_up.get("/drf-or-basic", headers={**JSON, "Authorization": f"Basic {basic}"})
        assert refused.status_code in {401, 403}

    def test_by_another_middleware_does_not_pass(self, stepped_up):
        assert stepped_up.get(f"/replaced/{UserFactory().email}", headers=JSON).status_code == 401
