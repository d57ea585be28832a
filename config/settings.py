"""The settings, from the environment and from `.env`, which `manage.py demo` writes on its first run.

docs/reference/environment.md lists all variables. With DEBUG off, SECRET_KEY and ORIGIN have no defaults, and must be
set.
"""

from importlib.util import find_spec
from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured

from config.environment import (
    cache_settings,
    database_settings,
    env,
    host_of,
    mail_domain,
    mail_settings,
    postgresql,
    public_debug,
    whole_number,
)
from config.postgresql.routers import REPLICA

BASE_DIR = Path(__file__).resolve().parent.parent

env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY is not set. Set it in the environment or in .env. If there is no .env, `manage.py demo` writes one."
    )
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])

ORIGIN = env.str("ORIGIN", default=f"http://localhost:{whole_number('PORT', 8000)}" if DEBUG else "")
if not ORIGIN:
    raise ImproperlyConfigured("ORIGIN is not set. Set it to the scheme and host of this site: https://example.org")
DEBUG_HOSTS = env.list("DEBUG_HOSTS", default=[])
if DEBUG and (error := public_debug(ORIGIN, DEBUG_HOSTS)):
    raise ImproperlyConfigured(error)
SECURE = ORIGIN.startswith("https://")
# The system checks report an ORIGIN that is not valid.
HOST = host_of(ORIGIN)
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS",
    default=["localhost", "127.0.0.1", "[::1]"] if DEBUG else [HOST],
)
TRUSTED_PROXIES = env.list("TRUSTED_PROXIES", default=[])
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

TOKENS: dict[str, object] = {
    "FACTORS": [
        "tokens.web.factors.Password",
        "factors.passkeys.PasskeyFactor",
        "factors.totp.TotpFactor",
        "factors.recovery.RecoveryCodeFactor",
        "accounts.factors.EmailCode",
        "factors.enrolment.TotpEnrolment",
        "factors.enrolment.PasskeyEnrolment",
    ],
    "SIGN_IN_POLICY": "factors.policy.enrolled",
    "REQUIRED_FACTORS": "nobody",  # Set TOKENS_REQUIRED_FACTORS=staff where the admin matters.
}
# TOKENS["TRUSTED_ORIGINS"] says which origins may use the API.
CORS_ALLOW_CREDENTIALS = True
CORS_EXPOSE_HEADERS = ["Date", "Retry-After"]  # Clients use them to tell the time, and how long to wait.
CORS_URLS_REGEX = r"^/(api|\.well-known)/"

