"""The settings of a project whose users and sessions are in the schema of their tenant."""

import os
from typing import Any

import environ

SECRET_KEY = "a secret for tests that is long enough to be taken for a real one"
DEBUG = True
ORIGIN = "http://first.localhost"
ALLOWED_HOSTS = [".localhost"]
USE_TZ = True
SHARED_APPS = ["django_tenants", "tests.foreign.tenants"]
TENANT_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "rest_framework",
    "tokens",
]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
MIDDLEWARE = [
    "tokens.monitoring.middleware",
    "django_tenants.middleware.main.TenantMainMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "tokens.middleware.TokenMiddleware",
]
TENANT_MODEL, TENANT_DOMAIN_MODEL = "tenants.Shop", "tenants.Domain"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
DATABASES: dict[str, Any] = {
    "default": {
        **environ.Env.db_url_config(os.environ["DATABASE_URL"]),
        "ENGINE": "django_tenants.postgresql_backend",
        "CONN_MAX_AGE": None,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTHENTICATION_BACKENDS = ["tokens.backends.ModelBackend"]
PASSWORD_HASHERS = ["tests.hashers.CheapArgon2"]
ROOT_URLCONF = "tests.foreign.tenants.urls"
MIGRATION_MODULES = {"tenants": "migrations_of_tenants"}
TOKENS: dict[str, Any] = {"ACKNOWLEDGE_AFTER": 2, "REUSE_GRACE": 1, "ACCESS_LIFETIME": 59}
if os.environ.get("HOOK"):
    TOKENS["TENANT_HOOK"] = "tests.foreign.tenants.urls.tenant"
