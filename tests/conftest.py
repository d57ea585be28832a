"""Fixtures for the whole suite. A test that needs a database runs once on SQLite and once on PostgreSQL.

A slow test that hardly depends on the database carries the marker ``at_length_on("sqlite")``. It then runs on SQLite
only when exhaustive tests run. Most tests of pages and endpoints hardly depend on the database either: the default run
has them on SQLite, and ``-m quick`` has them on PostgreSQL. CI does both.
"""

import gc
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache as cached
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
import pytest
from django.core.cache import cache
from django.test import Client, TransactionTestCase
from django.urls import resolvers
from django.utils import translation
from pytest_django.plugin import DjangoDbBlocker

from accounts import delivery
from tests.browsers import AsyncBrowser, new_browser
from tests.databases import NAMES, Databases
from tests.factories import UserFactory
from tests.hashers import CheapArgon2
from tokens import testing
from tokens.service import acknowledgements, throttles
from tokens.service.revocation_feed import feed, feed_of
from tokens.web.http import paths

# Each test with other URLs makes resolvers, and each of these a context variable, which stays in the context for ever.
# Every call between sync and async code copies them all, so that late tests would take forty times as long.
resolvers.Local = threading.local  # type: ignore[assignment, misc]
# A test with other URLs makes its resolvers anew, and so does the test after it. Most of the time for that goes into
# this function, which reads the regular expression of a path. Its result depends on nothing else.
resolvers.normalize = cached(resolvers.normalize)

# The same examples in every run, so that no run fails by chance, and no limit of time for one of them.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
# Other examples in every run: they look for more.
hypothesis.settings.register_profile("other", deadline=None)
hypothesis.settings.load_profile("same")

