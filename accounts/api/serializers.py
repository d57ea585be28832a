"""The input of the API of accounts."""

from typing import Any

from rest_framework import serializers

from accounts.links import MAX_TOKEN
from accounts.models import MAX_PASSWORD
from tokens.api.public import Text

MAX_EMAIL = 254
"""Characters of an e-mail address (RFC 5321 section 4.5.3.1.3, without the angle brackets)."""


class Email(Text, serializers.EmailField):
    """A JSON string that is an e-mail address."""


def _password() -> Text:
    return Text(max_length=MAX_PASSWORD, trim_whitespace=False)


class EmailInput(serializers.Serializer[Any]):
    email = Email(max_length=MAX_EMAIL)


class RegistrationInput(EmailInput):
    password = _password()


class TokenInput(serializers.Serializer[Any]):
    token = Text(max_length=MAX_TOKEN)


class PasswordChangeInput(serializers.Serializer[Any]):
    current_password = _password()
    new_password = _password()


class PasswordResetInput(TokenInput):
    password = _password()
