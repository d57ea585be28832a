"""The settings of a project with the user model, the backends and the database that the environment names."""

import os

import environ

SECRET_KEY = "a secret for tests that is long enough to be taken for a real one"
ORIGIN = "https://testserver"
ALLOWED_HOSTS = ["testserver"]
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "tokens",
    "tests.tokens.user_models",
]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware", "tokens.middleware.TokenMiddleware"]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SESSION_COOKIE_NAME = "__Host-session"
SESSION_COOKIE_SECURE = True
DATABASES = {"default": environ.Env.db_url_config(os.environ["DATABASE_URL"])}
DATABASES["default"]["TEST"] = {"NAME": os.environ["TEST_DATABASE"]}
AUTH_USER_MODEL = f"user_models.{os.environ['USER_MODEL']}"
AUTHENTICATION_BACKENDS = os.environ["BACKENDS"].split(",")
PASSWORD_HASHERS = ["tests.hashers.CheapArgon2"]
TOKENS = {"THROTTLES": "off"}
ROOT_URLCONF = "tests.tokens.user_models.urls"
