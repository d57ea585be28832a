"""A run: in each round every peer has a short slice of each of its workloads.

So other load on the machine affects all peers alike, and their ratios hold within a run. Statements are counted
afterwards. In each round pgbench also sends Latchkey's rotation as a bare SQL statement, without an application.
"""

import math
import platform
import re
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.benchmarks.options import progress
from tests.benchmarks.peers import DJANGO, PEERS, Peer, bare_of
from tests.benchmarks.results import Extent, Result, Results, Size, Statement, Turn, Workload
from tests.benchmarks.servers import Stores, cpu, stores_started
from tests.benchmarks.sites import Site
from tests.scale.cluster import Node

_ID = "lpad(to_hex({}), 32, '0')::uuid"
_FILL = f"""
    SET session_replication_role = replica;  -- Do not check foreign keys: the sessions have no users.
    INSERT INTO tokens_refreshtoken (
        id, user_id, device_id, mode, secret_digest, generation, since, recovered, recoveries, acknowledged, created_at,
        authenticated_at, methods, remember, idle_expires_at, expires_at, auth_hash_digest, ip,
        user_agent_digest, revoked_reason)
    SELECT {_ID.format("n")}, {_ID.format("n")}, {_ID.format("n")}, 'cookie', sha256('secret'), 1, now(), 0, 0, false,
        now(), now(), 'pwd:1893495600', true, now() + '14 days', now() + '30 days',
        sha256('stamp'), '127.0.0.1', substr(sha256('Firefox'), 1, 8), ''
    FROM generate_series(1, {{sessions}}) n
"""  # noqa: S608
_ROTATE = f"""
\\set n random(1, {{sessions}})
UPDATE tokens_refreshtoken SET generation = generation + 1, since = now(), recovered = 0, recoveries = 0,
    acknowledged = false, idle_expires_at = now() + '14 days', ip = '127.0.0.1'
WHERE id = {_ID.format(":n::int")} AND revoked_at IS NULL;
"""  # noqa: S608


class Rotation:
    """Latchkey's table in its own database, on which pgbench works."""

    def __init__(self, stores: Stores, sessions: int, folder: Path) -> None:
        self._postgres = stores.postgres
        self._count, self._seconds, self._cpu = 0, 0.0, 0.0
        self._script = folder / "rotation.sql"
        self._script.write_text(_ROTATE.format(sessions=sessions))
        self._postgres.ask("CREATE DATABASE rotation", database="postgres")
        DJANGO.populate(0, {**PEERS[0].environment, "DATABASE_URL": self._postgres.url("rotation")})
        for statement in (_FILL.format(sessions=sessions), "VACUUM ANALYZE tokens_refreshtoken"):
            self._postgres.ask(statement, database="rotation")

    def work(self, seconds: float, connections: int) -> None:
        """Run one slice, like Latchkey without waiting for the disk. pgbench rounds ``seconds`` up."""
        options = (f"--time={math.ceil(seconds)}", f"--client={connections}", "--no-vacuum", "--protocol=prepared")
        command = [self._postgres.programs / "pgbench", *options, f"--file={self._script}"]
        url = f"{self._postgres.url('rotation')}&options=-csynchronous_commit%3Doff"
        before = cpu(self._postgres.pid)
        text = subprocess.run([*command, url], capture_output=True, check=True, text=True).stdout
        self._cpu += cpu(self._postgres.pid) - before
        [count] = re.findall(r"number of transactions actually processed: (\d+)", text)
        [rate] = re.findall(r"tps = ([\d.]+)", text)
        self._count += int(count)
        self._seconds += int(count) / float(rate)

    def statement(self) -> Statement:
        return Statement(self._count / self._seconds, self._cpu / self._count * 1000)


