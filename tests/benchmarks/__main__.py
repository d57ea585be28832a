"""Latchkey beside what people use, and above the floor: ``python -m tests.benchmarks``.

On one PostgreSQL and one kind of server, each peer's project is loaded by many clients; then each is asked what it
makes of parallel refreshes, lost answers and stolen tokens. A table is printed; the same as Markdown, a plot and all
figures as JSON go to a directory.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

NEEDED = ("granian", "matplotlib", "redis", "rest_framework_simplejwt", "knox", "allauth", "jwt_allauth")


def main() -> None:
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        sys.exit(f"Not installed: {', '.join(missing)}. Run: uv sync --group benchmarks")
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()

    from tests.benchmarks.clients import PEERS
    from tests.benchmarks.plot import draw
    from tests.benchmarks.report import markdown
    from tests.benchmarks.results import Extent
    from tests.benchmarks.rounds import run

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [peer.name for peer in PEERS]
    parser.add_argument("--peers", nargs="+", choices=names, default=names, metavar="PEER", help="; ".join(names))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a slice; default: 1")
    parser.add_argument("--sessions", type=int, default=1000, help="of each peer; default: 1,000")
    parser.add_argument("--connections", type=int, default=4, help="at a time; default: 4")
    parser.add_argument("--quick", action="store_true", help="a look at it, in less than a minute")
    parser.add_argument("--out", type=Path, default=Path("benchmarks-results"), help="default: benchmarks-results")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.seconds, arguments.sessions = 2, 0.2, 100
    extent = Extent(arguments.rounds, arguments.seconds, arguments.sessions, arguments.connections)

    results = run([peer for peer in PEERS if peer.name in arguments.peers], extent)
    arguments.out.mkdir(parents=True, exist_ok=True)
    draw(results, arguments.out / "speed.svg")
    text = markdown(results)
    (arguments.out / "README.md").write_text(f"# Latchkey beside others\n\n![Speed](speed.svg)\n\n{text}\n")
    (arguments.out / "results.json").write_text(json.dumps(asdict(results), indent=2))
    print(text)  # noqa: T201


if __name__ == "__main__":
    main()
