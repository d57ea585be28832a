"""Sessions bound to the device: what a browser with a key of its own is told, and what everybody else is."""

from typing import Any

import pytest
from django.test import Client

from tests.browsers import ACCESS, REFRESH
from tests.tokens.devices import OFFER, Device

pytestmark = pytest.mark.django_db


@pytest.fixture
def _offered(settings: Any) -> None:
    settings.TOKENS = OFFER


@pytest.mark.usefixtures("_offered")
@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_browser_registers_proves_its_key_and_refreshes_by_it(api: Client, user: Any, algorithm: str) -> None:
    device = Device(api, algorithm).sign_in(user)
    assert device.register().status_code == 200
    answer = device.refresh()
    assert answer.status_code == 200
    assert answer.cookies[ACCESS].value
    assert answer.cookies[REFRESH]["max-age"] == 0
    assert api.get("/api/auth/me").json()["session"]["id"] == device.sid
    assert set(device.refresh().cookies) == {ACCESS}
