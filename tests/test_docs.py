"""The documents agree with the code: the tables of docs/ and SECURITY.md name what exists, and all of it."""

import re

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.urls import get_resolver

from accounts import delivery
from config import environment
from config.postgresql import deadline
from config.postgresql.base import ImpatientConnection
from docs.generate.pages import TABLES, pages
from tests.documents import ALL, PAGES, ROOT
from tokens.conf import SETTINGS
from tokens.protocol import access_tokens
from tokens.service import throttles
from tokens.service.revocation_feed import REPLICA_RETRY_AFTER
from tokens.web.http import cookie_names

SECURITY = (ROOT / "SECURITY.md").read_text()


def test_every_table_of_the_reference_is_current():
    """`python -m docs.generate` writes the pages."""
    assert [path.name for path, text in pages().items() if path.read_text() != text] == []


def test_every_table_that_can_be_made_is_on_one_page():
    marks = re.findall(r"^<!-- generated: (\w+) -->$", ALL, re.MULTILINE)
    assert sorted(marks) == sorted(TABLES)


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("settings", "| `ACCESS_LIFETIME` | seconds | 600 | lifetime of an access token"),
        ("settings", "| `SERVICE_AUDIENCE` | text | none | "),
        ("throttles", "| `sign_in_account` | `10/15m` | wrong passwords for an account"),
        ("operations", "- 401: `session_ended`, `session_idle`\n- 429: `throttled`"),
        ("objects", "| `session` | [SessionOutput](#sessionoutput) | (required) |"),
        (
            "problems",
            "| 401 | `token_expired` | The access token has expired. Refresh, and try again. | `Bearer error=",
        ),
        ("commands", "| `--older-than` `DURATION` | sessions opened longer ago than this: 90s, 15m, 12h or 30d |"),
        ("checks", "| `tokens.W053` | warning | /.well-known/jwks.json is not in the URLs. | Add path("),
        ("events", "| `sign_in_failed` | sign-in failed | `ATTEMPT_RETENTION` |"),
        ("reasons", "| `reuse_detected` | a refresh token was used twice |"),
        ("metrics", "| `latchkey_refreshes_total` | counter | `outcome`, `cause` | "),
        ("sessions", "`change_account(request: HttpRequest, **proof: Unpack[Proof]) → context manager`"),
        ("signals", "## `tokens.sessions.happened`\n\nThe signal that is sent"),
        ("public", "`requires(*, acr: str='', max_age: int | timedelta | None=None) → type[BasePermission]`"),
        ("testing", "Does what [`sign_in`](#sign_in) does, in a thread."),
        ("contrib", "### `tokens.contrib.hijack`"),
        ("models", "| `since` | InstantField | last refreshed |"),
    ],
    ids=[
        *("a setting", "a setting without a default", "a throttle", "the answers of an operation", "a field"),
        *("a problem", "an option of a command", "a check", "an event", "a reason", "a metric", "a context manager"),
        *("a signal", "a function", "an async function", "an integration", "a field of a model"),
    ],
)
def test_a_table_says_what_the_code_says(table, row):
    assert row in TABLES[table]()


@pytest.mark.parametrize("page", ["python-sessions", "python-api", "python-testing"])
def test_every_public_name_is_explained(page):
    sections = re.split(r"^## ", PAGES[f"reference/{page}.md"], flags=re.MULTILINE)[1:]
    empty = [one.splitlines()[0] for one in sections if not re.search(r"^(?!A class)[A-Z`*].+[.:]$", one, re.MULTILINE)]
    assert empty == []


def test_the_reference_has_every_cookie_with_its_names():
    page = PAGES["reference/cookies.md"]
    found = [value for value in vars(cookie_names).values() if isinstance(value, cookie_names.Cookie)]
    assert len(found) > 5
    for cookie in found:
        assert [
            f"`{name}`" for name in (cookie.prefixed, cookie.plain, cookie.older) if name and f"`{name}`" not in page
        ] == []
    assert page.count("\n| `__") == len(found)


def test_the_documentation_tells_services_what_each_claim_means_that_no_library_checks():
    section = PAGES["how-to/verify-access-tokens.md"]
    checked = {"iss", "aud", "exp", "iat", "nbf", "jti", "client_id"}
    assert [name for name in access_tokens.REGISTERED - checked if f"`{name}`" not in section] == []


def test_the_documentation_has_the_alarms_of_the_file_for_prometheus():
    table = PAGES["how-to/watch.md"].split("| alarm | PromQL |")[1].split("\n\n")[0].replace(r"\|", "\0")
    rows = re.findall(r"^\| ([^|]+) \| `([^|]+)`(?: for (\w+))? \| ([^|]+) \|$", table, re.MULTILINE)
    (group,) = yaml.safe_load((ROOT / "deploy" / "alarms.yml").read_text())["groups"]
    assert [tuple(cell.replace("\0", "|").replace("`", "") for cell in row) for row in rows] == [
        (rule["alert"], rule["expr"], rule.get("for", ""), rule["annotations"]["summary"]) for rule in group["rules"]
    ]
    assert table.count("\n| ") == len(group["rules"]) + 1


def test_the_documentation_has_every_variable_of_the_environment():
    code = "".join((ROOT / "config" / name).read_text() for name in ("settings.py", "environment.py"))
    read = re.findall(r"""(?:env\.\w+|whole_number|database_settings)\(\s*"([A-Z_]+)\"""", code)
    table = PAGES["reference/environment.md"].split("| environment | meaning |")[1].split("\n\n")[0]
    assert len(read) > 10
    assert set(read) - set(re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE)) == set()


