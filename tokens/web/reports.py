"""Error reports without secrets, as Django mails them to ``ADMINS``, and the line that an error leaves in the log.

Django's own reports hide only values whose names look like passwords. They show all cookies, the query of a link in a
mail, the fields of forms, in HTML the local variables, and under gunicorn the URL once more, as ``RAW_URI``. These
reports show the names without the values. Only what is listed here is shown with its value. With DEBUG, when only the
developer sees the page, they hide only the cookies.

The line in the log is logfmt. It has neither the message of the exception nor the query of the URL::

    level=ERROR status=500 method=POST path=/sign-in error="IntegrityError < UniqueViolation" sqlstate=23505 at="…"
"""

import json
import logging
import re
import sqlite3
import sysconfig
from collections.abc import Iterator
from copy import copy
from http.client import responses
from traceback import walk_tb
from types import SimpleNamespace, TracebackType
from typing import Any

from django.db import Error
from django.http import HttpRequest
from django.urls import Resolver404, resolve
from django.utils.log import AdminEmailHandler
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

HIDDEN = SafeExceptionReporterFilter.cleansed_substitute
META = re.compile(
    "REQUEST_METHOD|REMOTE_ADDR|SERVER_NAME|SERVER_PORT|SERVER_PROTOCOL|SERVER_SOFTWARE|CONTENT_TYPE|CONTENT_LENGTH|"
    r"HTTP_HOST|HTTP_ORIGIN|HTTP_ACCEPT|HTTP_ACCEPT_LANGUAGE|HTTP_USER_AGENT|HTTP_SEC_FETCH_\w+|HTTP_X_REQUEST_ID|"
    r"wsgi\.(url_scheme|multithread|multiprocess|run_once|version)"
)
"""The entries of ``request.META`` whose values are shown."""
_NAME = re.compile(r"[A-Za-z_][\w.\[\]-]{0,39}", re.ASCII)
"""What can be the name of a field, cookie or header. A body of JSON that is sent as a form would be one long name."""
_SECRETS = (
    # The user and password of a URL, the values of its query, a password in a connection string, and private keys.
    (re.compile(r"([A-Za-z][\w+.-]*://)[^\s\"']*@"), rf"\1{HIDDEN}@"),
    (re.compile(r"([?&][\w.\[\]-]+=)[^&#\s\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(\w*(?:pass|pwd|secret|token)\w*\s*=\s*)('[^']*'|[^\s;&\"']+)"), rf"\1{HIDDEN}"),
    (re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*"), HIDDEN),
    # What an error of PostgreSQL adds to its message, in an exception that quotes the error.
    (re.compile(r"(?s)\n *(DETAIL|HINT|CONTEXT|QUERY|STATEMENT|LINE \d+):.*"), ""),
)
_PLAIN = re.compile(r"[A-Za-z0-9._:/@+-]+")
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
_DATA_EXCEPTION = "22"
"""The class of SQLSTATEs whose primary messages quote the value that PostgreSQL could not read."""


def without_secrets(text: str) -> str:
    """Return a text without passwords of URLs and connection strings, values of queries, private keys and details."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def shown(error: Any) -> str:
    """Return what a report says about an exception, or about a text in its place.

    The DETAIL, HINT and CONTEXT of an error of PostgreSQL contain values of rows and statements. Of an error of the
    database only the primary message and the SQLSTATE are shown, and nothing if the driver has no primary message.
    """
    if not _is_of_database(error):
        return without_secrets(str(error))
    primary, state = _diagnosis(error)
    if state and state.startswith(_DATA_EXCEPTION):
        primary = re.sub('(?s)".*"', f'"{HIDDEN}"', primary)
    return without_secrets(f"{primary} (SQLSTATE {state})" if state else primary)


def place(request: Any) -> str:
    """Return the path of a request. What the URL pattern captures is shown by name: ``/reset/<uidb64>/<token>/``."""
    try:
        match = request.resolver_match or resolve(request.path_info, getattr(request, "urlconf", None))
    except Resolver404:
        return "(no such path)"
    except Exception:  # The URLs of the project may be what is broken.
        return "(unknown path)"
    return f"/{match.route.lstrip('/')}" if match.args or match.kwargs else str(request.path)


class ReportFilter(SafeExceptionReporterFilter):
    """Hides values. DEFAULT_EXCEPTION_REPORTER_FILTER."""

    hidden_settings = re.compile(
        f"{SafeExceptionReporterFilter.hidden_settings.pattern}|DSN|CREDENTIAL|PWD|CSRF_COOKIE$", re.I
    )

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        found = super().cleanse_setting(key, value)
        if isinstance(found, dict | list | tuple):
            return found  # Their entries come here by themselves.
        text = found if isinstance(found, str) else repr(found)
        cleansed = without_secrets(text)
        return found if cleansed == text else cleansed

    def get_safe_request_meta(self, request: Any) -> dict[str, Any]:
        found = super().get_safe_request_meta(request)
        if not self.is_active(request):
            return found
        return dict(_names((key, value if META.fullmatch(key) else HIDDEN) for key, value in found.items()))

    def get_safe_cookies(self, request: Any) -> dict[str, Any]:
        return dict(_names((name, HIDDEN) for name in super().get_safe_cookies(request)))

    def get_post_parameters(self, request: HttpRequest | None) -> Any:
        found = super().get_post_parameters(request)
        return dict(_names((name, HIDDEN) for name in found)) if self.is_active(request) else found

    def get_traceback_frame_variables(self, request: Any, tb_frame: Any) -> Any:
        found = super().get_traceback_frame_variables(request, tb_frame)
        return [(name, HIDDEN) for name, _ in found] if self.is_active(request) else found


class Reporter(ExceptionReporter):
    """Hides the values in the URL, and the details of errors of the database. DEFAULT_EXCEPTION_REPORTER."""

    def get_traceback_data(self) -> dict[str, Any]:
        data = super().get_traceback_data()
        if not self.filter.is_active(self.request):
            return data
        if self.exc_value:
            data["exception_value"] = shown(self.exc_value)
            if _is_of_database(self.exc_value):
                data.pop("exception_notes", None)
            elif notes := data.get("exception_notes"):
                data["exception_notes"] = without_secrets(notes)
        if data["template_info"]:
            data["template_info"] = {**data["template_info"], "message": shown(self.exc_value)}
        data["unicode_hint"] = ""
        if self.request is not None:
            path = place(self.request)
            data["request_GET_items"] = list(_names((name, HIDDEN) for name in self.request.GET))
            data["request_FILES_items"] = list(_names((name, HIDDEN) for name in self.request.FILES))
            data["request_insecure_uri"] = path
            # What the templates read of the request itself.
            data["request"] = SimpleNamespace(
                path_info=path,
                META={"REQUEST_METHOD": self.request.META.get("REQUEST_METHOD", "")},
                GET=self.request.GET,
                FILES=self.request.FILES,
                COOKIES=self.request.COOKIES,
            )
        return data

    def get_exception_traceback_frames(self, exc_value: Any, tb: Any) -> Iterator[dict[str, Any]]:
        """Yield the frames of one exception. The heading between two exceptions names the cause."""
        for frame in super().get_exception_traceback_frames(exc_value, tb):
            if self.filter.is_active(self.request) and frame["exc_cause"] is not None:
                frame["exc_cause"] = shown(frame["exc_cause"])
            yield frame


class AdminMail(AdminEmailHandler):
    """Mails reports to ``ADMINS``. The subject has no message of an exception, and no value of the URL."""

    def emit(self, record: logging.LogRecord) -> None:
        record, request = copy(record), getattr(record, "request", None)
        if hasattr(request, "path_info"):
            record.msg, record.args = (
                f"{responses.get(getattr(record, 'status_code', 500), 'Error')}: {place(request)}",
                (),
            )
        elif isinstance(record.args, tuple):
            record.args = tuple(shown(item) if isinstance(item, BaseException) else item for item in record.args)
        record.msg, record.args = without_secrets(record.getMessage()), ()
        super().emit(record)


class ErrorLine(logging.Formatter):
    """Formats an error as one line of logfmt, without the message of the exception and without its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        request, error = getattr(record, "request", None), record.exc_info[1] if record.exc_info else None
        fields: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "logger": record.name,
            "level": record.levelname,
        }
        if request is not None and hasattr(request, "path_info"):
            fields |= {
                "status": getattr(record, "status_code", None),
                "method": request.META.get("REQUEST_METHOD"),
                "path": place(request),
            }
        elif record.args or error is None:
            fields["event"] = str(record.msg)  # Without its arguments, which may be messages of exceptions.
        if error is not None:
            chain = [error, *_causes(error)]
            states = [_diagnosis(one)[1] for one in chain if _is_of_database(one)]
            fields |= {
                "error": " < ".join(type(one).__name__ for one in chain),
                "sqlstate": next(filter(None, states), None),
                "at": _where(error.__traceback__),
            }
        return " ".join(f"{name}={_quoted(str(value))}" for name, value in fields.items() if value not in {None, ""})


