"""What a production server shows of itself, what it connects to, and where its logs go."""

import ast
import logging
import re
import time
from logging.config import DictConfigurator
from pathlib import Path
from typing import Any

import django
import pytest
import yaml
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.staticfiles.finders import get_finders
from django.db.models import FileField
from django.test import Client
from django.urls import get_resolver

from tests.attacks.test_entry_points import routes
from tests.browsers import post, refresh
from tests.config.test_start_up import imported
from tests.documents import ALL
from tests.factories import PASSWORD
from tokens.models import SecurityEvent

ROOT = Path(__file__).parents[2]
FOR_VERIFIERS = {"/.well-known/jwks.json", "/.well-known/oauth-authorization-server"}
CANARY = "canary-of-a-header"
PATHS = sorted(
    {
        "/" + re.sub(r"\(\?P<[^>]+>[^)]*\)|<[^>]+>", "00000000-0000-0000-0000-000000000000", route)
        for route in routes(get_resolver("config.urls"))
    }
    | {"/metrics", "/health/live", "/health/ready", "/nothing", "/static/"}
)
PUBLIC_FILES = {
    *(".js", ".css", ".svg", ".png", ".map", ".ts", ".eot", ".ttf", ".woff", ".woff2"),
    # Licences, and the page of Swagger UI for OAuth.
    *("", ".txt", ".md", ".html"),
}
CONNECTING = {"aiohttp", "ftplib", "http.client", "httpx", "requests", "smtplib", "socket", "ssl", "urllib.request"}
LISTS_OF_FOLDERS = """
import pathlib, tempfile
import config.settings
config.settings.STATIC_ROOT = folder = tempfile.mkdtemp()
pathlib.Path(folder, "a").mkdir()
pathlib.Path(folder, "a", "b.js").write_text("1")
from config.wsgi import application
from django.test import RequestFactory
for path, status in (("/static/", 404), ("/static/a", 404), ("/static/a/", 404), ("/static/a/b.js", 200),
                     ("/static/../manage.py", 404), ("/static/a/../../manage.py", 404)):
    found = {}
    environ = RequestFactory(headers={"Host": "example.org"}).get(path, secure=True).environ
    body = b"".join(application(environ, lambda status, headers: found.update(headers, status=status)))
    assert found["status"].startswith(str(status)), (path, found)
    assert status == 200 or b"b.js" not in body, path
    if status == 200:
        assert found["X-Content-Type-Options"] == "nosniff", found
        assert found["Strict-Transport-Security"] == "max-age=31536000", found
"""


@pytest.mark.django_db
@pytest.mark.at_length_on("sqlite")
def test_no_url_returns_what_a_trace_request_contains(signed_in):
    """A response to TRACE would contain cookies that scripts cannot read (RFC 9110 section 9.3.8)."""
    for client in (signed_in, Client()):
        for path in PATHS:
            response = client.trace(path, headers={"X-Canary": CANARY}, secure=True)
            # The views for verifiers answer every method alike.
            expected = {200} if path in FOR_VERIFIERS else {302, 401, 403, 404, 405}
            assert response.status_code in expected, path
            assert CANARY not in response.content.decode(), path
            assert "message/http" not in response.headers.get("Content-Type", ""), path


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/nothing", "/api/auth/me", "/health/live", "/admin/login/", "/api/schema"])
def test_no_response_names_the_software_with_its_version(path):
    response = Client().get(path, secure=True)
    assert {"Server", "X-Powered-By", "Via"}.isdisjoint(response.headers)
    assert django.__version__ not in f"{dict(response.headers)}{response.content.decode()}"


def test_nginx_names_no_version():
    assert "server_tokens off;" in (ROOT / "deploy/nginx.conf.template").read_text()


def test_only_static_files_are_served_with_the_headers_of_a_page_and_no_folder_is_listed():
    imported(LISTS_OF_FOLDERS)


def test_nothing_takes_or_stores_a_file():
    """Only error reports name the files of a request, without their names and contents."""
    code = {
        path: path.read_text()
        for app in ("accounts", "config", "factors", "tokens")
        for path in (ROOT / app).rglob("*.py")
    }
    found = {str(path.relative_to(ROOT)) for path, text in code.items() if re.search(r"\.FILES|MultiPartParser", text)}
    assert found == {"tokens/web/reports.py"}
    assert not [path for path, text in code.items() if re.search(r"\b(File|Image|FilePath)Field\b", text)]
    assert not [field for model in apps.get_models() for field in model._meta.fields if isinstance(field, FileField)]
    assert django_settings.MEDIA_ROOT == ""


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query",
    ["", "?version=x%22%0d%0aA:b&title=x&filename=x", "?lang=x%22"],
    ids=["no query", "a version with a line break", "a language with a quote"],
)
def test_no_part_of_the_name_of_a_file_that_is_served_comes_from_the_request(query):
    """The description of the API is the only response with a name of a file."""
    response = Client().get(f"/api/schema{query}", secure=True)
    assert response["Content-Disposition"] == 'inline; filename="Latchkey.yaml"'


