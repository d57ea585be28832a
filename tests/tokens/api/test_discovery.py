"""The metadata for verifiers (RFC 8414): what it has, when there is none, and that it costs no query."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import path

from tests.tokens.api.test_introspection import PATH, ask, basic, digest
from tokens.api.public import authorization_server_metadata, jwks

METADATA = "/.well-known/oauth-authorization-server"
ORIGIN = "https://testserver"
KEYS = {"jwks_uri": f"{ORIGIN}/.well-known/jwks.json"}
NO_PROVIDER = {"response_types_supported": [], "grant_types_supported": []}


urlpatterns = [path("keys", jwks), path(METADATA[1:], authorization_server_metadata)]


def metadata(path: str = METADATA) -> Any:
    response = Client().get(path)
    return response.json() if response.status_code == 200 else response.status_code


def test_it_names_the_issuer_and_the_keys_and_claims_no_part_of_oauth():
    assert metadata() == {"issuer": ORIGIN, **KEYS, **NO_PROVIDER}


@pytest.mark.django_db
def test_it_names_the_introspection_that_answers_by_the_method_it_names(settings):
    settings.TOKENS = {"INTROSPECTION_CLIENTS": [f"api:{digest('a secret of a service')}"]}
    found = metadata()
    assert found["introspection_endpoint"] == f"{ORIGIN}{PATH}"
    assert found["introspection_endpoint_auth_methods_supported"] == ["client_secret_basic"]
    assert ask("a token", basic("api", "a secret of a service")).json() == {"active": False}


@pytest.mark.parametrize("method", ["get", "head"])
def test_every_client_may_store_it_and_it_takes_no_query(method):
    """Without the marker of a database, a query would fail the test."""
    response = getattr(Client(), method)(METADATA)
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    assert {*re.split(r",\s*", response["Cache-Control"])} == {"public", "max-age=300"}
    assert ("Cookie" in response.get("Vary", ""), len(response.cookies)) == (False, 0)


@pytest.mark.parametrize(
    ("issuer", "path", "is_found"),
    [
        ("https://auth.example", METADATA, True),
        ("https://auth.example/", METADATA, True),
        ("https://auth.example/a/b", f"{METADATA}/a/b", True),
        ("https://auth.example/a/", f"{METADATA}/a", True),
        ("https://auth.example/a", METADATA, False),
        ("https://auth.example/a", f"{METADATA}/b", False),
        ("https://auth.example", f"{METADATA}/a", False),
        ("https://auth.example?a=b", METADATA, False),
        ("https://auth.example#a", METADATA, False),
        ("urn:latchkey", METADATA, False),
        ("latchkey", METADATA, False),
        ("https://[half", METADATA, False),
    ],
    ids=lambda given: None if isinstance(given, str) else "found" if given else "not found",
)
def test_it_is_where_the_issuer_says(issuer, path, is_found, settings):
    settings.TOKENS = {"ISSUER": issuer}
    assert metadata(path) == ({"issuer": issuer, **KEYS, **NO_PROVIDER} if is_found else 404)


@pytest.mark.urls("tests.tokens.api.test_discovery")
def test_it_names_the_path_of_the_keys_in_the_project_and_no_api_that_is_not_there(settings):
    settings.TOKENS = {"INTROSPECTION_CLIENTS": [f"api:{digest('a secret of a service')}"]}
    assert metadata() == {"issuer": ORIGIN, "jwks_uri": f"{ORIGIN}/keys", **NO_PROVIDER}


def test_it_names_no_keys_that_the_project_does_not_serve(settings):
    settings.ROOT_URLCONF = (path(METADATA[1:], authorization_server_metadata),)
    assert metadata() == {"issuer": ORIGIN, **NO_PROVIDER}
