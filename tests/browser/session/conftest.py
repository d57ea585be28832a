"""Every storage mode, in a site with an app of its own."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.conftest import Sites
from tests.browser.session.worlds import Tab, World
from tests.browser.sites import Person

MODES = [*(pytest.param(mode, marks=pytest.mark.exhaustive) for mode in ("cookie", "scoped", "subdomain")), "body"]
IN_COMMON = {"DJANGO_SETTINGS_MODULE": "tests.browser.session.settings"}
OF_A_SITE = {
    **IN_COMMON,
    "TOKENS_MODES": "subdomain",
    "TOKENS_COOKIE_DOMAIN": "example.test",
    "TOKENS_ISSUER": "https://auth.example.test",
    "TOKENS_AUDIENCE": "https://auth.example.test",
}


def pytest_itemcollected(item: pytest.Function) -> None:
    # The client does the same in ``scoped`` and in ``subdomain``, where a test names both.
    if hasattr(item, "callspec") and item.callspec.params.get("mode") == "subdomain":
        item.add_marker("exhaustive")


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """A test that asks for it, or for a world, is run in every storage mode."""
    mode: str = request.param
    return mode


@pytest.fixture
def world(mode: str, sites: Sites) -> World:
    """One site serves three of the modes. In ``subdomain`` the app is on a host, and in a process, of its own."""
    if mode != "subdomain":
        site = sites(TOKENS_MODES="cookie,scoped,body", **IN_COMMON)
        return World(mode, site, site)
    app = sites("app.example.test", **OF_A_SITE)
    auth = sites("auth.example.test", TOKENS_TRUSTED_ORIGINS=app.origin, **OF_A_SITE)
    return World(mode, auth, app)


@pytest.fixture
def context(jar: Callable[..., BrowserContext], world: World) -> BrowserContext:
    """One person's browser."""
    return jar(base_url=world.app.origin)


@pytest.fixture
def person(world: World) -> Person:
    """Somebody with an account."""
    return world.auth.new_person()


@pytest.fixture
def new_tab(world: World, context: BrowserContext) -> Callable[..., Tab]:
    """Opens tabs of one browser, at the app."""
    return lambda **options: world.tab(context, **options)


@pytest.fixture
def tab(new_tab: Callable[..., Tab]) -> Tab:
    return new_tab()


@pytest.fixture
def signed_in(tab: Tab, person: Person) -> Tab:
    """A tab in which somebody has signed in."""
    tab.sign_in(person)
    tab.world.forget()
    return tab
