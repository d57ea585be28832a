"""What the cookies and the body are after a reauthentication, in each storage mode."""

import pytest
from django.test import Client

from tests.browsers import ACCESS, REFRESH, login, post, refresh
from tests.factories import PASSWORD, UserFactory
from tests.tokens.api.paths import LOGOUT, ME, REAUTHENTICATE, REFRESH_PATH
from tests.tokens.api.steps import OF_BODY, assert_problem, bearer, max_ages
from tests.tokens.web_steps import signed_in_as
from tokens.conf import codec, token_settings
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

GIVEN = {"password": PASSWORD}


def test_the_cookies_are_new_and_last_as_long_as_after_the_sign_in(clock, api, user):
    login(api, user, remember=True)
    before = api.cookies[REFRESH].value
    clock.forward(100)
    response = post(api, REAUTHENTICATE, GIVEN)
    assert response.status_code == 200
    assert max_ages(response)[REFRESH] == token_settings().idle_lifetime.total_seconds()
    assert api.cookies[REFRESH].value != before
    assert refresh(api, before).status_code == 200  # A parallel tab has the token before.
    clock.forward(100)
    assert (refresh(api).status_code, RefreshToken.objects.get().generation) == (200, 2)


def test_a_request_that_the_middleware_has_refreshed_does_not_rotate_once_more(clock, signed_in):
    clock.forward(700)
    assert {ACCESS, REFRESH} <= set(post(signed_in, REAUTHENTICATE, GIVEN).cookies)
    assert RefreshToken.objects.get().generation == 1
    clock.forward(100)
    assert refresh(signed_in).status_code == 200


def test_without_a_refresh_token_the_access_token_expires_with_the_one_before(clock, signed_in):
    """Otherwise somebody with an access token and the password could use the session for as long as it lives."""
    del signed_in.cookies[REFRESH]
    expires_at = codec().loads(signed_in.cookies[ACCESS].value, clock.now).expires_at
    clock.forward(400)
    assert post(signed_in, REAUTHENTICATE, GIVEN).status_code == 200
    assert codec().loads(signed_in.cookies[ACCESS].value, clock.now).expires_at == expires_at


def test_in_strict_mode_neither(clock, api, user, settings):
    settings.TOKENS = {**settings.TOKENS, "REUSE_GRACE": 0}
    login(api, user)
    clock.forward(700)
    assert post(api, REAUTHENTICATE, GIVEN).status_code == 200
    assert refresh(api).status_code == 200


def test_in_body_mode_the_new_tokens_are_in_the_body(clock, user, both_modes):
    given = login(Client(), user, mode="body")
    headers = bearer(given["access_token"])
    clock.forward(100)
    response = post(Client(), REAUTHENTICATE, {**GIVEN, "refresh_token": given["refresh_token"]}, **headers)
    answer = response.json()
    assert not response.cookies
    assert answer["refresh_token"] != given["refresh_token"]
    assert set(post(Client(), REAUTHENTICATE, GIVEN, **headers).json()) == {"user", "session"} | OF_BODY
    clock.forward(100)
    assert post(Client(), REFRESH_PATH, {"refresh_token": answer["refresh_token"]}).status_code == 200


def sign_in_with_a_stolen_token(clock, api, user):
    """Sign in, and refresh twice. The browser then has the token from before again, which proves a theft."""
    login(api, user)
    stolen = api.cookies[REFRESH].value
    for _ in range(2):
        clock.forward(100)
        refresh(api)
    api.cookies[REFRESH] = stolen


def test_a_token_that_proves_a_theft_ends_the_session_and_the_right_password_does_not_help(clock, api, user):
    sign_in_with_a_stolen_token(clock, api, user)
    assert_problem(post(api, REAUTHENTICATE, GIVEN), 401, "session_ended")
    assert RefreshToken.objects.get().revoked_reason == RefreshToken.Reason.REUSE
    assert api.get(ME).status_code == 401


def test_a_wrong_password_decides_nothing_about_the_token(clock, api, user):
    sign_in_with_a_stolen_token(clock, api, user)
    before = RefreshToken.objects.values().get()
    assert_problem(post(api, REAUTHENTICATE, {"password": "wrong"}), 401, "invalid_credentials")
    assert RefreshToken.objects.values().get() == before


def test_the_token_of_another_user_in_the_same_browser_decides_nothing(clock, signed_in):
    stranger = signed_in_as(UserFactory())
    clock.forward(100)
    signed_in.cookies[REFRESH] = stranger.cookies[REFRESH].value
    assert post(signed_in, REAUTHENTICATE, GIVEN).status_code == 200
    assert {row.generation for row in RefreshToken.objects.all()} == {0}
    assert post(stranger, LOGOUT).status_code == 204
