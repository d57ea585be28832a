"""A Chromium that keeps keys, and a site that offers to bind sessions to them (device-bound session credentials)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import contexts_of
from tests.browser.device_bound.devices import WITH_KEYS, Device

OFFER = {"TOKENS_DEVICE_BOUND": "offer", "DATABASE_POOL": "0"}
"""Without a pool, a test can take the database away."""


@pytest.fixture
def environment() -> dict[str, str]:
    return OFFER


@pytest.fixture(scope="session")
def options_with_keys(launch_options) -> dict[str, Any]:
    """How to start a Chromium that keeps keys in software. A machine without a TPM would bind no session otherwise."""
    return {**launch_options, "args": [*launch_options["args"], WITH_KEYS]}


@pytest.fixture(scope="session")
def chromium_with_keys(playwright, options_with_keys) -> Iterator[Browser]:
    browser = playwright.chromium.launch(**options_with_keys)
    yield browser
    browser.close()


@pytest.fixture
def new_device(chromium_with_keys, site) -> Iterator[Callable[..., Device]]:
    """Opens browsers, each with its own keys: of different users, or of a user and an attacker."""
    with contexts_of(chromium_with_keys, base_url=site.origin) as new_context:
        yield lambda **options: Device(new_context(**options), site)


@pytest.fixture
def device(new_device) -> Device:
    """The user's browser."""
    return new_device()


@pytest.fixture
def bound(device, person) -> Device:
    """A browser in which the user has signed in, and which has proved the possession of its key once."""
    device.bind(person)
    return device
