"""Other isolation levels than READ COMMITTED: of the role, the database, or the connections.

At REPEATABLE READ and SERIALIZABLE, PostgreSQL lets a statement fail if a row that it waited for has changed.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from threading import Barrier, Event
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.management import call_command
from django.db import OperationalError, ProgrammingError, connection, connections, transaction
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests.browsers import FIREFOX, post, refresh
from tests.factories import PASSWORD, UserFactory
from tests.tokens.devices import OFFERED, KeyHolder
from tests.tokens.service.holders import PATIENCE, STILL_TIME, Holder
from tests.tokens.service.statements import query
from tests.tokens.service.threads import in_thread, wait_until_blocked
from tokens.database.expressions import Ago
from tokens.database.transactions import bounded, durable
from tokens.hashers import Turns
from tokens.models import Device, RefreshToken
from tokens.protocol.rotation import Decision
from tokens.service.issuing import IssuedTokens

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("postgresql"), pytest.mark.long]

THREADS, ROUNDS = 24, 5
LEVELS = "repeatable read", "serializable"


def set_by_role(level: str) -> None:
    query(f"ALTER ROLE CURRENT_USER SET default_transaction_isolation = '{level}'")


def set_by_database(level: str) -> None:
    query(f"""ALTER DATABASE "{connection.settings_dict["NAME"]}" SET default_transaction_isolation = '{level}'""")


def set_by_connection(level: str) -> None:
    connection.settings_dict["OPTIONS"]["isolation_level"] = 2 + LEVELS.index(level) + 1


WAYS = {"the role": set_by_role, "the database": set_by_database, "the connection": set_by_connection}


@contextmanager
def isolated(way: Callable[[str], None], level: str) -> Iterator[None]:
    """Let new connections of every thread have this level."""
    way(level)
    connection.close()
    try:
        yield
    finally:
        connection.settings_dict["OPTIONS"].pop("isolation_level", None)
        query("ALTER ROLE CURRENT_USER RESET default_transaction_isolation")
        query(f'ALTER DATABASE "{connection.settings_dict["NAME"]}" RESET default_transaction_isolation')
        connection.close()


def levels(*ways: tuple[str, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("level", ways, indirect=True, ids=[f"{level} by {way}" for way, level in ways])


every_level = levels(*((way, level) for way in WAYS for level in LEVELS))
two_levels = levels(("the role", "serializable"), ("the connection", "repeatable read"))


@pytest.fixture
def level(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[str]:
    """A level that fails where READ COMMITTED waits. Without it every statement here would wait."""
    way, name = request.param
    with isolated(WAYS[way], name):
        with transaction.atomic():
            assert query("SHOW transaction_isolation") == (name,)
        yield name


def at_once(work: Callable[[], Any], threads: int = THREADS) -> list[Any]:
    """Do the same in several threads, each with its own connection, which start together."""
    barrier = Barrier(threads)

    def run(_: int) -> Any:
        try:
            query("SELECT 1")
            barrier.wait(PATIENCE)
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


@every_level
def test_parallel_refreshes_are_all_granted_the_same_successor(level):
    holder = Holder(UserFactory())
    for generation in range(1, ROUNDS + 1):
        answers = at_once(holder.granted)
        [successor] = {answer.refresh_token for answer in answers}
        assert {answer.access.generation for answer in answers} == {generation}
        holder.token = successor
        RefreshToken.objects.update(since=Ago(timedelta(seconds=STILL_TIME)))
    assert holder.ending == ("", 0)
    assert holder.row.recoveries == 0


@two_levels
def test_parallel_recoveries_are_granted_once(level):
    holder = Holder(UserFactory())
    lost = holder.granted().refresh_token
    RefreshToken.objects.update(since=Ago(timedelta(hours=1)))
    answers = at_once(holder.granted)
    assert {answer.refresh_token for answer in answers} == {lost}
    assert holder.row.recoveries == 1


@two_levels
def test_parallel_proofs_of_a_bound_session_are_granted_once(level, settings):
    settings.TOKENS = OFFERED
    holder = KeyHolder(UserFactory())
    registered = at_once(holder.register, 8)
    assert {type(answer) for answer in registered} == {IssuedTokens}
    for generation in (1, 2):
        proof = holder.proof()
        answers = at_once(lambda proof=proof: holder.prove(proof), 8)
        assert sorted(type(answer).__name__ for answer in answers) == ["Challenge"] * 7 + ["IssuedTokens"]
        assert holder.row.generation == generation


@two_levels
@pytest.mark.parametrize("is_outdated", [False, True], ids=["current", "outdated"])
def test_parallel_sign_ins_of_one_user_are_all_granted(level, monkeypatch, is_outdated):
    """``is_outdated``: whether each sign-in replaces the hash of the password, as after a change of the hasher."""
    monkeypatch.setattr(Turns, "turn", lambda self: nullcontext())  # It would turn most of them away.
    user = UserFactory()
    if is_outdated:
        outdated = PBKDF2PasswordHasher().encode(PASSWORD, "a salt of 22 letters..", iterations=500)
        User.objects.filter(pk=user.pk).update(password=outdated)

    def sign_in() -> int:
        browser = Browser(headers={"User-Agent": FIREFOX})
        given = {"email": user.email, "password": PASSWORD}
        assert post(browser, "/api/auth/login", given).status_code == 200
        return refresh(browser).status_code

    assert at_once(sign_in, 8) == [200] * 8
    assert RefreshToken.objects.live().count() == 8


@two_levels
def test_a_session_that_is_ended_in_parallel_to_its_refreshes_ends_once(level):
    holder = Holder(UserFactory())
    numbers = iter(range(16))
    answers = at_once(lambda: holder.end() if next(numbers) % 2 else holder.present(), 16)
    assert len(answers) == 16
    assert holder.ending == ("signed_out", 1)
    assert holder.is_refused()


@two_levels
def test_a_revocation_waits_for_a_refresh_and_purges_take_turns(level, settings):
    settings.TOKENS = {"SESSION_RETENTION": 1}
    holder, is_locked = Holder(UserFactory()), Event()

    def end() -> None:
        assert is_locked.wait(PATIENCE)
        holder.end()

    with in_thread(end), transaction.atomic():
        query("SELECT 1 FROM tokens_refreshtoken FOR UPDATE")
        is_locked.set()
        holder.put_back(elsewhere_at=None, generation=1)
        wait_until_blocked()
    assert holder.ending == ("signed_out", 1)
    RefreshToken.objects.update(revoked_at=Ago(timedelta(days=40)))
    late = Holder(holder.user, holder.browser)
    at_once(lambda: call_command("purge_tokens", verbosity=0), 4)
    assert list(RefreshToken.objects.values_list("id", flat=True)) == [late.id]
    assert Device.objects.count() == 1


@pytest.mark.parametrize("of", [durable, bounded], ids=["durable", "bounded"])
@every_level
def test_our_transactions_are_read_committed_and_leave_the_connection_as_it_was(level, of):
    for _ in range(2):
        with of("default"):
            assert query("SHOW transaction_isolation") == ("read committed",)
        with transaction.atomic():
            assert query("SHOW transaction_isolation") == (level,)
    with pytest.raises(ProgrammingError), of("default"):
        query("SELECT nothing")
    with transaction.atomic(), of("default"):
        assert query("SHOW transaction_isolation") == (level,)


@pytest.mark.parametrize("of", [durable, bounded], ids=["durable", "bounded"])
@two_levels
def test_what_the_project_does_after_our_commit_has_its_level(level, of):
    found = []

    def after() -> None:
        with transaction.atomic():
            found.append(query("SHOW transaction_isolation"))

    with of("default"):
        transaction.on_commit(after)
    assert found == [(level,)]


@two_levels
def test_in_a_transaction_of_the_project_the_error_is_raised_and_nothing_is_repeated(level):
    holder = Holder(UserFactory())

    @transaction.atomic
    def refresh_in_vain() -> None:
        query("SELECT 1 FROM tokens_refreshtoken")
        with in_thread(lambda: [holder.granted()].clear()):
            pass
        holder.present()

    with pytest.raises(OperationalError):
        refresh_in_vain()
    assert holder.granted().decision is Decision.REPEAT


def test_it_takes_no_further_statement(user):
    with CaptureQueriesContext(connection) as captured, durable("default"):
        query("SELECT 1")
    assert [found["sql"] for found in captured] == ["BEGIN", "SELECT 1", "COMMIT"]
