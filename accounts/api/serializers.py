"""The input of the API of accounts."""

from typing import Any, ClassVar

from rest_framework import serializers

from accounts import users
from accounts.addresses import MAX_ADDRESS, validate_new_address
from accounts.forms import MAX_TOKEN
from accounts.models import MAX_NAME, MAX_PASSWORD
from tokens.api.public import ProofInput, Text


class Email(Text, serializers.EmailField):
    """A JSON string that is an e-mail address."""


def _password() -> Text:
    return Text(max_length=MAX_PASSWORD, trim_whitespace=False)


class _Named(serializers.Serializer[Any]):
    """Takes the user name too, if it is not the e-mail address. The field has the name of USERNAME_FIELD."""

    is_name_required: ClassVar[bool]
    name_help: ClassVar[str] = ""

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        if (field := users.name_field()) is not None:
            name = Text(max_length=MAX_NAME, required=self.is_name_required, help_text=self.name_help)
            fields = {field.name: name, **fields}
        return fields

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Move the user name to the key ``name``."""
        field = users.name_field()
        return attrs if field is None else {**attrs, "name": attrs.pop(field.name, None)}


class EmailInput(serializers.Serializer[Any]):
    email = Email(max_length=MAX_ADDRESS)


class NewEmailInput(serializers.Serializer[Any]):
    email = Email(max_length=MAX_ADDRESS, validators=[validate_new_address])


class EmailChangeInput(NewEmailInput, ProofInput):
    pass


class RegistrationInput(_Named, NewEmailInput):
    is_name_required = True
    password = _password()


class TokenInput(serializers.Serializer[Any]):
    token = Text(max_length=MAX_TOKEN)


class ConfirmEmailInput(_Named, TokenInput):
    is_name_required = False
    name_help = "For a registration whose user name is taken: another one."
    password = Text(
        max_length=MAX_PASSWORD,
        trim_whitespace=False,
        required=False,
        help_text="Required if the link confirms a registration: the password given there, or a new one.",
    )


class PasswordChangeInput(serializers.Serializer[Any]):
    refresh_token = Text(max_length=MAX_TOKEN, required=False)
    current_password = _password()
    new_password = _password()


class FirstPasswordInput(ProofInput):
    new_password = _password()


class PasswordResetInput(TokenInput):
    password = _password()
