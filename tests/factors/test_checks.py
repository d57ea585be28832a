"""What ``check --deploy`` says about factors."""

import pytest
from django.core.checks import Tags, run_checks

PASSWORD, TOTP, CODES = "tokens.web.factors.Password", "factors.totp.TotpFactor", "factors.recovery.RecoveryCodeFactor"
POLICY = {"SIGN_IN_POLICY": "factors.policy.enrolled"}


def found(**options):
    messages = run_checks(tags=[Tags.security], **{"include_deployment_checks": True, **options})
    assert all(message.hint for message in messages if str(message.id).startswith("factors."))
    return [message.id for message in messages if str(message.id).startswith("factors.")]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ({"FACTORS": [PASSWORD, TOTP, CODES], **POLICY}, []),
        ({"FACTORS": [PASSWORD, TOTP, CODES]}, ["factors.W001"]),
        ({"FACTORS": [PASSWORD, TOTP], **POLICY}, ["factors.W002"]),
        ({"FACTORS": [PASSWORD, TOTP]}, ["factors.W001", "factors.W002"]),
        ({"FACTORS": [PASSWORD]}, []),
        ({"FACTORS": [PASSWORD, "nowhere.Factor"]}, []),
        ({"FACTORS": 5}, []),
    ],
    ids=["all is set", "nobody is asked", "no codes", "neither", "no second factor", "no class", "no list"],
)
def test_a_setting_is_this_mistake(settings, tokens, expected):
    settings.TOKENS = tokens
    assert found() == expected


def test_only_a_deployment_is_advised(settings):
    settings.TOKENS = {"FACTORS": [PASSWORD, TOTP]}
    assert found(include_deployment_checks=False) == []
