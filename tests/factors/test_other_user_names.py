"""Factors of users whose name is a number, and whose primary key is a UUID."""

import pytest

from tests.accounts.people.process import in_project

pytestmark = pytest.mark.long  # It starts a process.

WHOLE_LIFE = """
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


def test_are_set_up_and_asked_for():
    assert in_project("people.Worker", WHOLE_LIFE) == [200, 200, 401, 200, 200, 200, "4711"]
