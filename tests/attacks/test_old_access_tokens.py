"""Access tokens from an old log sign nobody out: one that expired a day ago ends no session."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.browsers import ACCESS, REFRESH, login, post
from tests.tokens.web_steps import cleared
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls("tests.urls")]

HOUR, DAY = 3600, 24 * 3600
LOGOUT = "/api/auth/logout"
MODES = {"MODES": ["cookie", "scoped", "body"]}


def with_cookie(client: Client, token: str) -> Client:
    client.cookies[ACCESS] = token
    return client


WAYS: dict[str, Callable[[Client, str], Any]] = {
    "by cookie": lambda client, token: post(with_cookie(client, token), LOGOUT),
    "as a bearer token": lambda client, token: post(client, LOGOUT, Authorization=f"Bearer {token}"),
    "on the page": lambda client, token: with_cookie(client, token).post("/sign-out"),
    "by a view of the project": lambda client, token: with_cookie(client, token).get("/probe/sign-out"),
}


@pytest.fixture
def token(api: Client, user: Any, clock: Any, settings: Any) -> str:
    """An access token of a session that lives for days. Otherwise it would have ended by itself."""
    settings.TOKENS = MODES
    login(api, user, remember=True)
    return api.cookies[ACCESS].value


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_ends_no_session_and_is_not_told_that_it_has(token, clock, another, way):
    clock.forward(DAY + HOUR)
    answer = way(another(), token)
    assert RefreshToken.objects.live().exists()
    assert answer.status_code != 204
    assert ACCESS in cleared(answer)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_that_has_just_expired_ends_its_session(token, clock, another, way):
    """In mode ``scoped`` a page gets no other token."""
    clock.forward(DAY - HOUR)
    assert way(another(), token).status_code in {200, 204, 302}
    assert not RefreshToken.objects.live().exists()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_beside_the_refresh_token_the_owner_is_signed_out(token, clock, api, way):
    clock.forward(DAY + HOUR)
    if way is WAYS["as a bearer token"]:
        del api.cookies[ACCESS]
    assert way(api, token).status_code in {200, 204, 302}
    assert not RefreshToken.objects.live().exists()


def test_that_has_just_expired_ends_nothing_by_a_request_of_another_origin(token, clock, another):
    """A sibling host can send the cookies. The view of the project has no protection of its own."""
    client = with_cookie(another(), token)
    for seconds, status in ((0, 403), (HOUR, 200)):
        clock.forward(seconds)
        answer = client.post("/probe/sign-out", headers={"Origin": "https://sibling.test"})
        assert answer.status_code == status
        assert RefreshToken.objects.live().exists()


def test_in_mode_body_the_refresh_token_signs_out_beside_an_old_access_token(user, clock, settings, another):
    settings.TOKENS = MODES
    given = login(another(), user, mode="body", remember=True)
    clock.forward(DAY + HOUR)
    answer = post(
        another(), LOGOUT, {"refresh_token": given["refresh_token"]}, Authorization=f"Bearer {given['access_token']}"
    )
    assert (answer.status_code, RefreshToken.objects.live().exists()) == (204, False)


def test_is_answered_401_by_the_api_which_deletes_the_cookies(token, clock, another):
    clock.forward(DAY + HOUR)
    client = another()
    answer = post(with_cookie(client, token), LOGOUT)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
    assert cleared(answer) >= {ACCESS, REFRESH}
    assert post(client, LOGOUT).status_code == 204, "Without a token there is nothing to end."


def test_beside_the_refresh_token_of_a_later_session_ends_that_one_only(token, clock, user, another):
    """The access cookie of an earlier session was left behind."""
    clock.forward(DAY + HOUR)
    client = another()
    later = login(client, user)["session"]["id"]
    assert post(with_cookie(client, token), LOGOUT).status_code == 204
    assert str(RefreshToken.objects.live().get().id) != later
