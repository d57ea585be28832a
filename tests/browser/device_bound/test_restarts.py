"""A browser is closed, or dies, and is opened again: its key is there, and the session goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Playwright

from tests.browser.device_bound.conftest import with_keys
from tests.browser.device_bound.devices import Device, bound_sessions
from tests.browser.device_bound.test_outages import is_told_to_come_back
from tests.browser.profiles import Profile, profile_kept
from tests.browser.sites import Certificate, Site


@pytest.fixture
def profile(playwright: Playwright, certificate: Certificate, site: Site, tmp_path: Path) -> Iterator[Profile]:
    with profile_kept(playwright, tmp_path / "profile", base_url=site.origin, **with_keys(certificate)) as found:
        yield found


def test_it_is_closed_and_later_dies(profile, site, person):
    device = Device(profile.open(), site)
    device.bind(person, remember=True)
    device.context.close()

    device = Device(profile.open(), site)
    device.sees(person)
    device.expire()
    device.sees(person)
    device.wait_for_refresh()
    profile.kill()

    device = Device(profile.open(), site)
    device.sees(person)
    device.expire()
    device.sees(person)
    device.wait_for_refresh()
    assert [row["revoked_reason"] for row in site.sessions(person)] == [""]


def test_it_has_no_signature_left_and_is_opened_again(profile, site, person):
    device = Device(profile.open(), site)
    device.bind(person, remember=True)
    for _ in range(4):
        device.expire()
        device.sees(person)
    device.expire()
    is_told_to_come_back(device)
    device.context.close()

    device = Device(profile.open(), site)
    device.sees(person)
    device.wait_for_refresh()


def test_whoever_was_not_to_be_remembered_is_not(profile, site, person):
    """The key outlives the browser; the session must not."""
    device = Device(profile.open(), site)
    device.bind(person)
    device.context.close()

    device = Device(profile.open(), site)
    device.sees(None)
    assert device.wait_for_end()
    assert bound_sessions(site, person), "anybody can say that a browser was closed: the row goes by its idle end"
