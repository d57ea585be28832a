"""``request.user``: its primary key costs no query, everything else costs one."""

from copy import copy, deepcopy
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser

from tokens.models import RefreshToken
from tokens.web.lazy_user import LazyUser

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked() -> list[str]:
    """Records each use of the user. Without it a response that depends on the user might be cached for others."""
    return []


def lazy(subject: Any, asked: list[str]) -> LazyUser:
    return LazyUser(str(subject), lambda: asked.append("asked"))


def test_the_primary_key_costs_no_query_and_is_recorded(user, asked, django_assert_num_queries):
    with django_assert_num_queries(0):
        found = lazy(user.pk, asked)
        assert not asked
        assert (found.pk, found.id, found.is_authenticated, found.is_anonymous) == (user.pk, user.pk, True, False)
        assert bool(lazy(user.pk, asked))  # IsAuthenticated of REST framework uses the truth value.
    assert asked


def test_anything_else_costs_one_query(user, asked, django_assert_num_queries):
    found = lazy(user.pk, asked)
    with django_assert_num_queries(1):
        assert (found.email, found) == (user.email, user)
        assert isinstance(found, get_user_model())
        assert (found.pk, found.id, found.is_authenticated) == (user.pk, user.pk, True)


@pytest.mark.parametrize("copied", [copy, deepcopy])
def test_a_copy_is_a_loaded_user(user, asked, copied):
    """A project may copy the user, for example to compare it with a changed one."""
    found = copied(lazy(user.pk, asked))
    assert (type(found), found.email) == (type(user), user.email)


@pytest.mark.parametrize("is_deleted", [True, False], ids=["deleted", "deactivated"])
def test_a_user_who_is_no_longer_active_becomes_anonymous_when_loaded(user, asked, is_deleted):
    user.is_active = False
    user.save()
    found = lazy(uuid4() if is_deleted else user.pk, asked)
    assert found.is_authenticated
    assert isinstance(found, AnonymousUser)
    assert (found.is_authenticated, found.is_anonymous) == (False, True)


def test_it_can_be_used_in_queries_and_as_a_foreign_key(user, asked):
    assert list(get_user_model().objects.filter(pk=lazy(user.pk, asked).pk)) == [user]
    assert list(RefreshToken.objects.filter(user=lazy(user.pk, asked))) == []
