"""Which ends of sessions make the links invalid that were asked for in them (`tokens.service.queries`)."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from tests.factories import AdminFactory, UserFactory
from tests.tokens.service.holders import HOME, Holder, rotated_once
from tokens.models import RefreshToken
from tokens.service import impersonation
from tokens.service.queries import was_ended_since
from tokens.service.revocation import revoke

pytestmark = pytest.mark.django_db

Reason = RefreshToken.Reason


@pytest.fixture
def own(user: Any, clock: Any) -> Holder:
    """The session that asked for the link, one second after its sign-in."""
    holder = Holder(user)
    clock.forward(1)
    return holder


def is_ended(holder: Holder, since: Any = None) -> bool:
    return was_ended_since(holder.id, since or holder.row.created_at)


def test_the_same_persons_next_sign_in_ends_nothing(own, clock):
    clock.forward(1)
    following = own.sign_in_again()
    following.refresh()
    assert own.row.revoked_reason == Reason.SUPERSEDED
    assert not is_ended(own)


def test_another_persons_sign_in_in_the_browser_ends_it(own, clock):
    clock.forward(1)
    Holder(UserFactory(), own.browser)
    assert own.row.revoked_reason == Reason.SUPERSEDED
    assert is_ended(own)


def test_another_persons_sign_in_ends_the_next_session_of_the_same_person_too(own, clock):
    clock.forward(1)
    following = own.sign_in_again()
    following.refresh()
    clock.forward(1)
    Holder(UserFactory(), own.browser)
    assert following.row.revoked_reason == Reason.SUPERSEDED
    assert is_ended(own)


def test_a_sign_in_after_that_of_another_person_does_not_undo_it(own, clock):
    clock.forward(1)
    Holder(UserFactory(), own.browser)
    clock.forward(1)
    own.sign_in_again().refresh()
    assert is_ended(own)


def test_a_sign_in_of_the_same_person_in_another_browser_is_no_successor(own, clock):
    clock.forward(1)
    Holder(own.user, replace(HOME, user_agent="Chrome"))
    clock.forward(1)
    Holder(UserFactory(), own.browser)
    assert is_ended(own)


@pytest.fixture
def staff(clock: Any) -> Holder:
    """The session of a member of the staff, one second after its sign-in. Nobody else can impersonate a user."""
    own = Holder(AdminFactory())
    clock.forward(1)
    return own


def impersonate(own: Holder) -> UUID:
    return impersonation.begin(own.user.pk, own.id, UserFactory().pk, own.browser).session.id


def end(session_id: UUID, reason: RefreshToken.Reason) -> None:
    revoke(RefreshToken.objects.filter(id=session_id), reason)


@pytest.mark.parametrize("is_bound", [False, True], ids=["unbound", "bound"])
def test_an_impersonation_that_the_actor_ends_ends_nothing_of_the_actors_own(staff, clock, is_bound):
    if is_bound:
        staff.put_back(bound_key={}, bound_algorithm="ES256", bound_at=staff.row.created_at)
    begun = impersonate(staff)
    clock.forward(1)
    impersonation.end(begun, staff.browser)
    assert not is_ended(staff)


def test_nor_does_the_owner_who_ends_the_impersonation(staff):
    end(impersonate(staff), Reason.ENDED_BY_USER)
    assert not is_ended(staff)


def test_a_release_and_then_another_persons_sign_in_end_it(staff, clock):
    impersonation.end(impersonate(staff), staff.browser)
    clock.forward(1)
    Holder(UserFactory(), staff.browser)
    assert is_ended(staff)


def test_a_sign_out_after_a_release_ends_it(staff):
    issued = impersonation.end(impersonate(staff), staff.browser)
    end(issued.session.id, Reason.SIGNED_OUT)
    assert is_ended(staff)


def test_a_session_that_makes_way_for_a_newer_one_is_not_ended(user, clock, settings):
    settings.TOKENS = {**settings.TOKENS, "MAX_SESSIONS": 1}
    own = rotated_once(user, clock)
    Holder(user)
    assert own.row.revoked_reason == Reason.TOO_MANY
    assert not is_ended(own)
