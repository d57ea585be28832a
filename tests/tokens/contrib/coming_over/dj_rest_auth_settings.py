"""The project with dj-rest-auth, which keeps the tokens of djangorestframework-simplejwt in cookies."""

from tests.tokens.contrib.coming_over.settings import *  # noqa: F403
from tests.tokens.contrib.coming_over.settings import INSTALLED_APPS, REST_FRAMEWORK

ROOT_URLCONF = "tests.tokens.contrib.coming_over.dj_rest_auth_urls"
INSTALLED_APPS += ["rest_framework.authtoken", "dj_rest_auth"]
REST_FRAMEWORK["DEFAULT_AUTHENTICATION_CLASSES"] = [
    "tokens.api.authentication.TokenAuthentication",
    "dj_rest_auth.jwt_auth.JWTCookieAuthentication",
]
REST_AUTH = {"USE_JWT": True, "JWT_AUTH_COOKIE": "access", "JWT_AUTH_REFRESH_COOKIE": "refresh", "TOKEN_MODEL": None}
