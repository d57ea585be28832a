"""What leaves the server when something fails: the mail to ``ADMINS``, the line in the log, and Django's own report."""

import json
import logging
import re
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import DisallowedHost
from django.db import DataError, IntegrityError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path
from django.utils.log import AdminEmailHandler
from django.views.debug import get_default_exception_reporter_filter

from accounts.links import Purpose
from accounts.models import User
from config.urls import handler500
from config.urls import urlpatterns as project
from tests.accounts.steps import NEW_PASSWORD
from tests.browsers import FIREFOX, REFRESH, login, post
from tests.config.admins import OPERATORS
from tests.factories import UserFactory, link_token
from tokens.web.reports import AdminMail, ErrorLine, ReportFilter

__all__ = ["handler500"]
SECRET = "s3cr3t-0f-a-1ink"
ADDRESS = "taken@example.org"
failure: dict[str, Any] = {}


def fails(request: HttpRequest, **captured: str) -> HttpResponse:
    raise failure["error"]


def fails_in_the_database(request: HttpRequest) -> HttpResponse:
    failure["with"]()
    return HttpResponse()


urlpatterns = [
    path("fails", fails),
    path("links/<str:token>/", fails),
    path("fails-in-the-database", fails_in_the_database),
    *project,
]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """What the handlers of production write about errors.

    pytest's own handlers would show a message that no handler of the project writes.
    """
    written = StringIO()
    for handler in logging.getLogger("django").handlers:
        if isinstance(handler.formatter, ErrorLine):
            monkeypatch.setattr(handler, "stream", written)
    return written


