"""A Chromium that keeps keys, and a site that offers to bind sessions to them (device-bound session credentials)."""

from collections.abc import Callable, Iterator

import pytest

from tests.browser.conftest import contexts_of
from tests.browser.device_bound.devices import Device

OFFER = {"TOKENS_DEVICE_BOUND": "offer", "DATABASE_POOL": "0"}
"""Without a pool, a test can take the database away."""


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.chromium_only("no other browser binds sessions to keys"))


@pytest.fixture
def environment() -> dict[str, str]:
    """Offers to bind sessions. By default they use rotation, and no test here would see a proof."""
    return OFFER


@pytest.fixture
def new_device(chromium_with_keys, site) -> Iterator[Callable[..., Device]]:
    """Opens browsers, each with its own keys: of different users, or of a user and an attacker."""
    with contexts_of(chromium_with_keys, base_url=site.origin) as new_context:
        yield lambda **options: Device(new_context(**options), site)


@pytest.fixture
def device(new_device) -> Device:
    """The user's browser, which has keys. One without keys would refresh by rotation, and give no proof."""
    return new_device()


@pytest.fixture
def bound(device, person) -> Device:
    """A browser in which the user has signed in, and which has proved the possession of its key once."""
    device.bind(person)
    return device
