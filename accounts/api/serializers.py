"""The input of the API of accounts."""

from typing import Any

from rest_framework import serializers

from accounts.addresses import MAX_ADDRESS, validate_new_address
from accounts.links import MAX_TOKEN
from accounts.models import MAX_PASSWORD
from tokens.api.public import ProofInput, Text


class Email(Text, serializers.EmailField):
    """A JSON string that is an e-mail address."""


def _password() -> Text:
    return Text(max_length=MAX_PASSWORD, trim_whitespace=False)


class EmailInput(serializers.Serializer[Any]):
    email = Email(max_length=MAX_ADDRESS)


class NewEmailInput(serializers.Serializer[Any]):
    email = Email(max_length=MAX_ADDRESS, validators=[validate_new_address])


class EmailChangeInput(NewEmailInput, ProofInput):
    pass


class RegistrationInput(NewEmailInput):
    password = _password()


class TokenInput(serializers.Serializer[Any]):
    token = Text(max_length=MAX_TOKEN)


class ConfirmEmailInput(TokenInput):
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


class PasswordResetInput(TokenInput):
    password = _password()
