"""The rules of the layout: import-linter's contracts in pyproject.toml, and those that it cannot express."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest
from django.conf import settings
from django.template import engines
from django.test import override_settings
from django.utils.module_loading import import_string

import tokens.api.public
import tokens.service.public
import tokens.sessions
from tests.measures import structure

ROOT = structure.ROOT

PUBLIC_SESSIONS = """
    ClaimsSession Factor FactorRequired ImpersonationRefused Kind MAX_DEVICE_NAME MoreNeeded Open Reason
    RefreshTokenRequired Refuse SessionEnded SignInRefused UnknownMethod account_recovered actor_id add_method
    allow_sign_in_after_reset answered authenticate canonical change_account change_accounts could_not_refresh
    current_id device_of durable encryption_keys end_device_trust enter_tenant factors factors_for happened
    has_refresh_token has_signed_in_before idle_lacks_factor idle_user impersonate is_device_trusted is_live is_recent
    is_same_password lacks_factor live_sessions may_remember may_send now open_session password_digest
    password_spellings pending reauthenticate recent_events record recover_account release relying_party
    rename_device reopen requires revoke revoke_all revoke_others revoked_by_operators sign_in_by sign_out_elsewhere
    take_turns tenant throttle unauthorized user_of validate_device_name was_ended_since
"""
PUBLIC_API = """
    ApiView AskedOutput FactorOutput Flag GrantOutput Me Operation PROVEN Parameter ProblemError ProofInput Public
    SIGNED_IN SignInInput Text answer_with_problem authorization_server_metadata endpoint granted jwks problems
    proof_of proof_of_delete reauthentication_required requires text_of valid
"""
PUBLIC_FACTORS = """
    Factor Password StrongerRequired are_asked_for begin bound_to is_known is_required_of known label_of missing names
    of_user offered page_after_sign_in
"""
PUBLIC_PENDING = "WrongAnswer answer_here offered_here options_here trust_offered_here user_name_here"
PUBLIC_SERVICE = """
    InvalidDomain Read Report address_field address_of are_found_by_the_model canonical canonical_domain counted holder
    holders is_confirmed no_such_account
"""
MOVED = {
    "tokens.operators.middleware": "tokens.monitoring.middleware",
    "tokens.cors.CorsMiddleware": "tokens.web.cors.CorsMiddleware",
    "config.deadlines.middleware": "config.postgresql.deadline.middleware",
    "config.routers.ReplicaRouter": "config.postgresql.routers.ReplicaRouter",
    "config.mailbox.EmailBackend": "config.demo.mailbox.EmailBackend",
    "config.reports.Reporter": "tokens.web.reports.Reporter",
    "config.reports.ReportFilter": "tokens.web.reports.ReportFilter",
    "config.reports.ErrorLine": "tokens.web.reports.ErrorLine",
    "config.reports.AdminMail": "tokens.web.reports.AdminMail",
    "config.requests.WSGIRequest": "tokens.web.requests.WSGIRequest",
    "config.requests.ASGIRequest": "tokens.web.requests.ASGIRequest",
}
RENAMED_FUNCTIONS = {
    "end_all": "revoke_all",
    "end_others": "revoke_others",
    "lasting": "durable",
    "open_door": "allow_sign_in_after_reset",
}
UNCHANGED = """
    tokens.middleware.TokenMiddleware tokens.backends.ModelBackend tokens.hashers.Argon2 tokens.hashers.PBKDF2
    tokens.hashers.Scrypt tokens.api.authentication.TokenAuthentication tokens.api.errors.answer_with_problem
    config.errors.method_not_allowed config.errors.csrf_failure config.postgresql.base.DatabaseWrapper
"""


def test_packages_arrows_layers_and_lines_stay_within_their_limits():
    assert structure.main() == 0


def test_imports_keep_the_contracts():
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_module_of_the_configuration_is_left_out_of_the_contract_about_the_demo():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [listed] = [contract["source_modules"] for contract in contracts if "demo" in contract["name"]]
    modules = {f"config.{path.stem}" for path in (ROOT / "config").iterdir() if (path / "__init__.py").exists()}
    modules |= {f"config.{path.stem}" for path in (ROOT / "config").glob("*.py") if path.stem != "__init__"}
    # An old dotted path of the demo's mailbox works for one more release.
    assert modules - {"config.demo", "config.deprecated"} == {name for name in listed if name.startswith("config.")}


APPS = ("accounts", "config", "factors", "tokens")
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def nodes_of(path):
    """The syntax tree of a file, as a flat list of its nodes."""
    return [*ast.walk(ast.parse(path.read_text()))]


def modules_in(*folders):
    """The modules in these folders of the repository, and in the folders within."""
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def imports_of(path):
    """The names of the modules that a file imports, each with what it imports from it."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (f"{alias.name}." for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.long
