"""The table of correctness for Latchkey. Its peers are not installed with the tests."""

from dataclasses import asdict

import pytest
from django.db import connection

from tests.benchmarks.clients import PEERS, Latchkey
from tests.benchmarks.correctness import examine, served, table, users
from tests.tokens.service.processes import url_of

OURS = {peer.name: peer for peer in PEERS if issubclass(peer.client, Latchkey)}


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("peer", OURS.values(), ids=OURS)
def test_no_honest_client_is_signed_out_and_an_attacker_is(peer):
    with served(peer, url_of(connection.settings_dict)) as site:
        site.populate(users(rounds=1))
        found = examine(peer, site, rounds=1)

    assert table({peer.name: asdict(found)}).splitlines()[-1] == (
        f"| {peer.name} | 10 | 10 | 1 | signed in | signed in | rejected | rejected | rejected |"
    )
