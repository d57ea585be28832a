"""The project with django-oauth-toolkit, as its documentation and ours say."""

from tests.docs.blocks import block
from tests.docs.code import settings_of
from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, REST_FRAMEWORK

PAGE = "docs/how-to/other-packages.md"
ADAPTER = block(PAGE, "# settings.py, with django-oauth-toolkit")
BEARER = block(PAGE, "# settings.py, with Bearer tokens of django-oauth-toolkit")

ROOT_URLCONF = "tests.tokens.contrib.oauth.urls"
REST_FRAMEWORK = settings_of(BEARER, REST_FRAMEWORK=REST_FRAMEWORK)["REST_FRAMEWORK"]
_documented = settings_of(ADAPTER, INSTALLED_APPS=INSTALLED_APPS)
INSTALLED_APPS = _documented["INSTALLED_APPS"]
OAUTH2_PROVIDER = {
    **_documented["OAUTH2_PROVIDER"],
    "SCOPES": {"read": "read", "introspection": "introspect tokens"},
    "PKCE_REQUIRED": False,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 120,
}