NO_PARAMETERS = SimpleNamespace(params={})
NEEDS_DATABASE = {"db", "transactional_db", "user", "admin_user", "admin_client"}
COMMITTING = {"transactional_db", "live_server", "django_db_reset_sequences", "django_db_serialized_rollback"}
"""The fixtures of tests that are not rolled back, besides the marker ``django_db`` with an argument."""
SLOW = ("browser", "scale", "faults", "exhaustive", "gettext", "long")
"""The markers of tests that are not ``quick``."""
NOT_DAILY = tuple(
    Path(__file__).parent / folder
    for folder in ("attacks", "benchmarks", "browser", "clients", "examples", "faults", "foreign", "scale")
)
"""Folders without ``quick`` tests. They attack the whole, or start other programs."""
LESS_OFTEN = (Client, "db"), (AsyncBrowser, "signed_cookies")
"""Kinds of server with engines of Django's sessions that only the exhaustive run has. The others have each of both."""
ONCE_BY_DEFAULT = (
    "tests/accounts/",
    "tests/factors/",
    "tests/tokens/api/",
    "tests/tokens/management/",
    "tests/tokens/web/",
    "tests/tokens/test_admin",
    "tests/tokens/test_dashboard",
    "tests/tokens/test_metrics",
    "tests/tokens/test_middleware",
    "tests/tokens/test_monitoring",
    "tests/tokens/test_password_spellings",
    "tests/tokens/testing/",
)
"""Where tests that run on both databases are left out on PostgreSQL, unless ``-m quick`` asks for them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the tests in browsers. They stand here, so that ``pytest -m browser`` knows them too."""
    parser.addoption(
        "--device-bound",
        choices=["offer", "off"],
        default="offer",
        help="tests of the session client in browsers: DEVICE_BOUND of the sites. Chromium keeps keys.",
    )
    parser.addoption(
        "--engine",
        choices=["chromium", "firefox", "webkit"],
        default="chromium",
        help="tests in browsers: the browser. Tests that assume Chromium are skipped in the others.",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that needs a database once on each of them."""
    marked = metafunc.definition.get_closest_marker("django_db")
    if marked or NEEDS_DATABASE & set(metafunc.fixturenames):
        only = metafunc.definition.get_closest_marker("only_on")
        at_length = metafunc.definition.get_closest_marker("at_length_on")
        names = [
            pytest.param(name, marks=pytest.mark.exhaustive) if at_length and name in at_length.args else name
            for name in (only.args if only else NAMES)
        ]
        metafunc.fixturenames.insert(0, "database")
        metafunc.parametrize("database", names, indirect=True, scope="session")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import tests that ``-m quick`` would leave out. Each process would take seconds for that."""
    return True if config.option.markexpr == "quick" and collection_path in NOT_DAILY else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests for daily work: those without another marker, on PostgreSQL if they run on both databases.

    Mark with ``repeated`` those that the default run leaves out on PostgreSQL.
    """
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if (parameters.get("browser"), parameters.get("engine")) in LESS_OFTEN:
            item.add_marker("exhaustive")
        is_on_each = "database" in parameters and not item.get_closest_marker("only_on")
        is_again = parameters.get("database") == "sqlite" and not item.get_closest_marker("only_on")
        if not is_again and not any(map(item.get_closest_marker, SLOW)):
            if not any(folder in item.path.parents for folder in NOT_DAILY):
                item.add_marker("quick")
            at_length = item.get_closest_marker("at_length_on")
            if (
                is_on_each
                and not (at_length and "sqlite" in at_length.args)
                and item.nodeid.startswith(ONCE_BY_DEFAULT)
            ):
                item.add_marker("repeated")


def pytest_collection_finish() -> None:
    """Let Python's garbage collector leave out the tests and modules, which stay until the process ends.

    It would look at all of them again and again. It also waits for more objects than usual, because each test makes
    many that are soon free.
    """
    # When it is imported, it looks for what refers to the generators of random numbers, and would not find it later.
    assert hypothesis
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> Iterator[Databases]:
    """Both databases, one pair for each pytest-xdist worker. A shared pair would let parallel tests disturb each other.

    Each is created when it is first used, and removed at the end.
    """
    worker = getattr(request.config, "workerinput", {}).get("workerid", "")
    found = Databases(f"_{worker}" if worker else "")
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        # Django's own method flushes each database of the test.
        patch.setattr(TransactionTestCase, "_fixture_teardown", _empty_databases)
        yield found
        found.destroy()


def _empty_databases(test: Any) -> None:
    for alias in test._databases_names(include_mirrors=False):
        Databases.empty(alias)


@pytest.fixture(scope="session")
def database(request: pytest.FixtureRequest, databases: Databases) -> str:
    """The name of the database that the test runs on. Without it, a test would run on only one of them."""
    return str(request.param)


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """Replace pytest-django's fixture of this name, which would create a database that no test uses."""


@pytest.fixture(autouse=True)
def _django_db_marker(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> None:
    """Replace pytest-django's fixture of this name: select the test's database before its transaction begins.

    If it was selected later, the test's rows would stay in the database.
    """
    marked = request.node.get_closest_marker("django_db")
    if "database" in getattr(request.node, "callspec", NO_PARAMETERS).params:
        name = request.getfixturevalue("database")
        commits = COMMITTING & set(request.fixturenames) or (marked and (marked.args or marked.kwargs))
        with django_db_blocker.unblock():
            request.getfixturevalue("databases").use(name, rolled_back=not commits)
    if marked:
        request.getfixturevalue("_django_db_helper")


@pytest.fixture(autouse=True)
def _new_process() -> Iterator[None]:
    """Forget what a process remembers between requests. Otherwise a test could pass because of an earlier test."""
    acknowledgements.forget()
    feed.__init__()  # type: ignore[misc]
    feed_of.cache_clear()
    throttles.forget_outage()
    cache.clear()
    paths.forget()  # The marker `urls` of pytest-django does not say that it changes ROOT_URLCONF.
    translation.deactivate()  # A request leaves its language active.
    yield
    acknowledgements.forget()
    feed.__init__()  # type: ignore[misc]
    feed_of.cache_clear()
    translation.deactivate()


@pytest.fixture(autouse=True)
def _mail_at_once() -> Iterator[None]:
    """Deliver mail before the request ends. Without it a slow thread could deliver a mail late, or to another test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery, "_pool", SimpleNamespace(submit=lambda run, *job: run(*job)))
        yield


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of the password hasher, in order. An attacker could measure which accounts cost more hashing."""
    calls: list[str] = []

    def recorded(name: str) -> Callable[..., Any]:
        original = getattr(CheapArgon2, name)

        def call(*args: Any, **options: Any) -> Any:
            calls.append(name)
            return original(*args, **options)

        return call

    for name in ("encode", "verify"):
        monkeypatch.setattr(CheapArgon2, name, recorded(name))
    return calls


@pytest.fixture
def throttled(settings: Any) -> Iterator[Callable[..., None]]:
    """Switch the throttles on, with their default rates. Without it, a test would not notice that nothing is throttled.

    The value is a function that sets other rates by name.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TOKENS_THROTTLES")

        def rates(**given: str) -> None:
            settings.TOKENS = {**settings.TOKENS, "THROTTLES": given}

        rates()
        yield rates


@pytest.fixture
def clock() -> Iterator[testing.Clock]:
    """A clock that stands still. Without it, a test that crosses the boundary of a second would fail at random."""
    with testing.clock(datetime(2030, 1, 1, 12, tzinfo=UTC)) as found:
        yield found


@pytest.fixture
def user(db: None) -> Any:
    """A user with the password ``factories.PASSWORD``, made as the project makes users.

    A row that was made in another way could have a password hash or an email address that no sign-in accepts.
    """
    return UserFactory()


@pytest.fixture
def api() -> Client:
    """A browser that keeps its cookies and sends a real User-Agent.

    Django's client sends none, so a test would not notice that a device is given the wrong name.
    """
    return new_browser()


@pytest.fixture
def signed_in(request: pytest.FixtureRequest, api: Client, user: Any) -> Client:
    """The browser `api`, in which `user` has just signed in, in the default storage mode.

    Every test that needs a signed-in browser starts here. It calls `tests.browsers.login` instead if it needs another
    mode, another user or the answer of the API. A sign-in that is put together by hand would miss the device cookie.

    If the test uses `clock`, the user signs in at that clock's time, in whatever order the test names the two. Tokens
    of the real time would have expired on that clock, and a test that expects a refusal would pass for that reason.
    """
    if "clock" in request.fixturenames:
        request.getfixturevalue("clock")
    testing.sign_in(api, user)
    return api


@pytest.fixture
def another() -> Callable[[], Client]:
    """Return a function that makes further browsers. Without it, two clients of a test would share their cookies."""
    return lambda: new_browser()
