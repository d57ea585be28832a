"""Passkeys by the API: created, used to sign in, as a second step and for a change, renamed, removed."""

import json

import pytest

from tests.browsers import ACCESS, FIREFOX, REFRESH, AsyncBrowser, post
from tests.factors.passkey_steps import PASSKEYS, answer, sign_in
from tests.factors.steps import later

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]


def test_signs_in_without_a_password(device, another):
    browser = another()
    answer = sign_in(browser, device)
    assert answer.status_code == 200, answer.content
    session = answer.json()["session"]
    assert (session["amr"], session["acr"]) == (["pop", "user", "mfa"], "aal2")
    assert {ACCESS, REFRESH} <= {*answer.cookies}
    assert browser.get("/api/auth/me").status_code == 200


def test_is_a_second_step_after_the_password(device, another, user):
    browser = another()
    begun = post(browser, "/api/auth/login", {"email": user.email, "password": "correct horse battery staple"})
    assert (begun.status_code, begun.json()["offered"]) == (401, ["passkey"])
    answered = answer(browser, device)
    assert answered.status_code == 200, answered.content
    assert answered.json()["session"]["amr"] == ["pwd", "pop", "user", "mfa"]


def test_reauthenticates(device, signed_in, clock):
    later(signed_in, clock)
    answered = answer(signed_in, device, "/api/auth/reauthenticate")
    assert answered.status_code == 200, answered.content
    assert "pop" in answered.json()["session"]["amr"]


def test_is_listed_renamed_and_removed(device, signed_in):
    listed = signed_in.get(PASSKEYS).json()
    [found] = listed["passkeys"]
    assert (found["name"], found["can_sync"], found["is_discoverable"]) == ("iCloud Keychain", True, True)
    assert listed["accepted"]["credential_ids"] == [found["credential_id"]]
    path = f"{PASSKEYS}/{found['id']}"
    renamed = signed_in.patch(path, {"name": "my phone"}, content_type="application/json")
    assert renamed.json()["passkey"]["name"] == "my phone", renamed.content
    assert signed_in.delete(path).json()["accepted"]["credential_ids"] == []
    assert signed_in.get(PASSKEYS).json()["passkeys"] == []


def test_signs_in_under_asgi(device):
    browser = AsyncBrowser(headers={"User-Agent": FIREFOX})
    assert sign_in(browser, device).status_code == 200
    options = browser.post("/account/passkeys/options", {"for": "sign-in"}).json()["options"]
    answer = browser.post("/sign-in/passkey", {"answer": json.dumps(device.sign(options)), "next": "/devices"})
    assert answer["Location"] == "/devices"
    assert browser.get("/api/auth/me").json()["session"]["amr"] == ["pop", "user", "mfa"]