class Contestant:
    """A peer's site that is served and warm. ``turns``: what it has done, by workload."""

    def __init__(self, site: Site, server: Node, extent: Extent) -> None:
        self.site, self._server, self._extent = site, server, extent
        self._connections = site.together(extent.connections)
        site.sign_in(server, self._connections)
        for _ in range(site.peer.platform.warm_ups):
            site.ask(server, site.peer.platform.warm_up, self._connections)
            if site.peer.refreshes:
                site.refresh(server, float("inf"), self._connections)
        self.turns: dict[str, list[Turn]] = {name: [] for name in site.workloads}
        self._refreshed, self._rotated = site.refreshed, site.rotations()
        self.weigh()

    def weigh(self) -> None:
        """Measure growth from now on."""
        # Otherwise the first autovacuum would create files, in which PostgreSQL keeps account, during the measurement.
        self.site.stores.postgres.ask("VACUUM ANALYZE", database=self.site.database)
        self._size, self._refreshed_then = self.site.size(), self.site.refreshed

    def work(self, workload: str) -> None:
        """Run one slice."""
        server, database = cpu(self._server.pid), self.site.stores.cpu
        done = self.site.workloads[workload](self._server, self._extent.seconds, self._connections)
        self.turns[workload].append(Turn(done, cpu(self._server.pid) - server, self.site.stores.cpu - database))

    def growth(self) -> Size:
        """Return the growth in 1,000 refreshes. Raise `AssertionError` if one did not rotate Latchkey's session."""
        if self._rotated is not None:
            rotated = self.site.rotations()
            assert rotated == self._rotated + self.site.refreshed - self._refreshed, f"{self.site.peer.name}: {rotated}"
        refreshes, size = self.site.refreshed - self._refreshed_then, self.site.size()
        per = 1000 / refreshes if refreshes else 0
        return Size((size.rows - self._size.rows) * per, (size.bytes - self._size.bytes) * per)

    def result(self, growth: Size, folder: Path) -> Result:
        costs, peer = self.site.costs(folder), self.site.peer
        workloads = {name: Workload.of(turns, costs[name]) for name, turns in self.turns.items()}
        return Result(peer.name, bare_of(peer).name, peer.rotates, growth, **workloads)


def run(peers: Sequence[Peer], extent: Extent) -> Results:
    """Measure these peers, what is bare on their platforms, and the bare rotation."""
    bares = list(dict.fromkeys(map(bare_of, peers)))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="latchkey-")))
        stores = stack.enter_context(stores_started())
        sites = [Site(peer, f"peer_{number}", stores, extent.sessions) for number, peer in enumerate([*bares, *peers])]
        rotation = Rotation(stores, extent.sessions, folder)
        with ExitStack() as servers:
            contestants = []
            for site in progress(sites, "signing in"):
                site.populate()
                contestants.append(Contestant(site, servers.enter_context(site.served(folder)), extent))
            _compete(contestants, rotation, extent)
            growths = [contestant.growth() for contestant in contestants]
        found = [
            contestant.result(growth, folder)
            for contestant, growth in zip(progress(contestants, "counting statements"), growths, strict=True)
        ]
        versions = {name: number for bare in bares for name, number in bare.platform.versions.items()}
        of_bares, of_peers = found[: len(bares)], found[len(bares) :]
        return Results(_machine(stores), versions, extent, of_bares, of_peers, rotation.statement())


def _compete(contestants: Sequence[Contestant], rotation: Rotation, extent: Extent) -> None:
    turns = [(contestant, name) for contestant in contestants for name in contestant.turns]
    with progress(total=extent.rounds * (len(turns) + 1), desc="under load") as bar:
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


def _machine(stores: Stores) -> dict[str, str | int]:
    """Return what the figures depend on besides the packages."""
    text = subprocess.run(["redis-server", "--version"], capture_output=True, check=True, text=True).stdout
    return {
        "CPUs": psutil.cpu_count() or 0,
        "architecture": platform.machine(),
        "system": platform.system(),
        "Python": platform.python_version(),
        "PostgreSQL": stores.postgres.ask("SHOW server_version", database="postgres"),
        "Redis": re.findall(r"v=([\d.]+)", text)[0],
    }
