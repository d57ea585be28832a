"""A user object that a project keeps does not prove again what was proved once."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.test import Client

from tests.attacks.entry_points import INTROSPECTION
from tests.browsers import FIREFOX, AsyncBrowser, new_browser
from tests.factories import PASSWORD
from tests.tokens.web import methods_urls
from tests.tokens.web.test_methods import DJANGOS, NONE, OURS, PASSKEY, PASSKEYS, PWD, said

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls(methods_urls.__name__)]
CREDENTIALS = {"a password": {"password": PASSWORD}, "a passkey": {"passkey": "of the device"}}
BY_COROUTINE = f"{methods_urls.__name__}.ByCoroutine"


@pytest.fixture(autouse=True)
def _project(settings: Any) -> None:
    """Has backends for passwords and for passkeys. With one of them, the other kind could be proved twice unnoticed."""
    settings.TOKENS = INTROSPECTION
    settings.AUTHENTICATION_BACKENDS = [OURS, PASSKEYS]


@pytest.fixture
def browser() -> Client:
    """A browser without a session. With one, the methods could be those of the sign-in before."""
    return new_browser()


def keep(found: Any) -> None:
    methods_urls.KEPT["user"] = found


def in_another_request(user: Any, **credentials: Any) -> Any:
    Client().post("/probe/keep", {"username": user.email, **credentials})
    return methods_urls.KEPT["user"]


KEPT: dict[str, Callable[..., Any]] = {
    "without a request": lambda user, **given: authenticate(username=user.email, **given),
    "in another request": in_another_request,
    "and copied": lambda user, **given: copy.copy(in_another_request(user, **given)),
    "and copied deeply": lambda user, **given: copy.deepcopy(in_another_request(user, **given)),
    "and kept by a cache": lambda user, **given: pickle.loads(pickle.dumps(in_another_request(user, **given))),  # noqa: S301
}


@pytest.mark.parametrize("credentials", CREDENTIALS.values(), ids=CREDENTIALS)
class TestAKeptUser:
    @pytest.mark.parametrize("authenticated", KEPT.values(), ids=KEPT)
    def test_who_was_authenticated(self, user, browser, credentials, authenticated):
        keep(authenticated(user, **credentials))
        browser.post("/probe/sign-in-kept")
        assert said(browser) == NONE

    def test_who_signs_in_twice_outside_of_the_middleware(self, user, credentials):
        found = authenticate(username=user.email, **credentials)
        first, second = Client(), Client()
        for client in (first, second):
            client.force_login(found)
        assert (said(first) == NONE, said(second)) == (False, NONE)


def test_what_a_view_has_said_of_a_kept_user_counts_in_its_request(user, browser):
    user.authenticated_by, user.backend = ["pop", "user", "mfa"], OURS
    keep(user)
    browser.post("/probe/sign-in-kept")
    assert said(browser) == PASSKEY
    keep(user)
    again = new_browser()
    again.post("/probe/sign-in-kept")
    assert said(again) == NONE


def test_a_backend_whose_async_method_is_no_coroutine_function_signs_in(user, settings):
    settings.AUTHENTICATION_BACKENDS = [BY_COROUTINE, DJANGOS]
    browser = AsyncBrowser(headers={"User-Agent": FIREFOX})
    assert browser.post("/probe/sign-in-async", {"username": user.email, "password": PASSWORD}).status_code == 200
    assert said(browser) == PWD
