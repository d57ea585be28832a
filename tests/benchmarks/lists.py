"""What do the lists of sessions and users cost, in small tables and large ones? ``python -m tests.benchmarks.lists``.

The pages are asked for in this process, as a superuser, over a PostgreSQL of the benchmark's own; a line for each says
how many milliseconds of a processor it takes in both, of this process and of the database's, and the ratio. There is a
user to four sessions.
"""

import argparse
import os
from typing import Any

import django
import psutil

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

LIST, USERS = "/admin/tokens/refreshtoken/", "/admin/accounts/user/"
PATHS = (
    "/",
    "/api/auth/sessions",
    LIST,
    f"{LIST}?p=50",
    f"{LIST}?state=live",
    f"{LIST}?state=revoked",
    f"{LIST}?state=expired",
    f"{LIST}?mode__exact=body",
    f"{LIST}?revoked_reason__exact=reuse_detected",
    f"{LIST}?q=crowd12@",
    f"{LIST}?q=nobody",
    USERS,
    f"{USERS}?p=20",
    f"{USERS}?is_staff__exact=1",
    f"{USERS}?q=crowd12@",
    f"{USERS}?q=nobody",
)


def costs(sessions: int, repeats: int) -> dict[str, float]:
    """What each page takes, in milliseconds, where there are so many sessions. The database is emptied."""
    call_command("flush", interactive=False, verbosity=0)
    crowd.gather(sessions)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT pg_backend_pid()")
        server = psutil.Process(cursor.fetchone()[0])
    browser = Client()
    login(browser, AdminFactory())
    return {path: _cost(browser, path, repeats, [psutil.Process(), server]) for path in PATHS}


def _cost(browser: Any, path: str, repeats: int, processes: list[psutil.Process]) -> float:
    assert browser.get(path).status_code == 200, path
    before = _used(processes)
    for _ in range(repeats):
        browser.get(path)
    return (_used(processes) - before) / repeats * 1000


def _used(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def run(small: int, large: int, repeats: int) -> None:
    """Print a line for each page. The database is there."""
    setup_test_environment(debug=False)
    few, many = costs(small, repeats), costs(large, repeats)
    print(f"{'':<60}{small:>12}{large:>12}{'ratio':>8}")  # noqa: T201
    for path in PATHS:
        print(f"{path:<60}{few[path]:>12.1f}{many[path]:>12.1f}{many[path] / few[path]:>8.2f}")  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=20_000, help="default: 20,000")
    parser.add_argument("--large", type=int, default=1_000_000, help="default: 1,000,000")
    parser.add_argument("--repeats", type=int, default=20, help="of each page; default: 20")
    databases = Databases("_lists")
    try:
        databases.use("postgresql")
        run(**vars(parser.parse_args()))
    finally:
        databases.destroy()


if __name__ == "__main__":
    main()