def test_only_files_of_these_kinds_are_static():
    found = {Path(path).suffix for finder in get_finders() for path, _ in finder.list([])}
    assert found <= PUBLIC_FILES


def test_only_the_demo_imports_a_module_that_opens_connections():
    """Other code connects only by Django, to the database, the cache and the mail server that settings name."""
    found = set()
    for app in ("accounts", "config", "factors", "tokens"):
        for path in (ROOT / app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {(str(path.relative_to(ROOT)), name.name) for name in node.names}
                elif isinstance(node, ast.ImportFrom):
                    found |= {(str(path.relative_to(ROOT)), f"{node.module}") for name in node.names}
    assert sorted((path, name) for path, name in found if name in CONNECTING and "config/demo/" not in path) == [
        ("tokens/web/reports.py", "http.client")  # The names of the statuses.
    ]


def test_every_password_of_the_containers_has_to_be_given():
    """Docker Compose refuses to start without a variable that is written with ``:?``. So there is no default."""
    text = re.sub(r"^ *#.*$", "", (ROOT / "deploy/compose.yaml").read_text(), flags=re.MULTILINE)
    variables = re.findall(r"(?<!\$)\$\{([A-Z_]+)([^}]*)\}", text)
    assert {name for name, _ in variables} >= {"SECRET_KEY", "DATABASE_PASSWORD", "REDIS_PASSWORD", "POSTGRES_PASSWORD"}
    assert [name for name, rest in variables if rest != ":?"] == []
    environments: list[dict[str, Any]] = [
        service.get("environment", {}) for service in yaml.safe_load(text)["services"].values()
    ]
    secrets = {
        name: value for given in environments for name, value in given.items() if re.search("PASSWORD|SECRET", name)
    }
    assert [name for name, value in secrets.items() if not re.fullmatch(r"\$\{[A-Z_]+:\?\}", value)] == []


def test_no_role_of_the_database_can_do_more_than_its_part_needs():
    roles = re.findall(r"^CREATE ROLE (\w+) (.*) PASSWORD", (ROOT / "deploy/primary.sql").read_text(), re.MULTILINE)
    assert dict(roles) == {"latchkey": "LOGIN", "replica": "LOGIN REPLICATION"}


@pytest.mark.django_db(transaction=True)
def test_a_sign_in_a_wrong_password_and_a_sign_out_each_leave_a_line_and_a_row(user, caplog):
    caplog.set_level(logging.INFO, "tokens")
    client = Client(secure=True)
    for password in ("wrong", PASSWORD):
        post(client, "/api/auth/login", {"email": user.email, "password": password})
    post(client, "/api/auth/reauthenticate", {"password": "wrong"})
    post(client, "/api/auth/logout")
    expected = ["sign_in_failed", "signed_in", "new_device", "sign_in_failed", "revoked"]
    assert list(SecurityEvent.objects.order_by("id").values_list("kind", flat=True)) == expected
    lines = [message for message in caplog.messages if message.startswith("event=")]
    assert [line.split()[0] for line in lines] == [f"event={kind}" for kind in expected]
    assert [line for line in lines if f"user={user.pk}" not in line or "ip=127.0.0.1" not in line] == []


@pytest.mark.django_db(transaction=True)
def test_a_rejected_refresh_token_leaves_a_line_and_no_part_of_it(api, caplog):
    caplog.set_level(logging.INFO, "tokens")
    forged = f"latchkey_rt_{'A' * 75}"
    assert refresh(api, forged).status_code == 401
    assert [line for line in caplog.messages if line.startswith('event="refresh refused" cause=')]
    assert forged not in caplog.text


def test_logs_go_to_standard_error_and_to_the_operators_and_nowhere_else():
    handlers = {handler["class"] for handler in django_settings.LOGGING["handlers"].values()}
    assert handlers == {"logging.StreamHandler", "tokens.web.reports.AdminMail"}
    for name in ("django", "accounts", "tokens"):
        assert f"log `{name}`" in ALL


@pytest.mark.parametrize("formatter", ["line", "fields", "error"])
def test_every_line_of_a_log_has_the_time_with_its_offset_and_names_its_logger(formatter, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kolkata")  # Its offset is neither zero nor whole hours.
    time.tzset()
    try:
        configurator = DictConfigurator({"formatters": {}})
        made = configurator.configure_formatter(dict(django_settings.LOGGING["formatters"][formatter]))
        line = made.format(logging.makeLogRecord({"name": "tokens", "msg": "event=x", "levelname": "ERROR"}))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert re.match(r"(time=)?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0530 (logger=)?tokens ", line)
