"""Migrations of accounts: they convert what is there, never fail, and join no accounts."""

from collections.abc import Callable, Iterator

import pytest
from django.core import signing
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import QuerySet
from django.test import Client

from accounts.models import CanonicalAddress, Registration
from tests.accounts.steps import DAY, can_sign_in, confirm, outcome
from tests.factories import PASSWORD, User, UserFactory
from tokens.models import SecurityEvent

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE, UNCONFIRMED = "0002_few_among_many", {"is_active": False, "email_confirmed_at": None}
COLLIDING = ["ada@bücher.example", "ada@xn--bcher-kva.example", "straße@example.org", "strasse@example.org"]


def migrate(name: str) -> None:
    MigrationExecutor(connection).migrate([("accounts", name)])


@pytest.fixture
def upgrade() -> Iterator[Callable[[], None]]:
    """Upgrades the database from the state before registrations and canonical addresses. At the end it is up to date.

    Otherwise every later test would find an old schema.
    """
    [(_, last)] = MigrationExecutor(connection).loader.graph.leaf_nodes("accounts")

    def run() -> None:
        migrate(BEFORE)
        migrate(last)

    yield run
    migrate(last)


def of_the_release_before(user: User) -> str:
    """Return the token of a link that confirms a registration, as the release before made it."""
    signer = signing.TimestampSigner(salt="accounts.links.registration", sep=".")
    return signer.sign_object([str(user.pk), "a fingerprint", ""])


def test_an_account_that_was_never_confirmed_becomes_a_registration_whose_link_works_until_it_is_too_old(
    upgrade, clock, user
):
    waiting = [User(email=f"{name}@example.org", **UNCONFIRMED) for name in ("early", "late")]
    for account in waiting:
        account.set_password(PASSWORD)
        account.save()
    SecurityEvent.objects.create(kind="registration", created_at=clock.now, user=waiting[0])
    off = UserFactory(is_active=False)
    tokens = [of_the_release_before(account) for account in waiting]
    clock.forward(DAY)
    upgrade()
    assert set(User.objects.values_list("pk", flat=True)) == {user.pk, off.pk}
    assert SecurityEvent.objects.get().user is None
    clock.forward(2 * DAY - 1)
    assert outcome(confirm(Client(), tokens[0])) == "done"
    assert can_sign_in(Client(), "early@example.org")
    clock.forward(2)
    assert outcome(confirm(Client(), tokens[1])) == "400 invalid_token"
    assert Registration.objects.get(used_at=None).email == "late@example.org"


def test_an_old_link_of_an_account_that_was_confirmed_is_invalid(upgrade, user):
    token = of_the_release_before(user)
    upgrade()
    assert outcome(confirm(Client(), token)) == "400 invalid_token"


def test_addresses_that_collide_keep_their_exact_spelling_and_all_others_are_found_in_every_spelling(upgrade):
    users = [User(email=email) for email in (*COLLIDING, "grace@example.org", "ada@xn--a.example")]
    for user in users:
        user.set_password(PASSWORD)
    QuerySet(User).bulk_create(users)
    upgrade()
    for user in users:
        assert User.objects.at_address(user.email) == user
        assert can_sign_in(Client(), user.email)
    assert User.objects.at_address("Grace@ｅxample.org") == users[4]
    assert User.objects.at_address("ada@ｂücher.example") is None
    assert set(CanonicalAddress.objects.filter(user=None).values_list("address", flat=True)) == {
        "ada@bücher.example",
        "strasse@example.org",
    }