def test_the_documentation_has_the_limits_of_connections():
    table = PAGES["how-to/connections.md"]
    rows = dict(re.findall(r"^\| [^|]*`([A-Z_]+_URL)`[^|]* \| (.+) \|$", table, re.MULTILINE))
    wait = int(re.findall(r"wait=(\d+)", (ROOT / "config" / "settings.py").read_text())[0])
    database = environment.postgresql({}, pool=10, wait=wait, timeout=15)["OPTIONS"]
    cache = environment.cache_settings("redis://cache")["OPTIONS"]
    assert f"{database['pool']['timeout']} s for a connection" in rows["DATABASE_URL"]
    assert f"{database['connect_timeout']} s to connect" in rows["DATABASE_URL"]
    assert f"{deadline.PATIENCE:g} s in the {deadline.SILENCE:g} s after" in rows["DATABASE_URL"]
    assert f"{ImpatientConnection.patience:g} s |" in rows["REPLICA_URL"]
    assert f"after {REPLICA_RETRY_AFTER:g} s" in rows["REPLICA_URL"]
    assert f"{cache['socket_connect_timeout']} s to connect" in rows["CACHE_URL"]
    assert f"after {throttles.PAUSE:g} s" in rows["CACHE_URL"]
    assert f"after {environment.MAIL_TIMEOUT} s without" in rows["EMAIL_URL"]
    assert f"{delivery.WAITING:,} mails of a kind wait, {delivery.OF_ONE_ADDRESS} of them" in rows["EMAIL_URL"]


@pytest.mark.parametrize("command", ["purge_tokens", "revoke_sessions", "list_sessions", "make_signing_key"])
def test_the_documentation_has_no_unknown_option_of_a_command(command):
    parser = load_command_class(get_commands()[command], command).create_parser("manage.py", command)
    ours = {option for action in parser._actions for option in action.option_strings if option.startswith("--")}
    row = next(line for line in ALL.splitlines() if line.startswith(f"| `manage.py {command}`"))
    assert set(re.findall(r"--[a-z-]+", row)) <= ours


@pytest.mark.parametrize("app", ["accounts", "factors", "tokens"])
def test_the_documentation_has_every_operation_of_the_api(app):
    for pattern in get_resolver(f"{app}.api.urls").url_patterns:
        route = str(pattern.pattern).strip("^$").removesuffix("(?:/)?")
        route = re.sub(r"\(\?P<\w+>\[\^/\]\+\)", "{id}", route)
        assert f"/api/{route}`" in ALL or pattern.name == "nothing", route


def test_the_changelog_and_the_licence_exist():
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()
    assert "the Latchkey authors" in (ROOT / "LICENSE").read_text()


STANDARDS = re.findall(r"^\| ((?:V|RFC )[^|]+) \| ([^|]+) \| (.+) \|$", SECURITY, re.MULTILINE)
"""The rows of the table in SECURITY.md: a requirement, how it is met, and the tests, or why there is none."""
ASVS = {
    "3.3": 5, "3.4": 8, "5.1": 1, "5.2": 6, "5.3": 3, "5.4": 3, "6.2": 12, "6.3": 8, "6.5": 8, "6.6": 4, "6.7": 2,
    "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 3, "7.6": 2, "9.1": 3, "9.2": 4, "13.1": 4, "13.2": 6, "13.3": 4,
    "13.4": 7, "16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 4,
}  # fmt: skip
"""The number of requirements in each section of ASVS 5.0.0."""


def test_security_md_has_every_requirement_once():
    named = [name for name, _, _ in STANDARDS]
    asvs = [f"V{section}.{number}" for section, count in ASVS.items() for number in range(1, count + 1)]
    rfc_8725 = [f"RFC 8725 3.{number}" for number in range(1, 13)]
    assert [name for name in named if name[0] == "V"] == asvs
    assert [name for name in named if name.startswith("RFC 8725")] == rfc_8725
    assert len(set(named)) == len(named) == len(re.findall(r"^\| (?:V|RFC )", SECURITY, re.MULTILINE))


@pytest.mark.parametrize(("requirement", "answer", "tests"), STANDARDS, ids=[row[0] for row in STANDARDS])
def test_the_tests_that_security_md_names_exist(requirement, answer, tests):
    if tests.startswith(("not met: ", "does not apply: ")):
        return
    assert ": " in answer, "The row needs both the requirement and how it is met."
    assert_exist(tests)


ENTRY_POINTS = re.findall(
    r"^\| ([^|]+) \| ([^|]+) \| (`[^|]+`) \|$", SECURITY.partition("## Entry points")[2], re.MULTILINE
)
"""The rows of the table of entry points in SECURITY.md: an entry point, what holds there, and the tests."""
ENTRY_POINTS = [row for row in ENTRY_POINTS if row not in STANDARDS]


@pytest.mark.parametrize("tests", [row[2] for row in ENTRY_POINTS], ids=[row[0] for row in ENTRY_POINTS])
def test_the_tests_of_each_entry_point_exist(tests):
    assert_exist(tests)


def assert_exist(tests: str) -> None:
    """Check that each of these tests exists. They are separated by line breaks of HTML."""
    for named in tests.split("<br>"):
        match = re.fullmatch(r"`([^:`]+)::(test_\w+)`", named)
        assert match, named
        assert f"def {match[2]}(" in (ROOT / "tests" / match[1]).read_text(), named


def test_security_md_has_no_unknown_setting():
    named = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", SECURITY))
    assert len(named) > 10
    assert [name for name in named if name not in SETTINGS and not hasattr(settings, name)] == []
