"""Each operation of the API succeeds once, and its response matches the OpenAPI description.

Schemathesis sends what the description allows (`tests.tokens.api.test_schema`). Most of that is rejected, because it
knows no password and no link from a mail.
"""

from urllib.parse import urlencode

import pytest
import requests
import schemathesis
from schemathesis.core.transport import Response

from tests.accounts.steps import NAMED
from tests.attacks.entry_points import AS_SERVICE, INTROSPECTION
from tests.browsers import post
from tests.factories import PASSWORD
from tests.factors.authenticator import Authenticator
from tests.factors.steps import code
from tests.tokens.api.test_schema import OPERATIONS, described
from tokens import sessions

EMAIL, ANOTHER_EMAIL = "ada@example.org", "ada@example.net"
NEW_PASSWORD, LAST_PASSWORD = "another long passphrase", "the third long passphrase"
FORM = "application/x-www-form-urlencoded"
ONLY_FOR_BROWSERS = {("/api/auth/device/register", "post"), ("/api/auth/device/refresh", "post")}
"""Operations that a browser calls by itself, over HTTPS. `tests.tokens.web.test_device_bound` tests them."""


def two_factors(request, user, methods):
    return sessions.Open() if "kba" in methods else sessions.MoreNeeded()


class Question(sessions.Factor):
    """A second factor, which everybody has."""

    name = "question"

    def is_available(self, user):
        return True

    def verify(self, request, user, answer):
        return ["kba"] if answer == "cat" else None


class Caller:
    """Calls operations, and validates each response against the description. ``succeeded`` holds those called."""

    def __init__(self, client):
        self._client = client
        self._schema = schemathesis.openapi.from_dict(described())
        self.succeeded: set[tuple[str, str]] = set()

    def __call__(self, method, path, data=None, *, of="", **headers):
        """Call an operation, and return its JSON. ``of``: the path in the description, if ``path`` fills in an ID."""
        body, content_type = (urlencode(data), FORM) if path == "introspect" else (data, "application/json")
        response = getattr(self._client, method)(f"/api/auth/{path}", body, content_type=content_type, headers=headers)
        assert 200 <= response.status_code < 300, response.content
        described_path = f"/api/auth/{of or path}"
        request = requests.Request(method.upper(), f"https://testserver{described_path}").prepare()
        fields = {name.lower(): [value] for name, value in response.items()}
        self._schema[described_path][method.upper()].validate_response(
            Response(response.status_code, fields, response.content, request, elapsed=0, verify=False)
        )
        self.succeeded.add((described_path, method))
        return response.json() if response.content else None


@pytest.mark.long
@pytest.mark.django_db
def test_each_operation_responds_as_the_description_says(api, settings, token_in, clock):
    settings.TOKENS = {**INTROSPECTION, "MODES": ["cookie", "body"], "SERVICE_AUDIENCE": "services"}
    call = Caller(api)
    call("post", "register", {"email": EMAIL, "password": PASSWORD, **NAMED})
    call("post", "email/confirm", {"token": token_in(EMAIL), "password": PASSWORD})
    granted = call("post", "login", {"email": EMAIL, "password": PASSWORD, "mode": "body", "device_name": "Laptop"})
    assert call("post", "introspect", {"token": granted["access_token"]}, **AS_SERVICE)["active"] is True
    call("post", "refresh", {"refresh_token": granted["refresh_token"]})
    call("post", "login", {"email": EMAIL, "password": PASSWORD})
    assert call("post", "service-token")["access_token"]
    own = call("get", "me")["session"]["id"]
    assert {session["id"] for session in call("get", "sessions")["results"]} > {own}
    call("patch", f"sessions/{own}", {"device_name": "Desk"}, of="sessions/{session_id}")
    assert call("get", "me")["session"]["device"]["name"] == "Desk"
    call("delete", "sessions")
    call("post", "login", {"email": EMAIL, "password": PASSWORD, "mode": "body"})
    [other] = [session["id"] for session in call("get", "sessions")["results"] if session["id"] != own]
    call("delete", f"sessions/{other}", of="sessions/{session_id}")
    call("post", "reauthenticate", {"password": PASSWORD})
    call("post", "password/change", {"current_password": PASSWORD, "new_password": NEW_PASSWORD})
    call("post", "email/change", {"email": ANOTHER_EMAIL})
    call("post", "email/confirm", {"token": token_in(ANOTHER_EMAIL)})
    call("post", "logout")
    call("post", "password/reset", {"email": ANOTHER_EMAIL})
    call("post", "password/reset/confirm", {"token": token_in(ANOTHER_EMAIL), "password": LAST_PASSWORD})
    settings.TOKENS = {
        **settings.TOKENS,
        "FACTORS": [f"{__name__}.Question", "factors.passkeys.PasskeyFactor"],
        "SIGN_IN_POLICY": f"{__name__}.two_factors",
    }
    post(api, "/api/auth/login", {"email": ANOTHER_EMAIL, "password": LAST_PASSWORD})
    call("post", "factor", {"method": "question", "answer": "cat"})
    secret = call("post", "factors/totp")["secret"]
    assert len(call("post", "factors/totp/confirm", {"code": code(secret, clock.now)})["recovery_codes"]) == 10
    assert len(call("post", "factors/recovery-codes")["recovery_codes"]) == 10
    assert call("get", "factors")["recovery_codes_left"] == 10
    call("delete", "factors/totp")
    device = Authenticator()
    options = call("post", "factors/passkeys")["options"]
    made = call("post", "factors/passkeys", {"credential": device.create(options)})["passkey"]
    assert call("get", "factors/passkeys")["passkeys"] == [made]
    each = {"of": "factors/passkeys/{passkey_id}"}
    call("patch", f"factors/passkeys/{made['id']}", {"name": "Phone"}, **each)
    del settings.TOKENS["SIGN_IN_POLICY"]
    settings.TOKENS = {**settings.TOKENS}
    options = call("post", "passkey")["options"]
    assert call("post", "passkey", {"answer": device.sign(options)})["session"]["acr"] == "aal2"
    call("delete", f"factors/passkeys/{made['id']}", **each)
    call("delete", "me")
    assert call.succeeded == set(OPERATIONS) - ONLY_FOR_BROWSERS
