"""Latchkey beside what people use, and above the floor: ``python -m tests.benchmarks``.

On one PostgreSQL and one kind of server, each peer's project is loaded by many clients; then each is asked what it
makes of parallel refreshes, lost answers and stolen tokens. Tables are printed; the same as Markdown, a plot and all
figures as JSON go to a directory.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import django

NEEDED = ("granian", "matplotlib", "redis", "rest_framework_simplejwt", "knox", "allauth", "jwt_allauth")
if missing := [name for name in NEEDED if find_spec(name) is None]:
    sys.exit(f"Not installed: {', '.join(missing)}. Install what the benchmarks need: uv sync --group benchmarks")
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from tests.benchmarks import correctness  # noqa: E402
from tests.benchmarks.clients import PEERS  # noqa: E402
from tests.benchmarks.plot import draw  # noqa: E402
from tests.benchmarks.report import markdown  # noqa: E402
from tests.benchmarks.results import Extent  # noqa: E402
from tests.benchmarks.rounds import run  # noqa: E402

NAMES = [peer.name for peer in PEERS]
QUICK = {"rounds": 2, "seconds": 0.2, "sessions": 100, "parallel": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="+", choices=NAMES, default=NAMES, metavar="PEER", help="; ".join(NAMES))
    parser.add_argument("--rounds", type=int, default=12, help="default: 12")
    parser.add_argument("--seconds", type=float, default=1, help="of a peer's slice of a workload; default: 1")
    parser.add_argument("--sessions", type=int, default=1000, help="of each peer; default: 1,000")
    parser.add_argument("--connections", type=int, default=4, help="at a time; default: 4")
    parser.add_argument("--parallel", type=int, default=10, help="rounds of parallel refreshes; default: 10")
    parser.add_argument("--quick", action="store_true", help="much less of everything, for a look")
    parser.add_argument("--out", type=Path, default=Path("benchmarks-results"), help="default: benchmarks-results")
    options = parser.parse_args()
    if options.quick:
        vars(options).update(QUICK)
    peers = [peer for peer in PEERS if peer.name in options.peers]
    results = run(peers, Extent(options.rounds, options.seconds, options.sessions, options.connections))
    found = correctness.run(options.parallel, peers)
    text = f"{markdown(results)}\n\n## Correctness\n\n{correctness.table(found)}\n"
    print(text)  # noqa: T201
    options.out.mkdir(parents=True, exist_ok=True)
    draw(results, options.out / "speed.svg")
    (options.out / "README.md").write_text(f"# Latchkey beside others\n\n![Speed](speed.svg)\n\n{text}")
    (options.out / "results.json").write_text(json.dumps({**asdict(results), "correctness": found}, indent=2))


if __name__ == "__main__":
    main()