@pytest.fixture
def report(settings: Any, mailoutbox: list[Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sends a request that fails, and returns the whole mail about it, as text and HTML.

    The HTML contains more than the text, and an operator may turn it on.
    """
    settings.ADMINS = OPERATORS
    for handler in logging.getLogger("django").handlers:
        if isinstance(handler, AdminEmailHandler):
            monkeypatch.setattr(handler, "include_html", True)

    def send(url: str = "/fails", error: Any = None, **options: Any) -> str:
        failure["error"] = error or RuntimeError("a bug")
        client = Client(raise_request_exception=False, headers={"User-Agent": FIREFOX})
        response = client.generic(options.pop("method", "GET"), url, **options)
        assert response.status_code == 500
        (mail,) = mailoutbox
        return "\n".join([mail.subject, mail.body, *(str(content) for content, _ in mail.alternatives)])

    return send


URL = f"/fails?token={SECRET}"
WAYS = {
    "gunicorn's URL": {"RAW_URI": URL},
    "uWSGI's URL": {"REQUEST_URI": URL},
    "a proxy's URL": {"HTTP_X_ORIGINAL_URI": URL},
    "a referrer": {"HTTP_REFERER": f"https://testserver{URL}"},
    "a header of a client": {"HTTP_X_SOMETHING": SECRET},
    "a variable of the server": {"SOMETHING": SECRET},
    "the name of a parameter": {"QUERY_STRING": SECRET * 3},
}


@pytest.mark.parametrize("given", WAYS.values(), ids=WAYS)
def test_a_report_shows_no_value_of_a_request_that_is_not_listed(report, given):
    text = report(URL, **given)
    assert SECRET not in text
    assert "REQUEST_METHOD = &#x27;GET&#x27;" in text or "REQUEST_METHOD = 'GET'" in text
    assert FIREFOX in text
    assert "REMOTE_ADDR = '127.0.0.1'" in text
    assert all(name in text for name in given)


def test_a_report_shows_no_body_whatever_it_is_called(report):
    body = json.dumps({"email": ADDRESS, "password": SECRET})
    text = report(method="POST", data=body, content_type="application/x-www-form-urlencoded")
    assert [given for given in (SECRET, ADDRESS) if given in text] == []


def test_a_report_shows_the_name_and_not_the_value_of_what_the_path_captures(report, log):
    text = report(f"/links/{SECRET}/")
    assert SECRET not in text + log.getvalue()
    assert "RuntimeError at /links/<str:token>/" in text
    assert 'path="/links/<str:token>/"' in log.getvalue()


PASSWORDS = {
    "a cache": {"CACHES": {"default": {"LOCATION": f"rediss://:{SECRET}@cache:6379/1"}}},
    "several caches": {"CACHES": {"default": {"LOCATION": [f"redis://u:{SECRET}@a", f"redis://u:{SECRET}@b/0"]}}},
    "one with special characters": {"BROKER_URL": f"amqp://guest:{SECRET}/@#@rabbit:5672//"},
    "a query": {"BROKER_URL": f"redis://cache?db=1&credential={SECRET}"},
    "a connection string": {"WAREHOUSE": f"host=db user=u password={SECRET} dbname=w"},
    "a private key": {"IDENTITY": f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----"},
    "a set": {"BACKENDS": {f"https://u:{SECRET}@host"}},
    "bytes": {"BACKEND": f"https://u:{SECRET}@host".encode()},
    "a name that says so": {"SENTRY_DSN": SECRET},
}


@pytest.mark.parametrize("given", PASSWORDS.values(), ids=PASSWORDS)
def test_a_report_shows_no_password_in_a_setting(settings, given):
    for name, value in given.items():
        setattr(settings, name, value)
    shown = ReportFilter().get_safe_settings()
    assert SECRET not in repr({name: shown[name] for name in given})
    assert shown["ROOT_URLCONF"] == settings.ROOT_URLCONF


def test_a_report_shows_where_a_cache_is(settings):
    settings.CACHES = {"default": {"LOCATION": f"rediss://:{SECRET}@cache:6379/1"}}
    assert ReportFilter().get_safe_settings()["CACHES"]["default"]["LOCATION"].endswith("@cache:6379/1")


def violate() -> None:
    """Insert an address that is taken. PostgreSQL's DETAIL quotes it."""
    with transaction.atomic():
        User(email=ADDRESS, password="").save(force_insert=True)


def wrapped() -> None:
    try:
        violate()
    except IntegrityError as error:
        raise LookupError("could not be stored") from error


def meanwhile() -> None:
    try:
        violate()
    except IntegrityError:
        raise LookupError("could not be handled")  # noqa: B904


def quoted() -> None:
    try:
        violate()
    except IntegrityError as error:
        raise LookupError(f"could not be stored: {error}") from None


def unreadable() -> None:
    """Compare a value of another type. PostgreSQL quotes it in the primary message."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT CAST(%s AS uuid)", [f'{ADDRESS} "or" so'])


DATABASE_ERRORS = {"an error": violate, "its wrapper": wrapped, "the next one": meanwhile, "a quotation": quoted}


@pytest.mark.django_db
@pytest.mark.parametrize("cause", DATABASE_ERRORS.values(), ids=DATABASE_ERRORS)
def test_a_report_shows_only_the_primary_message_of_an_error_of_the_database(report, log, cause):
    UserFactory(email=ADDRESS)
    failure["with"] = cause
    text = report("/fails-in-the-database")
    assert ADDRESS not in text + log.getvalue()
    assert "DETAIL" not in text
    assert re.search("(?i)unique constraint", text)
    if connection.vendor == "postgresql" and cause is not quoted:
        assert "(SQLSTATE 23505)" in text
        assert "sqlstate=23505" in log.getvalue()


@pytest.mark.django_db
@pytest.mark.only_on("postgresql")
def test_a_report_shows_no_value_that_postgresql_could_not_read(report, log):
    failure["with"] = unreadable
    text = report("/fails-in-the-database")
    assert "DataError" in text
    assert "invalid input syntax for type uuid" in text
    assert ADDRESS not in text + log.getvalue()


def test_a_report_shows_no_message_of_an_unknown_driver(report):
    error = DataError(1062, f"Duplicate entry '{ADDRESS}' for key 'email'")
    error.__cause__ = RuntimeError(str(error))
    text = report(error=error)
    assert ADDRESS not in text.split("During handling")[0].split("The above exception")[0].split("Settings:")[0]


def test_a_failure_leaves_one_line_in_the_log_without_message_and_query(report, log):
    report(URL, error=RuntimeError(f"a message with {SECRET}\nand a second line"))
    (line,) = log.getvalue().splitlines()
    assert SECRET not in line
    assert " logger=django.request level=ERROR status=500 method=GET path=/fails error=RuntimeError " in line
    assert re.search(r'at="\S+test_reports\.py:\d+ fails"$', line)


def test_a_receiver_that_fails_leaves_one_line_and_a_mail_without_its_message(settings, log, mailoutbox):
    settings.ADMINS = OPERATORS
    error = IntegrityError(f"a constraint\nDETAIL:  Key (email)=({ADDRESS}) already exists.")
    logging.getLogger("django.dispatch").error("Error calling %s (%s)", "a receiver", error, exc_info=error)
    (line,), (mail,) = log.getvalue().splitlines(), mailoutbox
    assert 'event="Error calling %s (%s)"' in line
    assert "error=IntegrityError" in line
    assert "a receiver" in mail.subject
    assert ADDRESS not in line + mail.subject + mail.body


def test_a_host_that_is_not_allowed_leaves_a_line(settings, log):
    settings.ALLOWED_HOSTS = ["example.org"]
    assert Client(headers={"Host": f"{SECRET}.test"}).get("/fails").status_code == 400
    (line,) = log.getvalue().splitlines()
    assert "status=400" in line
    assert SECRET not in line
    assert DisallowedHost.__name__ in line


@pytest.mark.parametrize("request_", [None, RequestFactory().get(URL)], ids=["no request", "a request"])
def test_an_error_without_an_exception_leaves_a_line(request_):
    record = logging.makeLogRecord({"msg": "%s", "args": (SECRET,), "levelname": "ERROR", "request": request_})
    assert SECRET not in ErrorLine().format(record)
    assert "\n" not in ErrorLine().format(record)


def test_with_debug_the_developer_sees_the_message(settings, log):
    settings.DEBUG = True
    failure["error"] = RuntimeError("a bug")
    response = Client(raise_request_exception=False).get("/fails?x=y", headers={"Accept": "text/html"})
    assert "a bug" in response.content.decode()
    assert not log.getvalue()


@pytest.fixture
def djangos_report(settings: Any, mailoutbox: list[Any]) -> Any:
    """Returns the report of Django's own reporter, which shows local variables.

    Our reporter hides all of them, so that it would not show a missing mark.
    """
    settings.ADMINS = OPERATORS
    settings.DEFAULT_EXCEPTION_REPORTER_FILTER = "django.views.debug.SafeExceptionReporterFilter"
    get_default_exception_reporter_filter.cache_clear()
    handler = AdminEmailHandler(include_html=True, reporter_class="django.views.debug.ExceptionReporter")
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    logger.propagate = False

    def read() -> str:
        (mail,) = [mail for mail in mailoutbox if mail.to == ["operator@example.org"]]
        assert "RuntimeError" in mail.body
        assert 'class="vars"' in mail.alternatives[0][0]
        return "\n".join([mail.subject, mail.body, *(str(content) for content, _ in mail.alternatives)])

    yield read
    logger.removeHandler(handler)
    logger.propagate = True
    get_default_exception_reporter_filter.cache_clear()


def breaks(*given: Any, **more: Any) -> None:
    raise RuntimeError("a bug")


MARKED = {
    "a sign-in by the API": ("tokens.backends.attempt", "/api/auth/login", True),
    "a sign-in by the page": ("tokens.backends.attempt", "/sign-in", False),
    "a registration by the API": ("accounts.service.passwords.validate_password", "/api/auth/register", True),
    "a registration by the page": ("accounts.service.passwords.validate_password", "/register", False),
    "a reset by the API": ("accounts.service.pending_changes._checked", "/api/auth/password/reset/confirm", True),
    "a reset by the page": ("accounts.service.pending_changes._checked", "/password/reset/confirm", False),
}


@pytest.mark.django_db
@pytest.mark.parametrize(("breaking", "url", "is_api"), MARKED.values(), ids=MARKED)
def test_djangos_own_report_hides_what_is_marked_as_sensitive(user, djangos_report, monkeypatch, breaking, url, is_api):
    token = link_token(Purpose.PASSWORD_RESET, user)
    monkeypatch.setattr(breaking, breaks)
    client = Client(raise_request_exception=False)
    if is_api:
        given = {"token": token} if "reset" in url else {"email": ADDRESS}
        post(client, url, {**given, "password": NEW_PASSWORD})
    else:
        passwords = dict.fromkeys(["password", "password1", "password2"], NEW_PASSWORD)
        client.post(url, {"username": ADDRESS, "email": ADDRESS, "token": token, **passwords})
    text = djangos_report()
    assert [secret for secret in (NEW_PASSWORD, token) if secret in text] == []


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["/api/auth/refresh", "/"], ids=["by the API", "by the middleware"])
def test_djangos_own_report_hides_the_refresh_token(user, clock, djangos_report, monkeypatch, url):
    client = Client(raise_request_exception=False)
    login(client, user)
    token = client.cookies[REFRESH].value
    clock.forward(601)
    monkeypatch.setattr("tokens.service.refreshing._rotate", breaks)
    (post if "api" in url else Client.get)(client, url)
    # The report also shows all cookies, which no mark prevents.
    variables = "".join(re.findall('(?s)<table class="vars".*?</table>', djangos_report()))
    assert "presented" in variables or "api" in url
    assert token not in variables


def test_production_uses_our_handlers():
    handlers = logging.getLogger("django").handlers
    assert [type(handler) for handler in handlers if isinstance(handler, AdminEmailHandler)] == [AdminMail]
    assert any(isinstance(handler.formatter, ErrorLine) for handler in handlers)
