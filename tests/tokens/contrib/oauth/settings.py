"""The project with django-oauth-toolkit, as its documentation and ours say."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

ROOT_URLCONF = "tests.tokens.contrib.oauth.urls"
INSTALLED_APPS += ["oauth2_provider", "tokens.contrib.oauth_toolkit"]
OAUTH2_PROVIDER = {
    "OAUTH2_VALIDATOR_CLASS": "tokens.contrib.oauth_toolkit.validators.OAuth2Validator",
    "SCOPES": {"read": "read", "introspection": "introspect tokens"},
    "PKCE_REQUIRED": False,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 120,
}
