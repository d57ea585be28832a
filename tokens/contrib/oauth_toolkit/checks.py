from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from oauth2_provider.settings import oauth2_settings

from tokens.contrib.oauth_toolkit.validators import SessionBound

VALIDATOR = "tokens.contrib.oauth_toolkit.validators.OAuth2Validator"


@register(Tags.security)
def check_validator(**kwargs: Any) -> list[CheckMessage]:
    """Check that the validator of django-oauth-toolkit is the one that binds tokens to sessions."""
    if issubclass(oauth2_settings.OAUTH2_VALIDATOR_CLASS, SessionBound):
        return []
    hint = f'Set OAUTH2_PROVIDER["OAUTH2_VALIDATOR_CLASS"] to "{VALIDATOR}", or let yours inherit from SessionBound.'
    what = "Tokens of django-oauth-toolkit do not end with their session"
    return [Error(f"{what}: OAUTH2_VALIDATOR_CLASS is not Latchkey's validator.", hint=hint, id="tokens.E047")]
