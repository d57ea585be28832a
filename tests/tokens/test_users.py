"""``request.user``: who somebody is without a query, and everything else with one."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser

from tokens.users import LazyUser

pytestmark = pytest.mark.django_db

Queries = Callable[[int], AbstractContextManager[Any]]


@pytest.fixture
def asked() -> list[str]:
    """Notes each look at the user."""
    return []


def lazy(subject: Any, asked: list[str]) -> LazyUser:
    return LazyUser(str(subject), lambda: asked.append("asked"))


def test_who_it_is_costs_no_query(user, asked, django_assert_num_queries):
    with django_assert_num_queries(0):
        found = lazy(user.pk, asked)
        assert not asked
        assert (found.pk, found.id) == (user.pk, user.pk)
        assert found.is_authenticated
        assert not found.is_anonymous
    assert asked


def test_whether_there_is_one_costs_no_query(user, asked, django_assert_num_queries):
    """REST framework's IsAuthenticated asks ``request.user and request.user.is_authenticated``."""
    with django_assert_num_queries(0):
        assert bool(lazy(user.pk, asked))


def test_anything_else_costs_one(user, asked, django_assert_num_queries):
    found = lazy(user.pk, asked)
    with django_assert_num_queries(1):
        assert found.email == user.email
        assert found == user
        assert isinstance(found, get_user_model())
        assert found.pk == found.id == user.pk
        assert found.is_authenticated


@pytest.mark.parametrize("how", ["deleted", "switched off"])
def test_nobody_is_found_once_asked(user, asked, how):
    if how == "switched off":
        user.is_active = False
        user.save()
    found = lazy(user.pk if how == "switched off" else uuid4(), asked)
    assert found.is_authenticated
    assert isinstance(found, AnonymousUser)
    assert not found.is_authenticated
    assert found.is_anonymous


def test_it_can_stand_in_queries_and_foreign_keys(user, asked):
    assert list(get_user_model().objects.filter(pk=lazy(user.pk, asked).pk)) == [user]
    assert list(user.refresh_tokens.filter(user=lazy(user.pk, asked))) == []
