"""A Chromium that holds keys, and a site that offers to bind sessions to them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Playwright

from tests.browser.conftest import Jar, Sites, launch_options
from tests.browser.device_bound.devices import WITH_KEYS, Device
from tests.browser.sites import Certificate, Person, Site

OFFER = {
    "DJANGO_SETTINGS_MODULE": "tests.browser.device_bound.settings",
    "TOKENS_DEVICE_BOUND": "offer",
    "DATABASE_POOL": "0",  # So that a test can take the database away.
}


def with_keys(certificate: Certificate) -> dict[str, Any]:
    """How a Chromium is started that keeps keys in software, where the machine has no chip for them."""
    options = launch_options(certificate)
    return {**options, "args": [*options["args"], WITH_KEYS]}


@pytest.fixture(scope="session")
def bound_chromium(playwright: Playwright, certificate: Certificate) -> Iterator[Browser]:
    browser = playwright.chromium.launch(**with_keys(certificate))
    yield browser
    browser.close()


@pytest.fixture
def site(sites: Sites) -> Iterator[Site]:
    """The project, with ``TOKENS["DEVICE_BOUND"]``."""
    found = sites(**OFFER)
    yield found
    found.deliver()
    found.open_gate()


@pytest.fixture
def jar_with_keys(bound_chromium: Browser, site: Site) -> Iterator[Jar]:
    """Makes browsers that hold keys, each its own: of different people, or of one person and a thief."""
    with ExitStack() as stack:

        def new(**options: Any) -> BrowserContext:
            context = bound_chromium.new_context(**{"base_url": site.origin, **options})
            context.set_default_timeout(10_000)
            stack.callback(context.close)
            return context

        yield new


@pytest.fixture
def new_device(jar_with_keys: Jar, site: Site) -> Callable[..., Device]:
    return lambda **options: Device(jar_with_keys(**options), site)


@pytest.fixture
def device(new_device: Callable[..., Device]) -> Device:
    """One person's browser."""
    return new_device()


@pytest.fixture
def bound(device: Device, person: Person) -> Device:
    """A browser in which the person has signed in, and whose key has been used once."""
    device.bind(person)
    return device
