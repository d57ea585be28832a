"""Every storage mode, on a site with its own app."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.conftest import at_length
from tests.browser.session.worlds import Tab, World
from tests.browser.sites import THREE_MODES, Person

MODES = [*at_length("cookie", "scoped", "subdomain"), "body"]
SUBDOMAIN = {
    "TOKENS_MODES": "subdomain",
    "TOKENS_COOKIE_DOMAIN": "example.org",
    "TOKENS_ISSUER": "https://auth.example.org",
    "TOKENS_AUDIENCE": "https://auth.example.org",
}


def pytest_itemcollected(item: pytest.Function) -> None:
    # If a test names its modes, `subdomain` is tested only in exhaustive runs: the client does the same in `scoped`.
    if hasattr(item, "callspec") and item.callspec.params.get("mode") == "subdomain":
        item.add_marker("exhaustive")


@pytest.fixture(params=MODES)
def mode(request) -> str:
    """The storage mode. A test that uses this fixture, or `world`, runs in every mode."""
    return request.param


@pytest.fixture
def world(mode, sites) -> World:
    """The sites of this mode: one for three of the modes. In ``subdomain`` the app has its own host and process.

    Without the second process a test would not notice that the app's host cannot see what the auth host knows.
    """
    if mode != "subdomain":
        site = sites(**THREE_MODES)
        return World(mode, site, site)
    app = sites("app.example.org", **SUBDOMAIN)
    auth = sites("auth.example.org", TOKENS_TRUSTED_ORIGINS=app.origin, **SUBDOMAIN)
    return World(mode, auth, app)


@pytest.fixture
def context(new_context, world) -> BrowserContext:
    """The user's browser, at the app. In mode ``subdomain`` the auth host is another one, and sees other cookies."""
    return new_context(base_url=world.app.origin)


@pytest.fixture
def person(world) -> Person:
    """A user who has not signed in. With one for all tests, a test would find the sessions of another."""
    return world.auth.new_person()


@pytest.fixture
def new_tab(world, context) -> Callable[..., Tab]:
    """Opens tabs of one browser at the app. Tabs of two browsers share no session, and cannot disturb each other."""
    return lambda **options: world.tab(context, **options)


@pytest.fixture
def tab(new_tab) -> Tab:
    """A tab of the user's browser at the app. It has not signed in, so that a test sees the sign-in's requests."""
    return new_tab()


@pytest.fixture
def signed_in(tab, person) -> Tab:
    """A tab in which the user has signed in. The requests of the sign-in are not among those that `world` reports."""
    tab.sign_in(person)
    tab.wait_until_bound(person)
    tab.world.forget()
    return tab
