"""A changed password ends the sessions of the old one, and no others, in every order of transactions.

The search and the simulation cover rehashes, changes by pages, by views of Django's and by SQL, and processes that read
the trigger's notes late.
"""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tests.tokens.protocol import simulation
from tests.tokens.protocol.account import Account
from tests.tokens.protocol.model import World
from tests.tokens.protocol.password_search import (
    LEFT,
    LOST,
    MUTATED,
    SIGNED_OUT,
    UNDONE,
    Hash,
    Rules,
    Scale,
    same_password,
    search,
)
from tokens.database.transactions import clock
from tokens.models import Rehash
from tokens.service import auth_hash

SCALES = {
    "one request at a time and two rehashes": (Scale(1, 2, 0, requests=1, fail_overs=False), 10_000),
    "two requests at the same time": (Scale(1, 1, 0, fail_overs=False, processes=1), 20_000),
}
LARGER = {
    "two new passwords, a deactivation and fail-overs": (Scale(2, 1, 1, requests=1), 150_000),
    "two requests at the same time, and fail-overs": (Scale(1, 1, 0), 60_000),
}
EXTENTS = [
    *(pytest.param(*extent, id=name) for name, extent in SCALES.items()),
    *(pytest.param(*extent, id=name, marks=pytest.mark.exhaustive) for name, extent in LARGER.items()),
]
MUTATIONS = {
    "rehashes are not announced": ("announces_rehashes", SIGNED_OUT),
    "a rehash is written over any hash": ("writes_only_over_the_verified_hash", UNDONE),
    "a note ends all sessions, whatever the rows say": ("decides_from_the_rows", SIGNED_OUT),
    "an ended session is not replaced": ("replaces_an_ended_session", LOST),
    "it is replaced in a transaction of its own": ("replaces_it_in_the_same_transaction", LEFT),
    "opening a session does not compare": ("compares_at_opening", LEFT),
    "a rehash of the new password is not followed": ("follows_a_rehash_of_the_new_password", LOST),
    "the rejection of a parallel refresh arrives last": ("rejections_arrive_in_order", LOST),
}


@pytest.mark.long
@pytest.mark.parametrize(("scale", "worlds"), EXTENTS)
def test_no_history_breaks_a_promise_with(scale, worlds):
    found, history, promise = search(scale, Rules())
    assert (history, promise) == (None, "")
    assert found > worlds


@pytest.mark.long
@pytest.mark.parametrize(("rule", "promise"), MUTATIONS.values(), ids=MUTATIONS)
def test_the_search_finds_a_history_if(rule, promise):
    _, history, found = search(MUTATED, replace(Rules(), **{rule: False}))
    assert found == promise
    assert history


def announce_nothing(account: Account, old: Hash, new: Hash) -> None:
    pass


def end_at_once(account: Account, world: World) -> None:
    world.signed_out = True


def write_over_any_hash(account: Account, world: World, verified: Hash, new: Hash) -> None:
    account.stored = new
    account.note(world)


@pytest.mark.long
@pytest.mark.parametrize(
    ("step", "broken", "share"),
    [
        pytest.param("note_rehash", announce_nothing, 0.8, id="rehashes are not announced"),
        pytest.param("read", end_at_once, 0.8, id="a note ends all sessions, whatever the rows say"),
        pytest.param("write", write_over_any_hash, 0.2, id="a rehash is written over any hash"),
    ],
)
def test_the_simulation_signs_people_out_if(step, broken, share, monkeypatch):
    """`test_rotation_model` runs it with the rules as they are."""
    monkeypatch.setattr(Account, step, broken)
    assert simulation.signed_out(simulation.PASSWORDS, 40) > 40 * share


class Hashed:
    """A user as `auth_hash` sees it: its session auth hash is the number of a hash."""

    def __init__(self, pk: Any, held: Hash) -> None:
        self.pk, self.held = pk, held

    def get_session_auth_hash(self) -> str:
        return repr(self.held)

    def get_session_auth_fallback_hash(self) -> list[str]:
        return []


@pytest.mark.django_db
@pytest.mark.parametrize("number", range(6), ids=lambda number: f"up to {number + 1} upgrades")
def test_the_model_and_the_code_agree_which_hashes_belong_to_one_password(user, number):
    random = Random(number)  # noqa: S311 (no secrets)
    hashes = [Hash(0, n) for n in range(6)]
    rehashes = frozenset((random.choice(hashes), random.choice(hashes)) for _ in range(number + 1))
    digests = {held: auth_hash.digest_of(Hashed(user.pk, held)) for held in hashes}
    Rehash.objects.bulk_create(
        Rehash(user=user, old_digest=digests[old], new_digest=digests[new], created_at=clock("default"))
        for old, new in rehashes
    )
    for stored in hashes:
        for held in hashes:
            found = auth_hash.is_same_password(digests[held], Hashed(user.pk, stored))
            assert found == same_password(held, stored, rehashes)
