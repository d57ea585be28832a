"""Factors of users of other models: without an e-mail address, with integers as primary keys, and with UUIDs."""

import pytest

from tests.accounts.people.process import in_project

pytestmark = pytest.mark.long  # It starts three processes.

PASSKEYS = """
from django.test import override_settings
from tests.factors.authenticator import Authenticator
from factors.models import Passkey, UserHandle
def send(browser, path, data):
    return browser.post(path, data, content_type="application/json", headers={"Accept": "application/json"})
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
BOTH = """
from django.test import override_settings
from django.utils import timezone
from factors import codes
from tests.factors.authenticator import Authenticator
def send(browser, path, data):
    return browser.post(path, data, content_type="application/json", headers={"Accept": "application/json"})
def code(later):
    return codes.code_at(secret, codes.step_at(timezone.now()) + later)
device, other = Authenticator(), Client()
user = User.objects.create_user(4711, password=PASSWORD)
first = {User.USERNAME_FIELD: "4711", "password": PASSWORD}
with override_settings(ROOT_URLCONF="tests.factors.urls"):
    done = [send(client, "/api/auth/login", first)]
    secret = send(client, "/api/auth/factors/totp", {}).json()["secret"]
    done.append(send(client, "/api/auth/factors/totp/confirm", {"code": code(0)}))
    done.append(send(other, "/api/auth/login", first))
    done.append(send(other, "/api/auth/factor", {"method": "totp", "answer": code(1)}))
    options = send(client, "/api/auth/factors/passkeys", {}).json()["options"]
    done.append(send(client, "/api/auth/factors/passkeys", {"credential": device.create(options)}))
    done.append(client.get("/account/security"))
result = [*(answer.status_code for answer in done), options["user"]["name"]]
"""


@pytest.mark.parametrize("model", ["people.Reader", "auth.User"], ids=["without an address", "Django's own"])
def test_sign_in_by_passkeys_which_go_with_their_users(model):
    assert in_project(model, PASSKEYS) == [200, 200, 200, ["pop", "user", "mfa"], "reader", 0]


def test_whose_name_is_a_number_and_whose_primary_key_is_a_uuid_have_an_app_and_a_passkey():
    assert in_project("people.Worker", BOTH) == [200, 200, 401, 200, 200, 200, "4711"]
