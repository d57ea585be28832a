"""The input and the output of the API of factors."""

from typing import Any

from rest_framework import serializers

from tokens.api.public import FactorOutput, Flag, ProofInput, SignInInput, Text
from tokens.sessions import validate_device_name

MAX_NAME, MAX_CEREMONY = 100, 100
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


class PasskeySignInInput(SignInInput):
    answer = serializers.DictField(
        required=False, help_text="What the passkey has signed (AuthenticationResponseJSON)."
    )
    ceremony = Text(
        max_length=MAX_CEREMONY,
        required=False,
        help_text="In mode `body`: the member `ceremony` of the answer that had the options.",
    )


class PasskeySignInOutput(FactorOutput):
    """Either the session, or, without an answer, the options."""

    ceremony = serializers.CharField(required=False, help_text="In mode `body`. Send it with the answer.")


class PasskeyInput(ChangeInput):
    credential = serializers.DictField(required=False, help_text="The new passkey (RegistrationResponseJSON).")
    name = Text(max_length=MAX_NAME, required=False, validators=[validate_device_name])
    quiet = Flag(required=False, help_text="Whether the browser creates it without asking (conditional mediation).")


class PasskeyNameInput(ProofInput):
    name = Text(max_length=MAX_NAME, validators=[validate_device_name])


class PasskeyOutput(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    credential_id = serializers.CharField(help_text="In base64url.")
    name = serializers.CharField()
    authenticator = serializers.CharField(help_text="What its model is called, or empty. Nothing proves it.")
    can_sync = serializers.BooleanField(help_text="Whether it can be copied to other devices of the user.")
    is_synced = serializers.BooleanField()
    is_discoverable = serializers.BooleanField(
        allow_null=True, help_text="Whether it signs in without a password. Null: the browser has not said it."
    )
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)


class AcceptedOutput(serializers.Serializer[Any]):
    """What the client tells its authenticators: `signalAllAcceptedCredentials`, `signalCurrentUserDetails`."""

    rp_id = serializers.CharField()
    user_handle = serializers.CharField(allow_null=True)
    user_name = serializers.CharField()
    credential_ids = serializers.ListField(child=serializers.CharField())


class PasskeysOutput(serializers.Serializer[Any]):
    passkeys = PasskeyOutput(many=True)
    accepted = AcceptedOutput()


class RemovedOutput(serializers.Serializer[Any]):
    accepted = AcceptedOutput()


class ChangedOutput(RemovedOutput):
    passkey = PasskeyOutput()


class CreationOutput(serializers.Serializer[Any]):
    """Either the passkey, or, without a credential, the options."""

    options = serializers.DictField(required=False, help_text="For `parseCreationOptionsFromJSON`.")
    passkey = PasskeyOutput(required=False)
    accepted = AcceptedOutput(required=False)
