"""Users in a second database."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connections

from accounts.models import CanonicalAddress
from tests.factories import User, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def other() -> Iterator[str]:
    """A second database with the tables of users and addresses. In one database ``using=`` makes no difference."""
    config = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    connections.settings["other"] = connections.configure_settings({**settings.DATABASES, "other": config})["other"]
    connection = connections["other"]
    # Django lets a test connect only to databases that existed when it began.
    connection.ensure_connection = lambda: connection.connect() if connection.connection is None else None
    with connection.schema_editor() as editor:
        editor.create_model(User)
        editor.create_model(CanonicalAddress)
    yield "other"
    connection.close()
    del connections["other"], connections.settings["other"]


def owner(alias: str, address: str) -> object:
    """Return the key of the user to whom the table of canonical addresses sends this one."""
    return CanonicalAddress.objects.using(alias).get(address=address).user_id


def test_a_user_who_is_copied_to_another_database_is_found_there_by_every_spelling(user, other):
    address = CanonicalAddress.objects.get(user=user).address
    user.save(using=other)
    assert owner(other, address) == user.pk
    assert owner("default", address) == user.pk


def test_a_new_address_is_compared_to_the_one_in_the_database_that_is_written(user, other):
    user.save(using=other)
    user.email = "new@example.org"
    user.save(using=other)
    assert owner(other, "new@example.org") == user.pk
    assert not CanonicalAddress.objects.filter(address="new@example.org").exists()


def test_an_update_that_changes_nobody_loads_nobody(django_assert_num_queries):
    UserFactory()
    with django_assert_num_queries(4) as captured:
        User.objects.update(is_active=True)
    verbs = [query["sql"].split()[0] for query in captured]
    assert verbs == ["SAVEPOINT", "SELECT", "UPDATE", "RELEASE"]
