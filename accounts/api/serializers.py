"""What goes into the API of accounts."""

from typing import Any

from rest_framework import serializers

from accounts.links import MAX_TOKEN
from accounts.service.passwords import MAX_PASSWORD

MAX_EMAIL = 254
"""Characters (RFC 5321 section 4.5.3.1.3, without the angle brackets)."""


def _password() -> serializers.CharField:
    return serializers.CharField(max_length=MAX_PASSWORD, trim_whitespace=False)


class EmailInput(serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=MAX_EMAIL)


class RegistrationInput(EmailInput):
    password = _password()


class TokenInput(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=MAX_TOKEN)


class PasswordChangeInput(serializers.Serializer[Any]):
    current_password = _password()
    new_password = _password()


class PasswordResetInput(TokenInput):
    password = _password()
