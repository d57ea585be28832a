"""The input and the output of the API."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty
from rest_framework.request import Request

from tokens.conf import BODY, token_settings
from tokens.hashers import MAX_PASSWORD
from tokens.models import RefreshToken
from tokens.protocol.access_tokens import AccessToken, instant
from tokens.service.addresses import address_field
from tokens.service.devices import MAX_NAME, without_control_characters
from tokens.service.issuing import IssuedTokens
from tokens.web.operations import reopening

_NAMES_OF_USERS = ("username", "email", "login", "user")
_OTHER_NAMES = {
    "refresh_token": ("refresh", "refreshToken"),
    "password": ("password1", "new_password", "new_password1"),
    "current_password": ("old_password", "oldPassword", "password"),
    "new_password": ("new_password1", "newPassword", "password1"),
    "token": ("key", "uid"),
}
"""The names that APIs of other packages have for our fields."""
MAX_LOGIN = 254
"""Characters of what a user signs in with: a user name or an e-mail address."""
MAX_TOKEN = 4096
"""Characters of a refresh token."""


class Text(serializers.CharField):
    """A JSON string. A number is not valid."""

    def run_validation(self, data: Any = empty) -> Any:
        # First, because `str()` of a deeply nested list raises a RecursionError.
        if data is not empty and data is not None and not isinstance(data, str):
            self.fail("invalid")
        return super().run_validation(data)


class Flag(serializers.BooleanField):
    """``true`` or ``false``. A string is not valid."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class Answer(serializers.JSONField):
    """Any JSON that can be written again.

    Neither hashers nor databases take lone surrogates, and what is nested too deeply raises a `RecursionError`.
    """

    def to_internal_value(self, data: Any) -> Any:
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except (UnicodeEncodeError, RecursionError):
            self.fail("invalid")
        return data


def _first_mode() -> str:
    return token_settings().modes[0]


class SignInInput(serializers.Serializer[Any]):
    """What a session is opened with."""

    remember = Flag(required=False, help_text="The default is false. REMEMBER can limit it.")
    device_name = Text(max_length=MAX_NAME, validators=[without_control_characters], required=False)
    device_token = Text(max_length=100, required=False)
    mode = Text(default=_first_mode, help_text="By default the first of MODES.")

    def validate_mode(self, mode: str) -> str:
        if mode not in token_settings().modes:
            modes = ", ".join(token_settings().modes)
            text = _("This server does not serve this mode. Its setting MODES has: %(modes)s.") % {"modes": modes}
            raise serializers.ValidationError(text, code="mode")
        return mode


class LoginInput(SignInInput):
    """``name`` is what was given in the field with the name of USERNAME_FIELD, or in ``email``."""

    password = Text(max_length=MAX_PASSWORD, trim_whitespace=False)

    def get_fields(self) -> dict[str, Any]:
        """Return the fields, first that of the user name. Where it is not ``email``, one of the two is required."""
        name, of_session = get_user_model().USERNAME_FIELD, super().get_fields()
        fields = {"password": of_session.pop("password"), **of_session}
        if name == "email":
            return {name: Text(max_length=MAX_LOGIN), **fields}
        either = f"The user name or the e-mail address. One of `{name}` and `email` is required."
        of_user = {field: Text(max_length=MAX_LOGIN, required=False, help_text=either) for field in (name, "email")}
        return {**of_user, **fields}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        name = get_user_model().USERNAME_FIELD
        given = [attrs.pop(field) for field in (name, "email") if field in attrs]
        if not given:
            raise serializers.ValidationError({name: self.fields[name].error_messages["required"]}, code="required")
        return {**attrs, "name": given[0]}


class RefreshInput(serializers.Serializer[Any]):
    refresh_token = Text(max_length=MAX_TOKEN, required=False)


