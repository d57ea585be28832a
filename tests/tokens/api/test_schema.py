"""The API's description agrees with what the server does: Schemathesis tests every operation of it."""

from functools import cache
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from tests.browsers import login
from tokens.web.requests import WSGIRequest

pytestmark = pytest.mark.long

METHODS = {"get", "post", "put", "patch", "delete"}
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
limits = hypothesis_settings(
    max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
few = hypothesis_settings(limits, max_examples=2)
"""For requests that a view refuses before it reads what was sent."""


class Application(WSGIHandler):
    """The application that `config.wsgi` makes, without the static files around it."""

    request_class = WSGIRequest

    def __call__(self, environ: Any, start_response: Any) -> Any:
        # As Django's test client does: otherwise the request would close the connection of the test's transaction.
        request_started.disconnect(close_old_connections)
        request_finished.disconnect(close_old_connections)
        try:
            return [b"".join(super().__call__(environ, start_response))]
        finally:
            request_started.connect(close_old_connections)
            request_finished.connect(close_old_connections)


@cache
def described() -> dict[str, Any]:
    """Return the API's description, as the server gives it. No test changes it."""
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return found


OPERATIONS = [(path, method) for path, found in described()["paths"].items() for method in found if method in METHODS]
every_operation = pytest.mark.parametrize(
    ("path", "method"), OPERATIONS, ids=[f"{method} {path}" for path, method in OPERATIONS]
)


def test_the_description_is_valid_and_complete(capsys):
    validate_schema(described())
    assert len(OPERATIONS) >= 17
    assert capsys.readouterr().err == ""  # drf-spectacular reports there what it could not find out.


@every_operation
def test_every_operation_has_a_summary_and_an_example_of_each_problem(path, method):
    operation = described()["paths"][path][method]
    assert operation["summary"]
    for status, response in operation["responses"].items():
        if int(status) >= 400:
            examples = response["content"]["application/problem+json"]["examples"]
            assert all(example["value"]["status"] == int(status) for example in examples.values())


def test_a_typed_client_learns_the_fields_and_the_codes():
    schemas = described()["components"]["schemas"]
    assert {"token_expired", "session_ended", "reauthentication_required"} < set(schemas["CodeEnum"]["enum"])
    assert schemas["DeviceNameInputRequest"]["required"] == ["device_name"]
    assert "default" not in schemas["LoginInputRequest"]["properties"]["remember"]
    # Either is enough. One requirement with both would demand both.
    assert described()["paths"]["/api/auth/me"]["get"]["security"] == [{"accessCookie": []}, {"bearer": []}]


@pytest.mark.django_db
@pytest.mark.at_length_on("sqlite")
# Schemathesis makes its e-mail addresses so.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize(
    ("is_signed_in", "generation"),
    [
        pytest.param(True, GenerationMode.POSITIVE, id="signed in, good input"),
        pytest.param(True, GenerationMode.NEGATIVE, id="signed in, bad input", marks=pytest.mark.exhaustive),
        pytest.param(False, GenerationMode.POSITIVE, id="not signed in, good input", marks=pytest.mark.exhaustive),
        pytest.param(False, GenerationMode.NEGATIVE, id="not signed in, bad input"),
    ],
)
@every_operation
def test_every_operation_does_what_it_says(api, user, settings, path, method, is_signed_in, generation):
    settings.TOKENS = {"MODES": ["cookie", "scoped", "body"], "DEVICE_BOUND": "offer", "SERVICE_AUDIENCE": "services"}
    headers = {}
    if is_signed_in:
        headers["Authorization"] = f"Bearer {login(api, user, mode='body')['access_token']}"
    operation = schemathesis.openapi.from_dict(described())[path][method.upper()]
    application = Application()
    is_read = is_signed_in or {} in described()["paths"][path][method].get("security", [{}])

    @(limits if is_read else few)
    @given(operation.as_strategy(generation_mode=generation))
    def conforms(case: Any) -> None:
        case.call_and_validate(app=application, base_url="https://testserver", headers=headers, checks=CHECKS)

    conforms()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/schema", "/api/docs"])
def test_the_description_and_a_page_for_trying_it_are_served(api, path):
    response = api.get(path, headers={"Accept": "*/*"})
    assert response.status_code == 200
    assert "http" not in response.headers.get("Location", "")
