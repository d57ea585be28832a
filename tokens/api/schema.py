"""Describes the API: the serializers of the answers, and the decorator `Operation` of the views.

The description of a view is next to its code. `tokens.api.openapi` turns it into OpenAPI when it is requested.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, TypeVar

from rest_framework import serializers

from tokens.conf import MODES
from tokens.service.addresses import address_field
from tokens.web.http import problems
from tokens.web.http.problems import Problem

F = TypeVar("F", bound=Callable[..., Any])

_SESSION_EXAMPLE = {
    "id": "01a20a65-5189-764f-8426-b0731478d342",
    "device": {"name": "Firefox on Windows"},
    "mode": "cookie",
    "created_at": "2030-01-01T12:00:00Z",
    "last_used_at": "2030-01-01T12:10:00Z",
    "ip": "203.0.113.7",
    "bound": False,
    "amr": ["pwd"],
    "acr": "aal1",
    "actor": None,
    "current": True,
}
_USER_EXAMPLE = {"id": "01a20a65-4511-7180-b9d3-f54cc5d14402", "email": "demo@latchkey.test"}
LOGIN_EXAMPLE = {"email": "demo@latchkey.test", "password": "latchkey-demo", "remember": True}
FACTOR_EXAMPLE = {"method": "totp", "answer": "123456"}
_WHO_EXAMPLE = {
    "user": _USER_EXAMPLE,
    "session": _SESSION_EXAMPLE,
    "access_token_expires_at": "2030-01-01T12:10:00Z",
}


class UserOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    email = serializers.CharField(allow_null=address_field() is None)


class DeviceOutput(serializers.Serializer[Any]):
    name = serializers.CharField()


class ActorOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()


class SessionOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    device = DeviceOutput()
    mode = serializers.ChoiceField(choices=MODES)
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(help_text="Rounded down to ten minutes.")
    ip = serializers.CharField(allow_null=True)
    bound = serializers.BooleanField(help_text="Whether a key of the device refreshes the session, and no token does.")
    amr = serializers.ListField(
        child=serializers.CharField(), help_text="How the user has authenticated (RFC 8176). Empty: it is not known."
    )
    acr = serializers.CharField(allow_null=True, help_text="The level that these methods support.")
    actor = ActorOutput(allow_null=True, help_text="Who uses the account in the place of its user. Null: the user.")
    idle = serializers.BooleanField(help_text="Whether it was not used for too long, and a factor reopens it.")
    lacks_factor = serializers.BooleanField(help_text="Whether it is asked for a factor at its next refresh.")
    current = serializers.BooleanField(help_text="Whether this request was authenticated with it.")


class WhoOutput(serializers.Serializer[Any]):
    user = UserOutput()
    session = SessionOutput()
    access_token_expires_at = serializers.DateTimeField()


class MeOutput(WhoOutput):
    """`session` is null if something else than Latchkey has authenticated the user, such as another middleware."""

    session = SessionOutput(allow_null=True)
    access_token_expires_at = serializers.DateTimeField(allow_null=True)


class GrantOutput(WhoOutput):
    """Tokens are in the body only in `body` mode."""

    access_token = serializers.CharField(required=False)
    token_type = serializers.ChoiceField(choices=["Bearer"], required=False)
    expires_in = serializers.IntegerField(required=False, help_text="Seconds.")
    refresh_token = serializers.CharField(
        required=False, help_text="Replaces the previous one. If it is missing, keep the one you have."
    )
    device_token = serializers.CharField(required=False, help_text="For a new device. Send it at the next sign-in.")


class FactorOutput(GrantOutput):
    """Either the session, or, without an answer, the options."""

    user = UserOutput(required=False)
    session = SessionOutput(required=False)
    access_token_expires_at = serializers.DateTimeField(required=False)
    options = serializers.DictField(
        required=False, allow_null=True, help_text="What a passkey needs. Null: the factor needs nothing."
    )


class ServiceTokenOutput(serializers.Serializer[Any]):
    access_token = serializers.CharField()
    token_type = serializers.ChoiceField(choices=["Bearer"])
    expires_in = serializers.IntegerField(help_text="Seconds.")
    access_token_expires_at = serializers.DateTimeField()


class SessionsOutput(serializers.Serializer[Any]):
    results = SessionOutput(many=True)
    next = serializers.CharField(allow_null=True, help_text="The path of the next page.")


class BoundCookieOutput(serializers.Serializer[Any]):
    type = serializers.ChoiceField(choices=["cookie"])
    name = serializers.CharField()
    attributes = serializers.CharField()


class BoundOutput(serializers.Serializer[Any]):
    """The configuration of a bound session for the browser (W3C: Device Bound Session Credentials)."""

    session_identifier = serializers.UUIDField()
    refresh_url = serializers.CharField()
    scope = serializers.DictField(help_text="Which requests wait for the cookie.")
    credentials = BoundCookieOutput(many=True)
    allowed_refresh_initiators = serializers.ListField(child=serializers.CharField())


class AskedOutput(serializers.Serializer[Any]):
    """The same text, whatever the server has done."""

    detail = serializers.CharField()


CODES = sorted({found.code for found in vars(problems).values() if isinstance(found, Problem)})
"""The codes of all problems, so that the compiler of a typed client can check that it handles each."""


class ProblemOutput(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.ChoiceField(choices=CODES, help_text="Stable, for programs.")
    detail = serializers.CharField()
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="The errors of each field.",
    )
    offered = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="The factors of the account, of which one is to be answered.",
    )
    verify = serializers.CharField(
        required=False, allow_null=True, help_text="With `factor_required`: where to send the answer."
    )
    trust_device_for = serializers.IntegerField(
        required=False, help_text="For how many seconds the device can be trusted (`trust_device`), if it can."
    )
    pending = serializers.CharField(
        required=False, help_text="With `factor_required` in `body` mode: what to send with the answer."
    )


_EXAMPLES: dict[Any, Any] = {
    GrantOutput: _WHO_EXAMPLE,
    FactorOutput: _WHO_EXAMPLE,
    WhoOutput: _WHO_EXAMPLE,
    ServiceTokenOutput: {
        "access_token": "eyJhbGciOiJFZERTQSIs…",
        "token_type": "Bearer",
        "expires_in": 600,
        "access_token_expires_at": "2030-01-01T12:10:00Z",
    },
    SessionOutput: _SESSION_EXAMPLE,
    SessionsOutput: {"results": [_SESSION_EXAMPLE], "next": None},
}
ANYWHERE = (problems.CROSS_ORIGIN, problems.UNAVAILABLE)
WITH_BODY = (
    problems.INVALID,
    problems.MALFORMED,
    problems.LENGTH_REQUIRED,
    problems.PAYLOAD_TOO_LARGE,
    problems.UNSUPPORTED_MEDIA_TYPE,
)
SIGNED_IN = (problems.NOT_AUTHENTICATED, problems.TOKEN_EXPIRED, problems.SESSION_ENDED, problems.SESSION_IDLE)
"""The problems of an operation that needs a signed-in user."""
PROVEN = (
    *SIGNED_IN,
    problems.REFRESH_TOKEN_REQUIRED,
    problems.INVALID_CREDENTIALS,
    problems.PERMISSION_DENIED,
    problems.TOO_MANY_PASSWORDS,
)
"""The problems of an operation that takes a `ProofInput`."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the query, or in a header, as ``location`` says."""

    name: str
    type: type
    description: str
    location: Literal["query", "header"] = "query"
    required: bool = False


class Operation:
    """Decorates the method of a view with its description.

    ``takes`` and ``answers`` are serializers, or None for no body. ``status`` is that of success. ``name`` is the id of
    the operation, if path and method do not make a unique one. The problems `ANYWHERE`, and with a body `WITH_BODY`,
    are added to every operation.
    """

    def __init__(
        self,
        summary: str,
        *problems_of_its_own: Problem,
        answers: Any = None,
        status: int = HTTPStatus.OK,
        takes: Any = None,
        example: Any = None,
        example_input: Any = None,
        parameters: Sequence[Parameter] = (),
        name: str | None = None,
    ) -> None:
        self.summary = summary
        self.problems = [*problems_of_its_own, *ANYWHERE, *(WITH_BODY if takes else ())]
        self.answers = answers
        self.status = int(status)
        self.takes = takes
        self.example = example or _EXAMPLES.get(answers)
        self.example_input = example_input
        self.parameters = parameters
        self.name = name

    def __call__(self, method: F) -> F:
        method.operation = self  # type: ignore[attr-defined]
        return method