INSTALLED_APPS = [
    "accounts",
    "factors",
    "tokens",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
_with_demo = DEBUG and find_spec("config.demo") is not None  # A project can delete the folder.
if _with_demo:
    # First, because its command runserver replaces the one of django.contrib.staticfiles.
    INSTALLED_APPS.insert(0, "config.demo")

MIDDLEWARE = [
    "tokens.monitoring.middleware",
    "config.postgresql.deadline.middleware",
    "tokens.web.cors.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware" if django.VERSION >= (6, 0) else "config.csp.middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "config.languages.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "tokens.middleware.TokenMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.errors.method_not_allowed",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # The demo adds links to two pages of `accounts`.
        "DIRS": [*([BASE_DIR / "config/demo/templates"] if _with_demo else []), BASE_DIR / "templates"],
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


DATABASE_TIMEOUT = whole_number("DATABASE_TIMEOUT", 15)
if DATABASE_TIMEOUT < 1:
    raise ImproperlyConfigured("DATABASE_TIMEOUT is less than a second.")
DATABASES = {
    "default": database_settings(
        "DATABASE_URL",
        "postgres://user:password@host:port/name, or sqlite:////path/to/file",
        "postgresql",
        "sqlite3",
        default=f"sqlite:///{BASE_DIR / 'latchkey.sqlite3'}",
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Writers wait for each other instead of failing, and readers do not wait.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
    }
else:
    # `config.postgresql.deadline` limits how long a request waits.
    DATABASES["default"] = postgresql(
        DATABASES["default"], pool=whole_number("DATABASE_POOL", 10), wait=10, timeout=DATABASE_TIMEOUT
    )
if env.str("REPLICA_URL", default=""):
    # The revocation feed reads it once per REVOCATION_LAG. A replica that does not answer must not delay requests.
    replica = database_settings("REPLICA_URL", "postgres://user:password@host:port/name", "postgresql")
    DATABASES[REPLICA] = postgresql(
        replica, pool=min(2, whole_number("DATABASE_POOL", 10)), wait=2, timeout=DATABASE_TIMEOUT
    )
    DATABASES[REPLICA]["OPTIONS"]["impatient"] = True
    DATABASE_ROUTERS = ["config.postgresql.routers.ReplicaRouter"]

CACHES = {"default": cache_settings(env.str("CACHE_URL", default="locmemcache://"))}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["tokens.backends.ModelBackend"]
PASSWORD_HASHERS = ["tokens.hashers.Argon2", "tokens.hashers.PBKDF2", "tokens.hashers.Scrypt"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "signed-out"

# Django's own session holds messages and short-lived data of views. It does not authenticate users.
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
# Django's default storage uses a cookie without a prefix in its name, which sibling hosts could set.
MESSAGE_STORAGE = "config.messages.Storage"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SECURE
COOKIE_SUFFIX = f"-{suffix}" if (suffix := env.str("TOKENS_COOKIE_SUFFIX", default="")) else ""
SESSION_COOKIE_NAME = ("__Host-session" if SECURE else "session") + COOKIE_SUFFIX
CSRF_COOKIE_NAME = ("__Host-csrf" if SECURE else "csrf") + COOKIE_SUFFIX
CSRF_TRUSTED_ORIGINS = [ORIGIN]
CSRF_FAILURE_VIEW = "config.errors.csrf_failure"
# Pages load scripts, styles and images only from this server.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "worker-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
SECURE_CSP = CONTENT_SECURITY_POLICY["DIRECTIVES"]  # The name of this setting from Django 6.0 on.
SECURE_HSTS_SECONDS = 0 if DEBUG else 365 * 86400
# The proxy redirects to https. Whether HSTS applies to other hosts of the domain is the decision of its owner.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]

# In development, mail goes to the console and to a page. Otherwise the default is the mail server of this machine.
vars().update(
    mail_settings(
        env.str(
            "EMAIL_URL", default="mailbox://" if _with_demo else "consolemail://" if DEBUG else "smtp://localhost:25"
        )
    )
)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default=f"noreply@{mail_domain(HOST)}")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tokens.api.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "tokens.api.errors.answer_with_problem",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Latchkey",
    "DESCRIPTION": "Sign in, refresh, sign out, and manage sessions and the account.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api",
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_SPLIT_PATCH": False,  # The fields of a PATCH are required.
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
# makemessages puts the texts of templates/ there, because the wheel ships them with this app.
LOCALE_PATHS = [BASE_DIR / "accounts" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DEFAULT_EXCEPTION_REPORTER = "tokens.web.reports.Reporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "tokens.web.reports.ReportFilter"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "debug": {"()": "django.utils.log.RequireDebugTrue"},
        "production": {"()": "django.utils.log.RequireDebugFalse"},
    },
    "formatters": {
        "line": {"format": "{asctime} {name} {message}", "style": "{", "datefmt": "%Y-%m-%dT%H:%M:%S%z"},
        # `tokens` logs in logfmt, and the whole line is logfmt too.
        "fields": {"format": "time={asctime} logger={name} {message}", "style": "{", "datefmt": "%Y-%m-%dT%H:%M:%S%z"},
        "error": {"()": "tokens.web.reports.ErrorLine"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line"},
        "events": {"class": "logging.StreamHandler", "formatter": "fields"},
        "console": {"class": "logging.StreamHandler", "level": "INFO", "filters": ["debug"]},
        # Django's own handlers show the URL in the subject of the mail, and leave no line in production.
        "errors": {"class": "logging.StreamHandler", "level": "ERROR", "filters": ["production"], "formatter": "error"},
        "reports": {"class": "tokens.web.reports.AdminMail", "level": "ERROR", "filters": ["production"]},
    },
    "loggers": {
        "django": {"handlers": ["console", "errors", "reports"], "level": "INFO"},
        "accounts": {"handlers": ["stderr"], "level": "INFO"},
        "factors": {"handlers": ["stderr"], "level": "INFO"},
        "tokens": {"handlers": ["events"], "level": "INFO"},
    },
}
