"""Impersonations as the service opens and ends them."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from tests.factories import AdminFactory, UserFactory
from tests.tokens.service.holders import HOME, Holder
from tests.tokens.service.threads import in_thread, paused, until_one_waits
from tests.tokens.web.impersonation import impersonations, owner, staff
from tokens.models import RefreshToken
from tokens.service import binding, impersonation, refreshing, users
from tokens.service.opening import open_session

__all__ = ["owner", "staff"]

Reason = RefreshToken.Reason


def test_its_refresh_is_refused_if_the_actors_session_ended_unheard(staff, owner):
    own = Holder(staff)
    client = own.browser
    begun = impersonation.begin(staff.pk, own.id, owner.pk, client)
    RefreshToken.objects.filter(id=own.id).update(revoked_at=own.row.created_at)
    answer = refreshing.refresh(begun.refresh_token, {begun.session.mode}, client)
    assert isinstance(answer, refreshing.Refusal)
    assert answer.cause == Reason.ACTOR_ENDED


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_revocation_of_the_actor_that_begins_while_one_is_opened_ends_it(monkeypatch):
    staff, owner = AdminFactory(), UserFactory()
    own = Holder(staff)
    begun = []

    def begin_slowly(pause: Callable[[], None]) -> None:
        insert = impersonation.insert

        def pause_first(*args: Any) -> Any:
            pause()
            return insert(*args)

        monkeypatch.setattr(impersonation, "insert", pause_first)
        begun.append(impersonation.begin(staff.pk, own.id, owner.pk, own.browser))

    with ExitStack() as ending, paused(begin_slowly):
        ending.enter_context(in_thread(own.end))
        until_one_waits()
    assert begun
    assert not RefreshToken.objects.live().exists()


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_release_does_not_undo_a_revocation_that_is_committed_meanwhile(monkeypatch):
    staff, owner = AdminFactory(), UserFactory()
    own = Holder(staff)
    begun = impersonation.begin(staff.pk, own.id, owner.pk, own.browser)

    def after_the_revocation(*args: Any, **options: Any) -> Any:
        with in_thread(own.end):
            pass
        return open_session(*args, **options)

    monkeypatch.setattr(impersonation, "open_session", after_the_revocation)
    with pytest.raises(users.SessionEnded):
        impersonation.end(begun.session.id, own.browser)
    assert not RefreshToken.objects.live().exists()


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_two_actors_who_impersonate_each_other_at_once_do_not_wait_for_each_other():
    both = [AdminFactory(), AdminFactory()]
    held = [Holder(user, HOME) for user in both]
    for _ in range(20):
        with ExitStack() as threads:
            for own, other in zip(held, reversed(both), strict=True):
                threads.enter_context(
                    in_thread(
                        lambda own=own, other=other: impersonation.begin(own.user.pk, own.id, other.pk, own.browser)
                    )
                )
    assert impersonations().live().count() == 40


def test_an_actor_whose_session_is_bound_goes_back_to_it(staff, owner):
    own = Holder(staff)
    own.put_back(bound_key={}, bound_algorithm="ES256", bound_at=own.row.created_at)
    begun = impersonation.begin(staff.pk, own.id, owner.pk, own.browser)
    assert not binding.is_offered(begun.session)
    issued = impersonation.end(begun.session.id, own.browser)
    assert (issued.session.id, issued.refresh_token, issued.binds) == (own.id, None, True)
    assert list(RefreshToken.objects.live()) == [own.row]