class AnswerInput(serializers.Serializer[Any]):
    """The answer to one of the user's factors (`tokens.web.factors`)."""

    method = Text(max_length=MAX_NAME, required=False, help_text="The name of a factor, as in `offered`.")
    answer = Answer(required=False, help_text="The code, or what the factor expects.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("method" in attrs) != ("answer" in attrs):
            missing = "answer" if "method" in attrs else "method"
            raise serializers.ValidationError(
                {missing: serializers.Field.default_error_messages["required"]}, code="required"
            )
        return attrs


class FactorInput(serializers.Serializer[Any]):
    method = Text(max_length=50, help_text="One of those in `offered`.")
    answer = Answer(required=False, allow_null=True, help_text="A text, such as a code, or what the factor takes.")
    pending = Text(max_length=MAX_TOKEN, required=False, help_text="In `body` mode: from the answer to the sign-in.")
    device_token = Text(max_length=100, required=False)
    trust_device = Flag(
        required=False,
        help_text="Do not ask for the second factor on this device, for `trust_device_for` seconds. The default is "
        "false. It counts only if the answer to the sign-in has `trust_device_for`.",
    )


class ReauthenticationInput(AnswerInput, RefreshInput):
    """`password`, or `method` and `answer`. Without an answer, the client gets what it needs before (`options`)."""

    password = Text(max_length=MAX_PASSWORD, trim_whitespace=False, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if {*attrs} - {"refresh_token"} == {"method"}:
            return attrs
        if not {"password", "method", "answer"} & {*attrs}:
            required = self.fields["password"].error_messages["required"]
            raise serializers.ValidationError({"password": required}, code="required")
        return super().validate(attrs)


class ProofInput(AnswerInput):
    """One of these, or the refresh cookie, proves that the client has more than an access token."""

    refresh_token = Text(max_length=MAX_TOKEN, required=False, help_text="Required in `body` mode.")
    current_password = Text(
        max_length=MAX_PASSWORD,
        trim_whitespace=False,
        required=False,
        help_text="Or `method` and `answer`, if the session has no refresh token. The sign-in then need not be recent.",
    )


class DeviceNameInput(ProofInput):
    device_name = Text(max_length=MAX_NAME, validators=[without_control_characters])


def valid(kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """Return the validated body of a request. Raise `ValidationError`, which is answered with the errors."""
    serializer = kind(data=request.data)
    if not serializer.is_valid():
        raise serializers.ValidationError(
            {
                field: _naming_the_others(field, found, {*request.data} - {*serializer.fields})
                for field, found in serializer.errors.items()
            }
        )
    validated: dict[str, Any] = serializer.validated_data
    return validated


def refuse_others_token(request: Request) -> None:
    """Raise `ValidationError` if the body has a refresh token in a field of another package's API, and not in ours.

    Call it for a request without a refresh token. It would otherwise be answered as if it had sent nothing.
    """
    missing = [ErrorDetail("", "required")]
    found = _naming_the_others("refresh_token", missing, {*request.data})
    if found is not missing:
        raise serializers.ValidationError({"refresh_token": found})


def _naming_the_others(field: str, errors: list[Any], unread: set[str]) -> list[Any]:
    """Return the errors of a field. If it is missing, and the body has one of another package, name that one too.

    ``unread``: the fields of the body that the API does not read.
    """
    others = _NAMES_OF_USERS if field == get_user_model().USERNAME_FIELD else _OTHER_NAMES.get(field, ())
    theirs = next((name for name in others if name in unread), None)
    if theirs is None or [error.code for error in errors] != ["required"]:
        return errors
    text = _("This field is required. This API does not read the field %(name)s.") % {"name": theirs}
    return [ErrorDetail(text, "required")]


def text_of(moment: datetime) -> str:
    """Return a time as the API writes it (RFC 3339, UTC, whole seconds)."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def user_data(user: Any) -> dict[str, Any]:
    """Return the user, as the API shows them to themselves."""
    field = address_field()
    return {"id": str(user.pk), "email": None if field is None else getattr(user, field)}


def actor_data(actor: Any) -> dict[str, Any] | None:
    """Return the person who impersonates the user, as the API shows them. None: nobody does."""
    return None if actor is None else {"id": str(actor.pk), "name": actor.get_username()}


def session_data(session: RefreshToken, current: UUID | None) -> dict[str, Any]:
    """Return a session, as the API shows it to its user. ``current`` is the id of the session of the request."""
    amr = session.amr
    return {
        "id": str(session.id),
        "device": {"name": session.device.name},
        "mode": session.mode,
        "created_at": text_of(session.created_at),
        "last_used_at": text_of(session.last_used_at),
        "ip": session.ip,
        "bound": session.bound_at is not None,
        "amr": amr,
        "acr": token_settings().acr_of(amr),
        "actor": actor_data(session.actor),
        "idle": session.is_idle(timezone.now()),
        "lacks_factor": reopening.lacks_factor(session),
        "current": session.id == current,
    }


def who_data(user: Any, session: RefreshToken | None, access: AccessToken | None) -> dict[str, Any]:
    """Return the user, the session, and when the access token expires."""
    return {
        "user": user_data(user),
        "session": session and session_data(session, session.id),
        "access_token_expires_at": access and text_of(instant(access.expires_at)),
    }


def service_token_data(text: str, access: AccessToken) -> dict[str, Any]:
    """Return an access token for services as an answer of OAuth 2.0 (RFC 6749 section 5.1)."""
    return {
        "access_token": text,
        "token_type": "Bearer",
        "expires_in": access.expires_at - access.issued_at,
        "access_token_expires_at": text_of(instant(access.expires_at)),
    }


def token_response(issued: IssuedTokens) -> dict[str, Any]:
    """Return the answer to a client that gets tokens. It contains them only in mode ``body`` (RFC 6749 section 5.1)."""
    data = who_data(issued.user, issued.session, issued.access)
    if issued.session.mode == BODY:
        data |= {
            "access_token": issued.access_token,
            "token_type": "Bearer",
            "expires_in": issued.access.expires_at - issued.access.issued_at,
        }
        data |= {"refresh_token": issued.refresh_token} if issued.refresh_token else {}
        data |= {"device_token": issued.device_token} if issued.device_token else {}
    return data
