from tests.benchmarks.projects import common
from tests.benchmarks.projects.common import *  # noqa: F403

_AUTHENTICATION = "allauth.headless.contrib.rest_framework.authentication"

ROOT_URLCONF = "tests.benchmarks.projects.allauth.urls"
INSTALLED_APPS = [*common.INSTALLED_APPS, "rest_framework", "allauth", "allauth.account", "allauth.headless"]
MIDDLEWARE = [*common.MIDDLEWARE, "allauth.account.middleware.AccountMiddleware"]
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
REST_FRAMEWORK = {
    **common.REST_FRAMEWORK,
    "DEFAULT_AUTHENTICATION_CLASSES": [f"{_AUTHENTICATION}.XSessionTokenAuthentication"],
}
HEADLESS_ONLY = True
HEADLESS_CLIENTS = ["app"]
HEADLESS_TOKEN_STRATEGY = "allauth.headless.tokens.strategies.sessions.SessionTokenStrategy"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_RATE_LIMITS = False  # All clients sign in from one address.