@pytest.mark.parametrize("debug", ["true", "false"], ids=["DEBUG on", "DEBUG off"])
def test_the_project_starts_without_the_demo(tmp_path, debug):
    """A project can delete the folder. It would otherwise be part of every server."""
    for app in APPS:
        ignored = shutil.ignore_patterns("demo", "__pycache__") if app == "config" else None
        shutil.copytree(ROOT / app, tmp_path / app, ignore=ignored)
    environment = {"PATH": "", "DJANGO_SETTINGS_MODULE": "config.settings", "DEBUG": debug, "SECRET_KEY": "s3cr-et" * 9}
    environment["ORIGIN"] = "http://localhost:8000" if debug == "true" else "https://example.org"
    command = [sys.executable, "-c", "import django; django.setup(); import config.urls"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_only_the_tests_of_the_demo_import_it():
    importing = re.compile(r"^\s*(from|import) (tests\.)?config(\.demo| import demo)", re.MULTILINE)
    found = [path for path in modules_in("tests") if importing.search(path.read_text())]
    assert found == [path for path in found if path.is_relative_to(ROOT / "tests/config/demo")] != []


@pytest.mark.parametrize("folder", ["service", "database", "conf", "protocol"])
def test_what_is_below_the_web_knows_no_request_and_no_response(folder):
    web = ("django.http", "django.views", "django.shortcuts", "rest_framework")
    for path in modules_in(f"tokens/{folder}"):
        assert not [name for name in imports_of(path) if name.startswith(web)], path


def test_the_protocol_reads_no_clock_and_does_no_input_or_output():
    outside = ("time.", "os.", "io.", "socket.", "subprocess.", "pathlib.", "urllib.request")
    for path in (ROOT / "tokens/protocol").glob("*.py"):
        assert not [name for name in imports_of(path) if name.startswith(outside)], path
        called = [node.func for node in nodes_of(path) if isinstance(node, ast.Call)]
        names = {node.attr for node in called if isinstance(node, ast.Attribute)}
        names |= {node.id for node in called if isinstance(node, ast.Name)}
        assert not names & {"now", "utcnow", "today", "open", "print"}, path


def test_an_import_inside_a_function_says_why_it_is_there():
    """A comment says why, on its line or above. An import that only avoids a circle would have no reason to give.

    Two kinds need no comment. Django wants some imports in `ready`, and the docstrings of two modules say why.
    """
    say_so_themselves = {"config/description.py", "tokens/testing/plugin.py"}
    found = []
    for path in modules_in(*APPS):
        lines = path.read_text().splitlines()
        functions = [node for node in nodes_of(path) if isinstance(node, FUNCTION) and node.name != "ready"]
        inner = [node for function in functions for node in ast.walk(function)]
        starts = {node.lineno for node in inner if isinstance(node, ast.Import | ast.ImportFrom)}
        # Several imports in a row have one comment.
        for number in sorted(start for start in starts if start - 1 not in starts):
            above, line = lines[number - 2 : number]
            if "#" not in line and not above.lstrip().startswith("#"):
                found.append((str(path.relative_to(ROOT)), number))
    assert {path for path, _number in found} == say_so_themselves, found


def test_every_public_function_says_what_it_does():
    found = []
    for path in modules_in(*APPS):
        functions = [node for node in nodes_of(path)[0].body if isinstance(node, FUNCTION)]
        without = [node.name for node in functions if node.name[0] != "_" and not ast.get_docstring(node)]
        if path.parent.name != "migrations":
            found += [f"{path.name}: {name}" for name in without]
    assert found == []


def test_the_protocol_runs_without_settings_and_without_django():
    script = """
        import sys
        sys.modules["django"] = None  # An import of Django raises ImportError.
        from datetime import UTC, datetime, timedelta
        from uuid import UUID
        from tokens.protocol import access_tokens, dbsc, keys, methods, refresh_tokens, rotation

        ring, now, hour = keys.derive(["x" * 64]), datetime(2030, 1, 1, tzinfo=UTC), timedelta(hours=1)
        codec = access_tokens.Codec(ring, "https://example.org", "https://example.org", "browser")
        text, _ = codec.dumps(
            subject="1", session_id=UUID(int=1), generation=7, now=now, lifetime=hour, session_ends_at=now + hour,
            authenticated_at=now, methods=["pwd"],
        )
        assert codec.loads(text, now).generation == 7
        (key_id, key), *_ = ring.mac_keys.items()
        presented = refresh_tokens.dumps(refresh_tokens.RefreshToken(UUID(int=1), bytes(16), 7), key_id, key)
        policy = rotation.Policy(timedelta(seconds=30), timedelta(seconds=10), 5)
        generation = refresh_tokens.loads(presented, ring.mac_keys).generation
        answer = rotation.decide(rotation.State(7, now), generation, now + hour, policy)
        assert answer is rotation.Decision.ROTATE, answer
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(script)], cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_rows_of_sessions_are_locked_and_deleted_by_the_services_only():
    """Locks and deletions elsewhere would not keep the order of locks (`tokens.service.users`)."""
    writes = {"_raw_delete", "bulk_create", "bulk_update", "select_for_update", "update_or_create", "get_or_create"}
    found = set()
    for path in modules_in("tokens/web", "tokens/api"):
        names = {node.attr for node in nodes_of(path) if isinstance(node, ast.Attribute)}
        if names & writes:
            found.add(str(path.relative_to(ROOT)))
    assert found == {"tokens/web/django/session_data.py"}  # It writes rows of Django's own sessions.


@pytest.mark.parametrize(
    ("app", "only_tests", "only_code"),
    [
        # "tenants" and "user_models" are whole projects, in which all parts of Latchkey are tried together.
        ("tokens", "tenants user_models", "admin checks deprecated migrations"),
        ("tokens/web", "", ""),
        # "people" is a project with a user model of its own.
        ("accounts", "people", "deprecated management migrations"),
        ("factors", "", "migrations templatetags"),
    ],
)
def test_the_tests_of_an_app_have_the_folders_of_the_app(app, only_tests, only_code):
    """Modules of tests/ test the folders that only the code has."""

    def folders(root):
        return {path.name for path in root.iterdir() if any(path.glob("*.py"))}

    tests, code = folders(ROOT / "tests" / app), folders(ROOT / app)
    assert (tests - code, code - tests) == (set(only_tests.split()), set(only_code.split()))


@pytest.mark.parametrize(
    "package",
    [
        "tokens",
        "tokens.protocol",
        "tokens.database",
        "tokens.service",
        "tokens.web",
        "tokens.web.http",
        "tokens.web.django",
        "tokens.web.operations",
        "accounts.service",
        "factors.service",
        "config.postgresql",
    ],
)
def test_the_docstring_of_a_package_names_its_modules(package):
    """A newcomer opens it first. A module that it leaves out is found by accident."""
    folder = ROOT / package.replace(".", "/")
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    modules = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    internal = {"__init__", "deprecated", "migrations", "__pycache__"}
    assert modules - internal == set(re.findall(r"`(\w+)`", text)) & modules


def test_one_place_opens_sessions_for_sign_ins():
    """Others would open one without asking the policy. The end of an impersonation continues a session."""
    allowed = {"tokens/service/opening.py", "tokens/service/impersonation.py", "tokens/web/sign_in_policy.py"}
    found = set()
    for path in modules_in(*APPS):
        imported, text = {*imports_of(path)}, path.read_text()
        is_direct = "tokens.service.opening.open_session" in imported
        is_by_module = "tokens.service.opening" in imported and "opening.open_session(" in text
        if is_direct or is_by_module or "replaced=" in text:
            found.add(str(path.relative_to(ROOT)))
    assert found == allowed


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (tokens.sessions, PUBLIC_SESSIONS),
        (tokens.sessions.factors, PUBLIC_FACTORS),
        (tokens.sessions.pending, PUBLIC_PENDING),
        (tokens.service.public, PUBLIC_SERVICE),
        (tokens.api.public, PUBLIC_API),
    ],
    ids=["sessions", "sessions.factors", "sessions.pending", "service", "api"],
)
def test_a_public_module_has_these_names(module, names):
    assert sorted(module.__all__) == sorted(names.split())
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("name", ["factors", "pending"])
def test_other_apps_use_the_public_names_of_a_module_in_tokens_sessions(name):
    used = set()
    for path in [path for app in ("accounts", "factors", "config") for path in (ROOT / app).rglob("*.py")]:
        used |= set(re.findall(rf"\bsessions\.{name}\.(\w+)", path.read_text()))
    assert used <= set(getattr(tokens.sessions, name).__all__)
    assert used


def test_tokens_sessions_does_not_import_rest_framework():
    code = "import django; django.setup(); import sys, tokens.sessions; print('rest_framework.views' in sys.modules)"
    environment = {"PATH": "", "DJANGO_SETTINGS_MODULE": "tests.bare_settings"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize(("old", "new"), MOVED.items(), ids=MOVED)
def test_an_old_dotted_path_works_and_warns(old, new, monkeypatch):
    monkeypatch.delitem(sys.modules, old.rpartition(".")[0], raising=False)
    with pytest.warns(DeprecationWarning, match=new.rpartition(".")[0].replace(".", r"\.")):
        assert import_string(old) is import_string(new)


def test_the_old_middleware_for_time_zones_works_warns_and_changes_nothing(monkeypatch):
    monkeypatch.delitem(sys.modules, "accounts.time_zones", raising=False)
    with pytest.warns(DeprecationWarning, match="Remove it from MIDDLEWARE"):
        middleware = import_string("accounts.time_zones.TimeZoneMiddleware")

    def get_response(request):
        return request

    assert middleware(get_response) is get_response


@pytest.mark.parametrize(("old", "new"), RENAMED_FUNCTIONS.items(), ids=RENAMED_FUNCTIONS)
def test_an_old_name_in_tokens_sessions_works_and_warns(old, new):
    with pytest.warns(DeprecationWarning, match=new):
        assert getattr(tokens.sessions, old) is getattr(tokens.sessions, new)


def test_an_unknown_name_in_tokens_sessions_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'unknown'"):
        tokens.sessions.unknown  # noqa: B018


@pytest.mark.parametrize("path", UNCHANGED.split())
def test_a_dotted_path_that_settings_name_stays_the_same(path):
    assert import_string(path)


def test_what_is_stored_in_djangos_session_stays_the_same():
    django_sign_in = importlib.import_module("tokens.web.django.django_sign_in")
    stored = (django_sign_in.MARK, django_sign_in.NONCE, django_sign_in.SESSION_ID)
    assert stored == ("_tokens_opened", "_tokens_handover", "_tokens_session")
    django_session = importlib.import_module("tokens.web.django.django_session")
    assert (django_session.OWNER, django_session.PROVEN) == ("_tokens_owner", "_tokens_proven")
    assert django_sign_in.OUR_BACKEND == "tokens.backends.ModelBackend"


class TestAProjectWithTemplatesOfItsOwn:
    """A host project has its own base.html, home.html and sign_in.html. Neither project may use the other's."""

    @pytest.fixture
    def apps(self, tmp_path, monkeypatch):
        """Two apps: the host project's, and one that has our templates as the wheel has them.

        Templates without an app's name would win in one order of INSTALLED_APPS.
        """
        for name in ("host_app", "wheel_app"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").touch()
        (tmp_path / "host_app/templates").mkdir()
        for name in ("base", "home", "sign_in"):
            (tmp_path / f"host_app/templates/{name}.html").write_text(f"the {name} page of the host")
        (tmp_path / "wheel_app/templates").symlink_to(ROOT / "templates")
        monkeypatch.syspath_prepend(tmp_path)
        yield
        for name in ("host_app", "wheel_app"):
            sys.modules.pop(name, None)

    @pytest.mark.usefixtures("apps")
    @pytest.mark.parametrize("folders", [[ROOT / "templates"], []], ids=["checkout", "wheel"])
    @pytest.mark.parametrize(
        ("before", "after"), [(["host_app"], []), ([], ["host_app"])], ids=["before ours", "after ours"]
    )
    def test_keeps_its_own_and_does_not_break_ours(self, before, after, folders):
        # No wheel has the demo.
        ours = [app for app in settings.INSTALLED_APPS if app != "config.demo"] + ([] if folders else ["wheel_app"])
        templates = [{**settings.TEMPLATES[0], "DIRS": folders}]
        with override_settings(INSTALLED_APPS=[*before, *ours, *after], TEMPLATES=templates):
            engine = engines["django"]
            for name in ("base", "home", "sign_in"):
                assert engine.get_template(f"{name}.html").render({}) == f"the {name} page of the host"
                found = Path(engine.get_template(f"accounts/{name}.html").origin.name)
                assert found.resolve().is_relative_to(ROOT / "templates")
            page = engine.get_template("accounts/notice.html").render({})
        assert "<!doctype html>" in page


HAS_DEMO = (ROOT / "config/demo").is_dir()
"""A project can delete the demo (`test_the_project_starts_without_the_demo`)."""


@pytest.mark.parametrize(
    "folder", ["templates", "tokens/templates", "factors/templates", *(["config/demo/templates"] if HAS_DEMO else [])]
)
def test_every_template_carries_the_name_of_its_app_in_its_path(folder):
    for path in (ROOT / folder).rglob("*.*"):
        first, *rest = path.relative_to(ROOT / folder).parts
        assert rest
        assert first in {"accounts", "tokens", "config", "demo", "factors"} or (
            first == "admin" and rest[0] in {"accounts", "factors", "tokens"}
        )


@pytest.mark.parametrize("app", ["tokens", "accounts", "factors", *(["config/demo"] if HAS_DEMO else [])])
def test_every_static_file_carries_the_name_of_its_app_in_its_path(app):
    static = ROOT / app / "static"
    assert {path.name for path in static.iterdir()} == {Path(app).name}
