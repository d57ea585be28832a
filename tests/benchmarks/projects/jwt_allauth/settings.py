from tests.benchmarks.projects import common
from tests.benchmarks.projects.common import *  # noqa: F403

ROOT_URLCONF = "tests.benchmarks.projects.jwt_allauth.urls"
INSTALLED_APPS = [
    *common.INSTALLED_APPS,
    "jwt_allauth",
    "rest_framework",
    "rest_framework.authtoken",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
]
MIDDLEWARE = [*common.MIDDLEWARE, "allauth.account.middleware.AccountMiddleware"]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
REST_FRAMEWORK = {
    **common.REST_FRAMEWORK,
    "DEFAULT_AUTHENTICATION_CLASSES": ["jwt_allauth.authentication.JWTAllAuthAuthentication"],
}
ACCOUNT_ADAPTER = "jwt_allauth.adapter.JWTAllAuthAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_RATE_LIMITS = False  # All clients sign in from one address.
JWT_ALLAUTH_SECRET_KEY = "the secret of tokens that are only measured, as long as it has to be"
JWT_ALLAUTH_ACCESS_TOKEN_LIFETIME = common.ACCESS_LIFETIME
