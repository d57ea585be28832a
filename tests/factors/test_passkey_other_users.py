"""Passkeys of other user models: with integers as primary keys, without an e-mail address."""

import pytest

from tests.accounts.people.process import in_project

pytestmark = pytest.mark.long  # It starts two processes.

WHOLE_LIFE = """
from django.test import override_settings
from tests.factors.authenticator import Authenticator
from factors.models import Passkey, UserHandle
def send(browser, path, data):
    return browser.post(path, data, content_type="application/json")
device = Authenticator()
user = User.objects.create_user("reader", password=PASSWORD)
with override_settings(ROOT_URLCONF="tests.factors.urls"):
    opened = send(client, "/api/auth/login", {User.USERNAME_FIELD: "reader", "password": PASSWORD})
    options = send(client, "/api/auth/factors/passkeys", {}).json()["options"]
    made = send(client, "/api/auth/factors/passkeys", {"credential": device.create(options)})
    browser = Client()
    options = send(browser, "/api/auth/passkey", {}).json()["options"]
    signed = send(browser, "/api/auth/passkey", {"answer": device.sign(options)})
    listed = browser.get("/api/auth/factors/passkeys").json()
    user.delete()
result = [
    opened.status_code, made.status_code, signed.status_code, signed.json()["session"]["amr"],
    listed["accepted"]["user_name"], Passkey.objects.count() + UserHandle.objects.count(),
]
"""


@pytest.mark.parametrize("model", ["people.Reader", "auth.User"], ids=["without an address", "Django's own"])
def test_sign_in_and_go_with_their_users(model):
    assert in_project(model, WHOLE_LIFE) == [200, 200, 200, ["pop", "user", "mfa"], "reader", 0]
