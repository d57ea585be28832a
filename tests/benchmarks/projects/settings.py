"""The settings of each peer's project: first what all share, as in ``startproject``, then what ``PROJECT`` adds.

Every project hashes passwords in the cheapest way, because signing in is not measured.
"""

import os
from datetime import timedelta
from typing import Any

from psycopg.conninfo import conninfo_to_dict

ACCESS_LIFETIME = timedelta(minutes=10)
"""The lifetime of the access tokens of every peer that has them."""

SECRET_KEY = "the secret of projects that are only measured, as long as it has to be"
DEBUG = False
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "tests.benchmarks.projects.urls"
_apps = ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")
INSTALLED_APPS = [f"django.contrib.{name}" for name in _apps]
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    AUTHENTICATION,
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
_processors = ("template.context_processors.request", "contrib.auth.context_processors.auth")
_processors += ("contrib.messages.context_processors.messages",)
_options = {"context_processors": [f"django.{name}" for name in _processors]}
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": _options}]
# Not by django-environ: `startup` measures how long a project of nothing but Django takes to import.
_database: dict[str, Any] = conninfo_to_dict(os.environ["DATABASE_URL"], connect_timeout=5)
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _database.pop("dbname"),
        "OPTIONS": {**_database, "pool": {"min_size": 1, "max_size": 10, "timeout": 10}},
    }
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_REDIRECT_URL = "/view"
LANGUAGE_CODE = "en"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler", "level": "ERROR"}},
    "root": {"handlers": ["stderr"]},
}
_validators = ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")


def _rest_framework(authentication: str) -> dict[str, list[str]]:
    """Return the settings of Django REST framework for a peer that authenticates with this class."""
    return {
        "DEFAULT_AUTHENTICATION_CLASSES": [authentication],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    }


match os.environ["PROJECT"]:
    case "bare":  # No authentication, behind the middleware of all other projects.
        MIDDLEWARE.remove(AUTHENTICATION)
    case "sessions":  # Django's own sessions, with their rows in the database.
        pass
    case "sessions_cached":  # Django's own sessions, with their rows in the database and in Redis.
        SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
        _redis = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": os.environ["REDIS_URL"]}
        CACHES = {"default": _redis}
    case "knox":  # Tokens of knox are never refreshed: by default they expire after ten hours, even if they are used.
        INSTALLED_APPS += ["rest_framework", "knox"]
        REST_FRAMEWORK = _rest_framework("knox.auth.TokenAuthentication")
    case "simplejwt":  # Refresh tokens are rotated, and the old ones blacklisted.
        INSTALLED_APPS += ["rest_framework", "rest_framework_simplejwt", "rest_framework_simplejwt.token_blacklist"]
        REST_FRAMEWORK = _rest_framework("rest_framework_simplejwt.authentication.JWTAuthentication")
        SIMPLE_JWT = {"ACCESS_TOKEN_LIFETIME": ACCESS_LIFETIME, "ROTATE_REFRESH_TOKENS": True}
        SIMPLE_JWT["BLACKLIST_AFTER_ROTATION"] = True
    case "allauth" | "allauth_jwt" | "jwt_allauth" as _project:
        MIDDLEWARE += ["allauth.account.middleware.AccountMiddleware"]
        AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
        ACCOUNT_LOGIN_METHODS = {"email"}
        ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
        ACCOUNT_RATE_LIMITS = False  # All clients sign in from one address.
        if _project == "jwt_allauth":  # django-jwt-allauth, as its ``startproject`` does, on Django's user model.
            INSTALLED_APPS += ["jwt_allauth", "rest_framework", "rest_framework.authtoken"]
            INSTALLED_APPS += ["allauth", "allauth.account", "allauth.socialaccount"]
            AUTHENTICATION_BACKENDS.insert(0, "django.contrib.auth.backends.ModelBackend")
            REST_FRAMEWORK = _rest_framework("jwt_allauth.authentication.JWTAllAuthAuthentication")
            ACCOUNT_ADAPTER = "jwt_allauth.adapter.JWTAllAuthAdapter"
            JWT_ALLAUTH_SECRET_KEY = "the secret of tokens that are only measured, as long as it has to be"
            JWT_ALLAUTH_ACCESS_TOKEN_LIFETIME = ACCESS_LIFETIME
        else:  # django-allauth headless, for apps.
            INSTALLED_APPS += ["rest_framework", "allauth", "allauth.account", "allauth.headless"]
            HEADLESS_ONLY, HEADLESS_CLIENTS = True, ["app"]
            _class, _strategy = "XSessionTokenAuthentication", "sessions.SessionTokenStrategy"  # Never refreshed.
            if _project == "allauth_jwt":
                _class, _strategy = "JWTTokenAuthentication", "jwt.JWTTokenStrategy"
            REST_FRAMEWORK = _rest_framework(f"allauth.headless.contrib.rest_framework.authentication.{_class}")
            HEADLESS_TOKEN_STRATEGY = f"allauth.headless.tokens.strategies.{_strategy}"
            HEADLESS_JWT_ALGORITHM = "HS256"  # The cheaper of its two; RS256 is the default.
            HEADLESS_JWT_ACCESS_TOKEN_EXPIRES_IN = int(ACCESS_LIFETIME.total_seconds())
            HEADLESS_JWT_ROTATE_REFRESH_TOKEN = True
    case "startup_django" | "startup_rest" as _project:  # For `startup`: the apps and middleware that Latchkey has too.
        INSTALLED_APPS.remove("django.contrib.sessions")
        MIDDLEWARE.insert(2, "django.middleware.locale.LocaleMiddleware")
        SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
        AUTH_PASSWORD_VALIDATORS = [{"NAME": f"django.contrib.auth.password_validation.{name}"} for name in _validators]
        if _project == "startup_rest":
            INSTALLED_APPS += ["rest_framework"]
