"""The project with django-allauth's apps ``usersessions``, ``headless``, ``mfa`` and ``socialaccount``."""

from tests.settings import *  # noqa: F403
from tests.settings import AUTHENTICATION_BACKENDS, INSTALLED_APPS, MIDDLEWARE

ROOT_URLCONF = "tests.tokens.contrib.headless.urls"
INSTALLED_APPS += ["django.contrib.humanize", "allauth", "allauth.account", "allauth.usersessions", "allauth.headless"]
INSTALLED_APPS += ["allauth.mfa", "allauth.socialaccount", "allauth.socialaccount.providers.dummy"]
MIDDLEWARE += ["allauth.account.middleware.AccountMiddleware", "allauth.usersessions.middleware.UserSessionsMiddleware"]
AUTHENTICATION_BACKENDS += ["allauth.account.auth_backends.AuthenticationBackend"]
SESSION_ENGINE = "django.contrib.sessions.backends.db"
USERSESSIONS_ADAPTER = "tokens.contrib.allauth.UserSessionsAdapter"
USERSESSIONS_TRACK_ACTIVITY = True
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_RATE_LIMITS = False
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_TOLERANCE = 1
