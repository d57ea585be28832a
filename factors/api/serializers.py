"""The input and the output of the API of factors."""

from typing import Any

from rest_framework import serializers

from tokens.api.public import Flag, ProofInput, Text

MAX_CODE = 100
"""Characters of a code. A code has six, and people write blanks between them."""


class ChangeInput(ProofInput):
    end_other_sessions = Flag(required=False, help_text="Sign out everywhere else too. The default is false.")


class ConfirmTotpInput(ChangeInput):
    code = Text(max_length=MAX_CODE, help_text="The code that the app shows now.")


class TotpOutput(serializers.Serializer[Any]):
    created_at = serializers.DateTimeField()


class FactorsOutput(serializers.Serializer[Any]):
    offered = serializers.ListField(child=serializers.CharField(), help_text="The factors that this account has.")
    totp = TotpOutput(allow_null=True, help_text="The authenticator app.")
    recovery_codes_left = serializers.IntegerField()


class EnrolmentOutput(serializers.Serializer[Any]):
    """It is in this answer only."""

    secret = serializers.CharField(help_text="In base32.")
    otpauth_uri = serializers.CharField(help_text="For a QR code, or a link on a phone.")


class RecoveryCodesOutput(serializers.Serializer[Any]):
    """They are in this answer only."""

    recovery_codes = serializers.ListField(child=serializers.CharField())
