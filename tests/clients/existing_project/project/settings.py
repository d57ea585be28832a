"""Settings of a typical project before Latchkey is added, and with it if ``WITH_LATCHKEY`` is set.

The lines at the end are those of the guides, word for word, with the entries that the project has. A test compares
the two.
"""

import os
from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
USERS = os.environ.get("USERS", "auth.User")
"""The user model: Django's own, with integer keys and names, or the one in `accounts`."""

DEBUG = os.environ.get("DEBUG", "true") == "true"
SECRET_KEY = os.environ.get("SECRET_KEY", "django-insecure-#v!5k2x(c9w8m0&yqzj1)r7n^e3t@b6u4p+s*l=d$hfgai")
ALLOWED_HOSTS = ["your.site", "localhost"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "rest_framework",
    "shop",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
if "LOGIN_REQUIRED" in os.environ:
    MIDDLEWARE.append("django.contrib.auth.middleware.LoginRequiredMiddleware")

ROOT_URLCONF = "project.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": {
        **environ.Env.db_url_config(os.environ.get("DATABASE_URL", f"sqlite:///{BASE_DIR / 'db.sqlite3'}")),
        "ATOMIC_REQUESTS": "NOT_ATOMIC" not in os.environ,
        "CONN_MAX_AGE": 60,
    }
}
CACHES = {"default": environ.Env.cache_url_config(os.environ.get("CACHE_URL", "locmemcache://"))}
# As in projects from before Django 3.2.
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"

AUTH_USER_MODEL = USERS
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
# The cheapest hasher: hashing is not tested here.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_RATE_LIMITS = False

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_RATES": {"user": "3/hour"},
}

MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "Europe/Berlin"
STATIC_URL = "static/"
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

if USERS == "accounts.User":
    INSTALLED_APPS += ["accounts"]
    SILENCED_SYSTEM_CHECKS = ["accounts.W050", "accounts.W051", "accounts.W052"]  # Only the user model is used.
    ACCOUNT_USER_MODEL_USERNAME_FIELD = None
    ACCOUNT_LOGIN_METHODS = {"email"}
    ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]

if "WITH_LATCHKEY" in os.environ:
    INSTALLED_APPS = [*dict.fromkeys([*INSTALLED_APPS, "rest_framework", "tokens"])]
    BEFORE = "django.contrib.auth.middleware.AuthenticationMiddleware"
    MIDDLEWARE = ["tokens.middleware.TokenMiddleware" if name == BEFORE else name for name in MIDDLEWARE]
    AUTHENTICATION_BACKENDS = ["tokens.backends.ModelBackend"]  # and your others, without Django's ModelBackend
    AUTHENTICATION_BACKENDS += ["allauth.account.auth_backends.AuthenticationBackend"]
    ORIGIN = "http://localhost:8000" if DEBUG else "https://your.site"  # as in the address bar

    REST_FRAMEWORK = {
        **REST_FRAMEWORK,
        "DEFAULT_AUTHENTICATION_CLASSES": ["tokens.api.authentication.TokenAuthentication"],
        "EXCEPTION_HANDLER": "tokens.api.errors.answer_with_problem",  # optional
    }
