"""The refresh cookie gets a new name in a rolling deployment: nobody is signed out, and no old name takes over.

Browsers meet processes that do not know the new name, that know it and write the old one, and that write the new one.
The deployment is rolled back once. A script plants an attacker's token under the old name whenever it can.
"""

from uuid import UUID

import pytest

from tests.tokens.protocol import simulation
from tests.tokens.protocol.model import OLD, Release
from tokens.protocol.refresh_tokens import InvalidRefreshToken, RefreshToken, dumps, loads

KEY_ID, KEY = b"kkid", b"k" * 32
TOKEN = RefreshToken(UUID("01939d2a-7c00-7abc-8def-0123456789ab"), bytes(range(16)), 7)


class TestATokenOfTheNewName:
    def test_is_refused_under_the_old_one(self):
        text = dumps(TOKEN, KEY_ID, KEY, http=True)
        assert loads(text, {KEY_ID: KEY}) == TOKEN
        with pytest.raises(InvalidRefreshToken):
            loads(text, {KEY_ID: KEY}, old_name=True)

    def test_differs_from_that_of_the_old_one_by_its_tag_only(self):
        new, old = (dumps(TOKEN, KEY_ID, KEY, http=http) for http in (True, False))
        assert new[:60] == old[:60]
        assert new[-20:] != old[-20:]
        assert loads(old, {KEY_ID: KEY}) == loads(old, {KEY_ID: KEY}, old_name=True) == TOKEN


@pytest.mark.long
@pytest.mark.parametrize(
    "histories", [60, pytest.param(simulation.HISTORIES, marks=pytest.mark.exhaustive)], ids=["bounded", "at length"]
)
class TestTheSimulation:
    def test_signs_nobody_out_during_the_upgrade(self, histories):
        assert simulation.signed_out(simulation.UPGRADED, histories) == 0

    def test_signs_people_out_if_the_new_name_is_written_before_all_processes_know_it(self, histories):
        assert simulation.signed_out(simulation.HASTILY, histories) > histories * 0.8

    def test_finds_the_attacker_if_the_old_name_counts_first(self, histories, monkeypatch):
        new_first = Release.presented
        monkeypatch.setattr(
            Release, "presented", lambda self, found: found[OLD] if OLD in found else new_first(self, found)
        )
        assert simulation.signed_out(simulation.UPGRADED, histories) > histories * 0.8
