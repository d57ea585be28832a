"""A sign-in in a view whose response is an error of the server is not carried out."""

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.signals import user_logged_in
from django.test import Client

from tests.browsers import ACCESS, REFRESH, post
from tests.factories import PASSWORD, UserFactory
from tests.tokens.web import django_session_urls
from tests.tokens.web_steps import EXPIRED, raising, set_by, signed_in_as, who
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls(django_session_urls.__name__)]


@pytest.fixture
def api(browser: Client, engine: str) -> Client:
    """The browser in front of either kind of server, which gets a response instead of the view's exception.

    Django's test client would raise it, and a test would not see the cookies of the response.
    """
    browser.raise_request_exception = False
    return browser


@pytest.fixture(params=["in-and-fail", "in-and-fail-async"], ids=["a sync view", "an async view"])
def path(request: pytest.FixtureRequest) -> str:
    """The view that signs in and fails. Only one of the two functions to sign in might be undone."""
    return f"/probe/{request.param}"


@pytest.mark.parametrize("how", ["raises", "500"])
def test_the_response_signs_nobody_in(api, user, stored, path, how):
    response = api.get(f"{path}/{user.pk}/{how}")
    assert response.status_code == (500 if how == "raises" else int(how))
    assert not set_by(response) & {ACCESS, REFRESH, django_settings.SESSION_COOKIE_NAME}
    assert not RefreshToken.objects.exists()
    assert api.get("/probe/seen").json() == {"user": None, "django": None, "data": {}}


@pytest.mark.parametrize("how", ["200", "404"])
def test_any_other_response_signs_in(api, user, path, how):
    api.get(f"{path}/{user.pk}/{how}")
    seen = api.get("/probe/seen").json()
    assert (seen["user"], seen["django"]) == (str(user.pk), str(user.pk))


def test_the_earlier_session_goes_on_with_the_cookies_of_its_refresh(signed_in, user, clock, path):
    clock.forward(EXPIRED)
    assert {ACCESS, REFRESH} <= set_by(signed_in.get(f"{path}/{UserFactory().pk}/raises"))
    assert (who(signed_in), RefreshToken.objects.get().generation) == (str(user.pk), 1)


@pytest.mark.parametrize("how", ["raises", "500"])
def test_a_new_password_that_the_view_has_saved_ends_only_the_other_sessions(signed_in, user, clock, how):
    other = signed_in_as(user)
    assert signed_in.get(f"/probe/new-password-and-fail/{how}").status_code == 500
    clock.forward(1)
    assert (who(signed_in), who(other)) == (str(user.pk), None)


def test_a_sign_in_by_the_api_whose_receiver_fails_leaves_no_session(api, user):
    fails = raising(RuntimeError)
    user_logged_in.connect(fails)
    try:
        response = post(api, "/api/auth/login", {"email": user.email, "password": PASSWORD})
    finally:
        user_logged_in.disconnect(fails)
    assert response.status_code == 500
    assert not set_by(response) & {ACCESS, REFRESH, django_settings.SESSION_COOKIE_NAME}
    assert (RefreshToken.objects.live().exists(), who(api)) == (False, None)
