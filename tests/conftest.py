"""Fixtures for everything. A test that needs a database is run on SQLite and on PostgreSQL.

What is about the edge more than about rows, and takes long, is run on SQLite only at length (``at_length_on``).
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from pytest_django.plugin import DjangoDbBlocker

from tests.browsers import FIREFOX, login
from tests.databases import NAMES, Databases
from tests.factories import UserFactory
from tokens import throttles
from tokens.database import DatabaseNow
from tokens.service import acknowledgements
from tokens.service.feed import RevocationFeed, feed

NO_PARAMETERS = SimpleNamespace(params={})
NEEDS_DATABASE = {"db", "transactional_db", "user", "admin_user", "admin_client"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that touches a database once on each."""
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


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> Iterator[Databases]:
    """Both databases, made when first used, removed in the end."""
    worker = getattr(request.config, "workerinput", {}).get("workerid", "")
    with django_db_blocker.unblock():
        found = Databases(f"_{worker}" if worker else "")
        yield found
        found.destroy()


@pytest.fixture(scope="session")
def database(request: pytest.FixtureRequest, databases: Databases) -> str:
    """The name of the database that this run of the test is on."""
    return str(request.param)


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """Replaces pytest-django's: `_django_db_marker` creates the databases."""


@pytest.fixture(autouse=True)
def _django_db_marker(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> None:
    """Replaces pytest-django's: puts the test's database in place before the test's transaction is opened."""
    if "database" in getattr(request.node, "callspec", NO_PARAMETERS).params:
        name = request.getfixturevalue("database")
        with django_db_blocker.unblock():
            request.getfixturevalue("databases").use(name)
    if request.node.get_closest_marker("django_db"):
        request.getfixturevalue("_django_db_helper")


@pytest.fixture(autouse=True)
def _new_process() -> Iterator[None]:
    """What a process remembers between requests must not reach from one test into another."""
    acknowledgements.forget()
    feed.__init__()  # type: ignore[misc]
    throttles.forget_outage()
    cache.clear()
    yield
    acknowledgements.forget()
    feed.__init__()  # type: ignore[misc]


@pytest.fixture
def throttled(settings: Any) -> Iterator[Callable[..., None]]:
    """Switches throttles on, at their defaults; sets other rates by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TOKENS_THROTTLES")

        def rates(**given: str) -> None:
            settings.TOKENS = {**settings.TOKENS, "THROTTLES": given}

        rates()
        yield rates


class Clock:
    """Time, in the hands of a test: for this process, and for the database as the project asks it."""

    def __init__(self, traveller: Any) -> None:
        self._traveller = traveller

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def forward(self, seconds: float) -> None:
        self._traveller.shift(timedelta(seconds=seconds))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """A clock that stands still until it is moved."""
    monkeypatch.setattr(DatabaseNow, "as_postgresql", DatabaseNow.as_sqlite)
    with time_machine.travel(datetime(2030, 1, 1, 12, tzinfo=UTC), tick=False) as traveller:
        import time

        RevocationFeed.__init__(feed, monotonic=lambda: time.time())
        yield Clock(traveller)


@pytest.fixture
def user(db: None) -> Any:
    """Somebody with the password ``factories.PASSWORD``."""
    return UserFactory()


@pytest.fixture
def api() -> Client:
    """A browser of one person: it keeps cookies, and says what browsers say."""
    return Client(headers={"User-Agent": FIREFOX})


@pytest.fixture
def signed_in(api: Client, user: Any) -> Client:
    """The browser `api`, in which `user` has just signed in by the API, in the default storage mode.

    Every test that needs a signed-in browser starts here, or calls `tests.browsers.login` where it needs another mode,
    another person or the answer. A sign-in that is put together by hand would miss the device cookie.
    """
    login(api, user)
    return api


@pytest.fixture
def another() -> Callable[[], Client]:
    """Makes further browsers."""
    return lambda: Client(headers={"User-Agent": FIREFOX})
