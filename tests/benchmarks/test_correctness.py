"""The table of correctness: for Latchkey always, and for its peers on other platforms in the exhaustive tests.

The peers on Django are not installed with the tests.
"""

from dataclasses import asdict, replace

import pytest
from django.db import connection

from tests.benchmarks.clients import Latchkey
from tests.benchmarks.correctness import examine, run, table, users
from tests.benchmarks.peers import DJANGO, PEERS
from tests.tokens.service.processes import url_of

OURS = {peer.name: peer for peer in PEERS if issubclass(peer.client, Latchkey)}
ELSEWHERE = {peer.name: peer for peer in PEERS if peer.platform is not DJANGO}
FOUND = {
    "Better Auth": {"succeeded": None, "revoked_after": 0},
    "Better Auth, cookie cache": {
        "succeeded": (10,),
        "going_on": (10,),
        "chains": (1,),
        "repeated_at_once": True,
        "repeated_later": True,
        "replay_refused": False,
        "revoked_after": 600,
    },
    # How many of the parallel refreshes succeed depends on the machine.
    "Glewlwyd": {
        "repeated_at_once": False,
        "repeated_later": False,
        "replay_refused": True,
        "session_ended": True,
        "access_ended": False,
        "revoked_after": 600,
    },
}
"""Some of the findings about the peers on other platforms."""


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("peer", OURS.values(), ids=OURS)
def test_no_honest_client_is_signed_out_and_an_attacker_is(peer):
    environment = {**peer.environment, "DATABASE_URL": url_of(connection.settings_dict)}
    with DJANGO.examined(environment) as site, DJANGO.examined(environment) as other:
        site.do("from tests.benchmarks.projects.populate import populate; populate(users)", users=users(peer, rounds=1))
        found = examine(peer, site, other, rounds=1)

    assert found.revoked_after <= 1  # Zero if the other process reads its revocations at that moment.
    row = table({peer.name: asdict(replace(found, revoked_after=1))}).splitlines()[-1]
    assert row == f"| {peer.name} | 10 | 10 | 1 | signed in | signed in | rejected | rejected | rejected | within 1 s |"


@pytest.mark.exhaustive
@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("peer", ELSEWHERE.values(), ids=ELSEWHERE)
def test_peers_on_other_platforms_are_examined_by_the_same_clients(peer):
    if peer.platform.missing:
        pytest.skip(peer.platform.missing)
    [found] = run(1, [peer]).values()

    assert {name: found[name] for name in FOUND[peer.name]} == FOUND[peer.name]
