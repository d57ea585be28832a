"""Transactions that lock the same rows at the same time never deadlock. Real processes and threads, on PostgreSQL."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from tests.factories import AdminFactory, UserFactory
from tests.tokens.service.holders import ELSEWHERE, HOME, Holder
from tests.tokens.service.processes import Process, several, together
from tests.tokens.service.statements import query
from tests.tokens.service.test_concurrency import url
from tests.tokens.service.threads import in_thread
from tokens.models import RefreshToken, SecurityEvent
from tokens.service import impersonation, users

__all__ = ["url"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("postgresql"), pytest.mark.long]

ROUNDS, PAIRS = 2, 16
"""In each round so many pairs of transactions start at the same time."""
_Reason = RefreshToken.Reason


@pytest.fixture(scope="module")
def processes(url: str) -> Iterator[list[Process]]:
    """Two processes. Within one process, a lock in Python could hide that two transactions wait for each other."""
    yield from several(url, 2)


class Actor:
    """A member of the staff with three sessions. Between the first and the second one they began an impersonation."""

    def __init__(self) -> None:
        self.user, self.target = AdminFactory(), UserFactory()
        self.first = Holder(self.user, HOME)
        begun = impersonation.begin(self.user.pk, self.first.id, self.target.pk, self.first.browser)
        self.impersonation = begun.session.id
        self.second = Holder(self.user, ELSEWHERE)
        self.third = Holder(self.user, ELSEWHERE)

    @property
    def live(self) -> set[UUID]:
        rows = RefreshToken.objects.live().filter(Q(user=self.user) | Q(actor=self.user))
        return set(rows.values_list("id", flat=True))


Job = Callable[[Actor], tuple[Any, ...]]


def end_the_impersonation_and_the_second(actor: Actor) -> tuple[Any, ...]:
    return "end_selected", [str(actor.impersonation), str(actor.second.id)], _Reason.ENDED_BY_STAFF


def end_the_first_and_the_second(actor: Actor) -> tuple[Any, ...]:
    return "end_selected", [str(actor.first.id), str(actor.second.id)], _Reason.ENDED_BY_COMMAND


def end_all_but_the_third(actor: Actor) -> tuple[Any, ...]:
    return "end_others", str(actor.user.pk), str(actor.third.id)


def impersonate_again(actor: Actor) -> tuple[Any, ...]:
    token = actor.first.browser.device_token
    return "impersonate", str(actor.user.pk), str(actor.first.id), str(actor.target.pk), token


def release(actor: Actor) -> tuple[Any, ...]:
    return "release", str(actor.impersonation), actor.first.browser.device_token


def sign_in_here(actor: Actor) -> tuple[Any, ...]:
    return "sign_in", str(UserFactory().pk), actor.first.browser.device_token


def raced(processes: list[Process], *jobs: Job) -> list[Actor]:
    """Run the first job in one process and the second in the other, for many actors at the same time. Return them."""
    found = []
    for _ in range(ROUNDS):
        actors = [Actor() for _ in range(PAIRS)]
        for process, job in zip(processes, jobs, strict=True):
            each = [job(actor) for actor in actors]
            process.prepare(each[0][0], [arguments for _, *arguments in each])
        together(processes)
        found += actors
    return found


@pytest.mark.parametrize("other", [end_the_first_and_the_second, end_all_but_the_third])
def test_two_revocations_of_sessions_and_of_an_impersonation_begun_in_one(other, processes):
    """One of them ends it with its actor's session. The other one ends it with a later session of the actor."""
    actors = raced(processes, end_the_impersonation_and_the_second, other)
    assert all(actor.live == {actor.third.id} for actor in actors)


@pytest.mark.parametrize("other", [end_the_first_and_the_second, end_all_but_the_third])
def test_a_revocation_and_an_impersonation_that_begins_leave_none_without_its_actors_session(other, processes):
    actors = raced(processes, impersonate_again, other)
    assert all(actor.live == {actor.third.id} for actor in actors)


def test_an_impersonation_that_begins_and_a_sign_in_of_another_user_in_the_same_browser(processes):
    """The sign-in locks the device of the browser, and then ends the sessions of its other users."""
    actors = raced(processes, impersonate_again, sign_in_here)
    assert all(actor.live == {actor.second.id, actor.third.id} for actor in actors)


def test_a_revocation_and_the_release_of_an_impersonation(processes):
    actors = raced(processes, release, end_the_impersonation_and_the_second)
    assert all(not {actor.impersonation, actor.second.id} & actor.live for actor in actors)


def test_a_transaction_that_has_inserted_a_row_of_the_user_commits_while_another_one_holds_the_users_lock():
    """The commit shares a lock on the user's key. FOR UPDATE would make it wait."""
    user = UserFactory()

    def insert() -> None:
        query("SET lock_timeout = '1s'")
        SecurityEvent.objects.create(user=user, kind=SecurityEvent.Kind.SIGN_IN_FAILED, created_at=timezone.now())

    with transaction.atomic():
        assert users.lock("default", user.pk) == user
        with in_thread(insert):
            pass
    assert SecurityEvent.objects.filter(user=user).exists()
