"""How long do the lists of sessions take, in a small table and in a large one? ``python -m tests.benchmarks.lists``.

The pages are asked for in this process, as a superuser, over a PostgreSQL of the benchmark's own; a line for each says
the median in milliseconds in both tables, and the ratio.
"""

import argparse
import os
import time
from statistics import median
from typing import Any

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import setup_test_environment  # noqa: E402

from tests import crowd  # noqa: E402
from tests.browsers import login  # noqa: E402
from tests.databases import Databases  # noqa: E402
from tests.factories import AdminFactory  # noqa: E402

LIST = "/admin/tokens/refreshtoken/"
PATHS = (
    "/",
    "/api/auth/sessions",
    LIST,
    f"{LIST}?p=50",
    f"{LIST}?state=live",
    f"{LIST}?state=revoked",
    f"{LIST}?mode__exact=body",
    f"{LIST}?revoked_reason__exact=reuse_detected",
    f"{LIST}?q=crowd12@",
    f"{LIST}?q=nobody",
)


def times(sessions: int, repeats: int) -> dict[str, float]:
    """The median time of each page, in milliseconds, where there are so many sessions. The database is emptied."""
    call_command("flush", interactive=False, verbosity=0)
    crowd.gather(sessions)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    browser = Client()
    login(browser, AdminFactory())
    return {path: median(_milliseconds(browser, path) for _ in range(repeats)) for path in PATHS}


def _milliseconds(browser: Any, path: str) -> float:
    began = time.perf_counter()
    assert browser.get(path).status_code == 200, path
    return (time.perf_counter() - began) * 1000


def run(small: int, large: int, repeats: int) -> None:
    """Print a line for each page. The database is there."""
    setup_test_environment(debug=False)
    few, many = times(small, repeats), times(large, repeats)
    print(f"{'':<60}{small:>12}{large:>12}{'ratio':>8}")  # noqa: T201
    for path in PATHS:
        print(f"{path:<60}{few[path]:>12.1f}{many[path]:>12.1f}{many[path] / few[path]:>8.2f}")  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=20_000, help="default: 20,000")
    parser.add_argument("--large", type=int, default=1_000_000, help="default: 1,000,000")
    parser.add_argument("--repeats", type=int, default=9)
    databases = Databases("_lists")
    try:
        databases.use("postgresql")
        run(**vars(parser.parse_args()))
    finally:
        databases.destroy()


if __name__ == "__main__":
    main()