def _names(items: Any) -> Iterator[tuple[str, Any]]:
    """Yield these pairs. A name that cannot be one of a field, cookie or header is hidden."""
    for name, value in items:
        yield (name, value) if _NAME.fullmatch(name) else (HIDDEN, HIDDEN)


def _is_of_database(error: Any) -> bool:
    """Return whether this is an exception of Django's database layer, of psycopg or of SQLite."""
    return isinstance(error, Error | sqlite3.Error) or hasattr(error, "diag")


def _diagnosis(error: BaseException) -> tuple[str, str | None]:
    """Return the primary message and the SQLSTATE of an error of the database."""
    # Django raises its own exception from the driver's.
    driver = error.__cause__ if isinstance(error, Error) and error.__cause__ is not None else error
    if diag := getattr(driver, "diag", None):
        state: str | None = getattr(driver, "sqlstate", None) or getattr(diag, "sqlstate", None)
        return str(diag.message_primary or f"{type(driver).__name__} without a primary message"), state
    # SQLite quotes no values, and Django's own messages have none. Other drivers may quote anything.
    is_known = driver is error or isinstance(driver, sqlite3.Error)
    return (str(driver).partition("\n")[0] if is_known else f"{type(driver).__name__} of another driver"), None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions that led to this one, as a traceback names them."""
    seen = {id(error)}
    while True:
        following = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if following is None or id(following) in seen:
            return
        seen.add(id(following))
        yield following
        error = following


def _where(traceback: TracebackType | None) -> str:
    """Return file, line and function of the innermost frame that is not in a library, or else of the innermost."""
    frames = [(frame.f_code.co_filename, line, frame.f_code.co_name) for frame, line in walk_tb(traceback)]
    ours = [frame for frame in frames if not frame[0].startswith(_LIBRARIES)] or frames
    return "{}:{} {}".format(*ours[-1]) if ours else ""


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
