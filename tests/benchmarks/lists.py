"""What do the lists of sessions and users cost in small and in large tables? ``python -m tests.benchmarks.lists``.

A superuser requests the pages in this process, with a PostgreSQL that the benchmark starts. A line for each page says
how many milliseconds of CPU a request takes in small and in large tables, of this process and of the database together,
and the ratio. There are four sessions to a user.
"""

from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import setup_test_environment

from tests.benchmarks.command import cpu, psutil, run_on_postgresql, server_process
from tests.benchmarks.options import ratio
from tests.browsers import login
from tests.factories import AdminFactory
from tests.large_site import gather

LIST, USERS = "/admin/tokens/refreshtoken/", "/admin/accounts/user/"
SEARCHES = ("q=member12@", "q=nobody")
FILTERS = ("p=50", "state=live", "state=revoked", "state=expired", "mode__exact=body")
PATHS = (
    *("/", "/api/auth/sessions", LIST, f"{LIST}dashboard/"),
    *(f"{LIST}?{query}" for query in (*FILTERS, "revoked_reason__exact=reuse_detected", *SEARCHES)),
    *(USERS, *(f"{USERS}?{query}" for query in ("p=20", "is_staff__exact=1", *SEARCHES))),
)


def costs(sessions: int, repeats: int) -> dict[str, float]:
    """Empty the database, create so many sessions, and return the milliseconds that each page takes."""
    call_command("flush", interactive=False, verbosity=0)
    gather(sessions)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    browser, processes = Client(), (psutil.Process(), server_process())
    login(browser, AdminFactory())
    found = {}
    for path in PATHS:
        assert browser.get(path).status_code == 200, path
        before = cpu(*processes)
        for _ in range(repeats):
            browser.get(path)
        found[path] = (cpu(*processes) - before) / repeats * 1000
    return found


def run(small: int = 20_000, large: int = 1_000_000, repeats: int = 20) -> None:
    """Print a line for each page."""
    setup_test_environment(debug=False)
    few, many = costs(small, repeats), costs(large, repeats)
    print(f"{'milliseconds with so many sessions':<60}{small:>12}{large:>12}{'ratio':>8}")  # noqa: T201
    for path in PATHS:
        print(f"{path:<60}{few[path]:>12.1f}{many[path]:>12.1f}{ratio(many[path], few[path]):>8.2f}")  # noqa: T201


if __name__ == "__main__":
    sizes = {"small": "sessions in the small tables", "large": "sessions in the large tables"}
    run_on_postgresql(run, __doc__, **sizes, repeats="requests of each page")
