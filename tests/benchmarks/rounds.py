"""The run: peers side by side, in rounds, in each of which every peer has a short slice of each workload.

So what else the machine does hits all alike, and ratios hold within a run. Statements are counted afterwards.
"""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from tests.benchmarks import facts
from tests.benchmarks.costs import costs
from tests.benchmarks.floors import BARE, Rotation
from tests.benchmarks.peers import Peer
from tests.benchmarks.results import Extent, Result, Results, Tally
from tests.benchmarks.servers import Granian, stores
from tests.benchmarks.sites import Site
from tests.benchmarks.sizes import Growth, Size, rotations, size_of

WARM_UP = 0.3
"""Seconds of questions before the clock runs; and each client refreshes once."""


class Contestant:
    """A site that is served and warm. ``tallies``: what its workloads' slices add up to."""

    def __init__(self, site: Site, server: Granian, extent: Extent) -> None:
        self.site, self._server, self._extent = site, server, extent
        site.sign_in(server, extent.connections)
        site.ask(server, WARM_UP, extent.connections)
        if site.peer.refreshes:
            site.refresh(server, float("inf"), extent.connections)
        self.tallies = {name: Tally() for name in site.workloads}
        self._refreshed, self._rotated = site.refreshed, rotations(site.stores.postgres, site.database)
        self.weigh()

    def weigh(self) -> None:
        """Count growth from here."""
        # Else autovacuum's first turn, whenever it comes, makes the files in which it keeps account.
        self.site.stores.postgres.ask(self.site.database, "VACUUM ANALYZE")
        self._size, self._refreshed_then = self._sized(), self.site.refreshed

    def work(self, workload: str) -> None:
        """Have one slice."""
        server, database = self._server.cpu, self.site.stores.cpu
        done = self.site.workloads[workload](self._server, self._extent.seconds, self._extent.connections)
        self.tallies[workload].add(done, self._server.cpu - server, self.site.stores.cpu - database)

    def growth(self) -> Growth:
        """How the database has grown. Raises `AssertionError` where not all was rotated that was refreshed."""
        if self._rotated is not None:
            rotated = rotations(self.site.stores.postgres, self.site.database)
            assert rotated == self._rotated + self.site.refreshed - self._refreshed, f"{self.site.peer.name}: {rotated}"
        return Growth.by(self._sized() - self._size, self.site.refreshed - self._refreshed_then)

    def _sized(self) -> Size:
        return size_of(self.site.stores.postgres, self.site.database)


def run(peers: Sequence[Peer], extent: Extent) -> Results:
    """Measure these peers, and the floors."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="latchkey-")))
        found = stack.enter_context(stores(folder))
        sites = [Site(peer, f"peer_{number}", found, extent.sessions) for number, peer in enumerate([BARE, *peers])]
        rotation = Rotation(found.postgres, extent.sessions, folder)
        with ExitStack() as servers:
            contestants = []
            for site in _shown(sites, "signing in"):
                site.populate()
                contestants.append(Contestant(site, servers.enter_context(site.served(folder)), extent))
            _compete(contestants, rotation, extent)
            growths = [contestant.growth() for contestant in contestants]
        bare, *others = (
            Result.of(contestant.site.peer, contestant.tallies, growth, costs(contestant.site, folder))
            for contestant, growth in zip(_shown(contestants, "counting statements"), growths, strict=True)
        )
        return Results(facts.machine(found.postgres), facts.versions(), extent, bare, others, rotation.statement())


def _compete(contestants: Sequence[Contestant], rotation: Rotation, extent: Extent) -> None:
    turns = [(contestant, name) for contestant in contestants for name in contestant.tallies]
    with tqdm(total=extent.rounds * (len(turns) + 1), desc="under load", disable=not sys.stderr.isatty()) as bar:
        for number in range(extent.rounds):
            if number == extent.rounds // 2:
                for contestant in contestants:
                    contestant.weigh()
            for contestant, name in turns:
                contestant.work(name)
                bar.update()
            rotation.work(extent.seconds, extent.connections)
            bar.update()
            turns.reverse()


def _shown(things: Sequence[Any], what: str) -> Any:
    return tqdm(things, what, disable=not sys.stderr.isatty())
