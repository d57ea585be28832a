"""Browsers in which somebody uses the account of another user, and the fixtures of their tests.

A module that imports a fixture lists it in ``__all__``.
"""

from typing import Any

import pytest
from django.test import Client

from tests.browsers import FIREFOX, AsyncBrowser, login
from tests.factories import AdminFactory, UserFactory
from tests.tokens.web_steps import claims_of
from tokens.models import RefreshToken


@pytest.fixture(autouse=True)
def _urls(settings: Any) -> None:
    """Serve views that begin and end impersonations, without and with django-hijack."""
    settings.ROOT_URLCONF = "tests.tokens.web.impersonation_urls"
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "hijack"]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tokens.contrib.hijack.HijackUserMiddleware"]


@pytest.fixture
def owner(db: None) -> Any:
    """The user whose account is used by somebody else. With one user, nobody could tell whose session it is."""
    return UserFactory()


@pytest.fixture
def staff(db: None) -> Any:
    """The actor, a superuser. django-hijack lets no other users impersonate."""
    return AdminFactory()


def by_function(browser: Client, user: Any) -> Any:
    return browser.post(f"/probe/impersonate/{user.email}")


def by_hijack(browser: Client, user: Any) -> Any:
    return browser.post("/hijack/acquire/", {"user_pk": user.pk, "next": "/probe/whose"})


def release_by_function(browser: Client) -> Any:
    return browser.post("/probe/release")


def release_by_hijack(browser: Client) -> Any:
    return browser.post("/hijack/release/", {"next": "/probe/whose"})


WAYS = {
    "sessions.impersonate": (Client, by_function, release_by_function),
    "django-hijack": (Client, by_hijack, release_by_hijack),
    "django-hijack under ASGI": (AsyncBrowser, by_hijack, release_by_hijack),
}


class Impersonator:
    """A browser in which the actor is signed in. ``begin`` and ``release`` say how."""

    def __init__(self, kind: type[Client], begin: Any, release: Any) -> None:
        self.browser = kind(headers={"User-Agent": FIREFOX})
        self._begin, self._release = begin, release

    def begin(self, user: Any) -> Any:
        return self._begin(self.browser, user)

    def release(self) -> Any:
        return self._release(self.browser)

    @property
    def claims(self) -> Any:
        return claims_of(self.browser)

    def whose(self) -> Any:
        return self.browser.get("/probe/whose").json()


@pytest.fixture
def actor(request: pytest.FixtureRequest, staff: Any, owner: Any) -> Impersonator:
    """A browser in which the staff uses the account of the owner, from the time of `clock` on, if the test uses it.

    Tokens of the real time would have expired on that clock, and a refusal would be no proof.
    """
    if "clock" in request.fixturenames:
        request.getfixturevalue("clock")
    found = Impersonator(*WAYS["sessions.impersonate"])
    login(found.browser, staff)
    assert found.begin(owner).status_code == 200
    return found


def impersonations() -> Any:
    return RefreshToken.objects.exclude(actor=None)
