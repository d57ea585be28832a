"""Latchkey beside other software, and beside handlers without authentication: ``python -m tests.benchmarks``.

Many clients send requests to each peer's project, on one PostgreSQL: to packages for Django, to Better Auth on Node.js,
and to Glewlwyd, a server of its own. Then the benchmark examines how each peer treats parallel refreshes, lost answers,
stolen tokens and revocations. It prints tables, and writes them as Markdown to a directory, with a plot and all figures
as JSON.
"""

import argparse
import json
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

NEEDED = ("matplotlib", "psutil", "redis")
if absent := [name for name in NEEDED if find_spec(name) is None]:
    sys.exit(f"Not installed: {', '.join(absent)}. Install what the benchmarks need: uv sync --group benchmarks")

from tests.benchmarks import correctness, options  # noqa: E402
from tests.benchmarks.peers import PEERS, missing  # noqa: E402
from tests.benchmarks.plot import draw  # noqa: E402
from tests.benchmarks.report import markdown  # noqa: E402
from tests.benchmarks.results import Extent  # noqa: E402
from tests.benchmarks.rounds import run  # noqa: E402

NAMES = [peer.name for peer in PEERS]
QUICK = {"rounds": 2, "seconds": 0.2, "sessions": 100, "parallel": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=options.Formatter)
    parser.add_argument("--peers", nargs="+", choices=NAMES, default=NAMES, metavar="PEER", help="some of the peers")
    parser.add_argument("--rounds", type=int, default=8, help="how often every peer has its turn")
    parser.add_argument("--seconds", type=float, default=1, help="the length of a peer's turn with a workload")
    parser.add_argument("--sessions", type=int, default=1000, help="sessions of each peer")
    parser.add_argument("--connections", type=int, default=4, help="how many requests are sent at the same time")
    parser.add_argument("--parallel", type=int, default=10, help="rounds of parallel refreshes, for correctness")
    parser.add_argument("--quick", action="store_true", help="measure much less of everything, for a first look")
    parser.add_argument("--out", type=Path, default=Path("benchmarks-results"), help="the directory for the results")
    given = parser.parse_args()
    if given.quick:
        vars(given).update(QUICK)
    peers = [peer for peer in PEERS if peer.name in given.peers]
    if absent := missing(peers):
        parser.error(absent)
    results = run(peers, Extent(given.rounds, given.seconds, given.sessions, given.connections))
    found = correctness.run(given.parallel, peers)
    text = f"{markdown(results)}\n\n## Correctness\n\n{correctness.table(found)}\n"
    print(text)  # noqa: T201
    given.out.mkdir(parents=True, exist_ok=True)
    draw(results, given.out / "speed.svg")
    (given.out / "README.md").write_text(f"# Latchkey beside others\n\n![Speed](speed.svg)\n\n{text}")
    (given.out / "results.json").write_text(json.dumps({**asdict(results), "correctness": found}, indent=2))


if __name__ == "__main__":
    main()
