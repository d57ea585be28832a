"""Which ends of sessions make the links invalid that were asked for in them (`tokens.service.queries`)."""

from dataclasses import replace
from typing import Any

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


@pytest.mark.parametrize("is_bound", [False, True], ids=["unbound", "bound"])
def test_an_impersonation_that_the_actor_ends_ends_nothing_of_the_actors_own(clock, is_bound):
    own = Holder(AdminFactory())
    if is_bound:
        own.put_back(bound_key={}, bound_algorithm="ES256", bound_at=own.row.created_at)
    clock.forward(1)
    begun = impersonation.begin(own.user.pk, own.id, UserFactory().pk, own.browser)
    clock.forward(1)
    impersonation.end(begun.session.id, own.browser)
    assert not is_ended(own)


def test_nor_does_the_owner_who_ends_the_impersonation(clock):
    own = Holder(AdminFactory())
    clock.forward(1)
    begun = impersonation.begin(own.user.pk, own.id, UserFactory().pk, own.browser)
    revoke(RefreshToken.objects.filter(id=begun.session.id), Reason.ENDED_BY_USER)
    assert not is_ended(own)


def test_a_release_and_then_another_persons_sign_in_end_it(clock):
    own = Holder(AdminFactory())
    clock.forward(1)
    begun = impersonation.begin(own.user.pk, own.id, UserFactory().pk, own.browser)
    impersonation.end(begun.session.id, own.browser)
    clock.forward(1)
    Holder(UserFactory(), own.browser)
    assert is_ended(own)


def test_a_sign_out_after_a_release_ends_it(clock):
    own = Holder(AdminFactory())
    clock.forward(1)
    begun = impersonation.begin(own.user.pk, own.id, UserFactory().pk, own.browser)
    issued = impersonation.end(begun.session.id, own.browser)
    revoke(RefreshToken.objects.filter(id=issued.session.id), Reason.SIGNED_OUT)
    assert is_ended(own)


def test_a_session_that_makes_way_for_a_newer_one_is_not_ended(user, clock, settings):
    settings.TOKENS = {**settings.TOKENS, "MAX_SESSIONS": 1}
    own = rotated_once(user, clock)
    Holder(user)
    assert own.row.revoked_reason == Reason.TOO_MANY
    assert not is_ended(own)
