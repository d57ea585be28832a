"""A project that has nothing but Django and the wheel with its core dependencies. `test_wheel` runs it.

It prints what it finds as JSON. Users sign in by a view that calls `django.contrib.auth.login`. There is no API.
"""

import json
import re
import sys

import django
from django.conf import settings
from django.contrib.auth import authenticate, get_user_model, login
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from tokens import testing

PASSWORD = "correct horse battery staple"


def enter(request: HttpRequest) -> HttpResponse:
    login(request, authenticate(request, username="ada", password=PASSWORD))
    return HttpResponse("in")


def who(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.user))


urlpatterns = [path("enter", enter), path("who", who)]
settings.configure(
    ALLOWED_HOSTS=["localhost"],
    AUTHENTICATION_BACKENDS=["tokens.backends.ModelBackend"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}},
    DEBUG=True,
    DEFAULT_EXCEPTION_REPORTER="tokens.web.reports.Reporter",
    DEFAULT_EXCEPTION_REPORTER_FILTER="tokens.web.reports.ReportFilter",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "tokens"],
    MIDDLEWARE=[
        "tokens.monitoring.middleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "tokens.middleware.TokenMiddleware",
    ],
    ORIGIN="http://localhost",
    ROOT_URLCONF=__name__,
    SECRET_KEY="a secret for tests that is long enough to be taken for a real one",
)


def main() -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    call_command("check", "--fail-level", "WARNING", databases=["default"])
    get_user_model().objects.create_user("ada", password=PASSWORD)
    browser = Client(SERVER_NAME="localhost")
    found = {"enter": browser.get("/enter").content.decode()}
    del browser.cookies["sessionid"], browser.cookies["access"]  # The refresh token is left.
    found["who"] = browser.get("/who").content.decode()
    found["ready"] = browser.get("/health/ready").status_code
    found["metrics"] = browser.get("/metrics").status_code
    call_command("revoke_sessions", "--all", "--no-input", verbosity=0)
    found["ended"] = browser.get("/who").content.decode()
    call_command("purge_tokens")
    by_kit = Client(SERVER_NAME="localhost")
    testing.sign_in(by_kit, testing.create_user())
    found["kit"] = by_kit.get("/who").content.decode()[:5]
    foreign = re.compile(r"rest_framework|psycopg|redis|prometheus_client|corsheaders|tqdm|argon2|environ|accounts")
    found["imported"] = sorted(name for name in sys.modules if foreign.match(name))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
