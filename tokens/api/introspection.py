"""Introspection (RFC 7662): a service asks whether an access token is valid now.

The endpoint answers 404 until INTROSPECTION_CLIENTS names a service. A service sends ``token=…`` as a form, and its id
and secret with HTTP Basic (RFC 6749 section 2.3.1). The answer to anything but a valid access token, also to a refresh
token, is ``{"active": false}`` without a reason.
"""

from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from django.contrib.auth.models import AnonymousUser
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotFound, ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from tokens.api.base import Public, read_bounded
from tokens.api.errors import ProblemError
from tokens.api.schema import Operation
from tokens.api.serializers import Text, valid
from tokens.conf import codec, introspection_clients, token_settings
from tokens.protocol.access_tokens import InvalidAccessToken
from tokens.service import events
from tokens.service.queries import is_active
from tokens.web.http import problems
from tokens.web.http.client import client_of

MAX_PARAMETERS = 20
CLAIMS = ("sub", "client_id", "exp", "iat", "iss", "aud", "jti", "sid", "auth_time", "amr", "acr", "act")
"""The claims in the answer. The service can read the project's own claims in the token."""
NO_STORE = {"Cache-Control": "no-store"}

_EXAMPLE = {
    "active": True,
    "sub": "01a20a65-4511-7180-b9d3-f54cc5d14402",
    "client_id": "latchkey",
    "exp": 1893499800,
    "iat": 1893499200,
    "iss": "https://auth.example.org",
    "aud": "https://auth.example.org",
    "jti": "01a20a65-5189-764f-8426-b0731478d343",
    "sid": "01a20a65-5189-764f-8426-b0731478d342",
    "auth_time": 1893495600,
    "amr": ["pwd"],
    "acr": "aal1",
    "token_type": "Bearer",
}


class IntrospectionInput(serializers.Serializer[Any]):
    token = Text(trim_whitespace=False)
    token_type_hint = Text(required=False, allow_blank=True, help_text="Ignored.")


class ActOutput(serializers.Serializer[Any]):
    sub = serializers.CharField()


class IntrospectionOutput(serializers.Serializer[Any]):
    """The answer of RFC 7662 section 2.2. For a token that is not valid it has only `active`."""

    active = serializers.BooleanField()
    sub = serializers.CharField(required=False)
    client_id = serializers.CharField(required=False)
    exp = serializers.IntegerField(required=False)
    iat = serializers.IntegerField(required=False)
    iss = serializers.CharField(required=False)
    aud = serializers.CharField(required=False)
    jti = serializers.CharField(required=False)
    sid = serializers.UUIDField(required=False, help_text="The session.")
    auth_time = serializers.IntegerField(required=False)
    amr = serializers.ListField(child=serializers.CharField(), required=False, help_text="RFC 8176.")
    acr = serializers.CharField(required=False, help_text="The level that the methods in `amr` support.")
    act = ActOutput(required=False, help_text="Who uses the token in the place of its subject (RFC 8693 section 4.1).")
    token_type = serializers.ChoiceField(choices=["Bearer"], required=False)


class FormParser(BaseParser):
    """Parses a small form in which no parameter is repeated (RFC 6749 section 3.2)."""

    media_type = "application/x-www-form-urlencoded"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> dict[str, str]:
        try:
            text = read_bounded(stream).decode("utf-8")
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
        except ValueError:
            raise ParseError from None
        given = dict(pairs)
        if len(given) < len(pairs):
            raise ParseError
        return given


class IntrospectorAuthentication(BaseAuthentication):
    """Authenticates a service of INTROSPECTION_CLIENTS. Cookies and access tokens are ignored."""

    def authenticate(self, request: Request) -> tuple[Any, str]:
        known = token_settings().introspectors
        spellings = list(_credentials(request.headers.get("Authorization", "")))
        # Both spellings of the credentials are always checked, so that the time reveals nothing.
        found = [id for id, secret in spellings if introspection_clients.is_known(known, id, secret)]
        if not found:
            events.log("introspection refused", ip=client_of(request._request).ip)
            raise ProblemError(problems.INVALID_CLIENT)
        return AnonymousUser(), found[0]


class Introspect(Public):
    authentication_classes = (IntrospectorAuthentication,)
    parser_classes = (FormParser,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if not token_settings().introspectors:
            raise NotFound
        super().initial(request, *args, **kwargs)

    @Operation(
        "Whether an access token is valid now (RFC 7662).",
        problems.INVALID_CLIENT,
        problems.NOT_FOUND,
        answers=IntrospectionOutput,
        takes=IntrospectionInput,
        example=_EXAMPLE,
    )
    def post(self, request: Request) -> Response:
        try:
            text = valid(IntrospectionInput, request)["token"]
        except UnsupportedMediaType:
            raise ProblemError(problems.FORM_EXPECTED) from None
        with suppress(InvalidAccessToken):
            access = codec().loads_expired(text)
            if is_active(access):
                said = {name: access.claims[name] for name in CLAIMS if name in access.claims}
                return Response({"active": True, **said, "token_type": "Bearer"}, headers=NO_STORE)
        return Response({"active": False}, headers=NO_STORE)


def _credentials(header: str) -> Iterator[tuple[str, str]]:
    """Yield the id and secret of HTTP Basic, first as they are, then form-decoded.

    RFC 6749 section 2.3.1 requires form encoding, but many clients, such as curl, do not encode.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return
    try:
        id, _, secret = b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError:
        return
    yield id, secret
    yield unquote_plus(id), unquote_plus(secret)
