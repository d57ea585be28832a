"""Run Django's own tests twice, with its middleware and backend and with ours, and compare.

python -m tests.foreign.django_suites [suite …] [--sources folder] [--verbose]
"""

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.foreign import suites
from tests.foreign.suites import BACKEND, MIDDLEWARE, ROOT, Results

SUITES = ["auth_tests", "sessions_tests", "test_client", "test_client_regress", "csrf_tests", "admin_views"]

UNIQUE = "topics/auth/customizing, USERNAME_FIELD: uniqueness is left to the backend if it is not Django's own."
SWAPPED = "topics/auth/customizing, Changing to a custom user model mid-project: foreign keys keep the first model."
STATEMENTS = "topics/db/optimization: it says how to count statements, and promises no number of them for a view."

LISTED = {
    "auth_tests.test_checks.UserModelChecksTests.test_username_non_unique": UNIQUE,
    "auth_tests.test_checks.UserModelChecksTests.test_username_partially_unique": UNIQUE,
    "auth_tests.test_context_processors.AuthContextProcessorTests.test_session_is_accessed": (
        "ref/middleware, AuthenticationMiddleware: it adds the user to the request. It need not read the session."
    ),
    "auth_tests.test_views.LoginTest.test_session_key_flushed_on_login_after_password_change": (
        "topics/auth/default, login: data of the anonymous session is kept. That the key stays is not said."
    ),
    "auth_tests.test_views.UUIDUserTests.test_admin_password_change": SWAPPED,
    "test_client.tests.ClientTest.test_view_with_inactive_force_login": (
        "ref/contrib/auth, is_active: whether an inactive user can sign in is left to the backend."
    ),
    "admin_views.test_multidb.ViewOnSiteTests.test_contenttype_in_separate_db": (
        "topics/db/multi-db, Cross-database relations: foreign keys between databases are not supported. "
        "Its router sends users to one database, and our tables to another."
    ),
    "admin_views.tests.AdminCustomQuerysetTest.test_changelist_view_count_queries": STATEMENTS + " It is one less.",
    "admin_views.tests.GroupAdminTest.test_group_permission_performance": (
        STATEMENTS + " On a slow machine the revocations are read once more."
    ),
}
"""The tests that fail only with ours, and the place in Django's documentation that does not promise what they want."""


def main() -> int:
    parser = suites.options(__doc__ or "")
    parser.add_argument("suites", nargs="*", default=SUITES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="latchkey-") as scratch:
        folder = options.sources or Path(scratch)
        copies = [_copy(folder, Path(scratch), ours=ours) for ours in (False, True)]
        with ThreadPoolExecutor(2) as pool:
            before, after = pool.map(partial(_run_all, options.suites), copies)
    suites.head()
    wrong: list[str] = []
    for name in options.suites:
        wrong += suites.report(name, before[name], after[name], LISTED, verbose=options.verbose)
    return len(wrong)


def _copy(archives: Path, scratch: Path, *, ours: bool) -> Path:
    """Return a folder with Django's tests. Its name says whether they name our middleware and backend."""
    tests = suites.source("django", archives, scratch / ("ours" if ours else "django")) / "tests"
    if ours:
        suites.replace_in(tests, {f'"{old}"': f'"{new}"' for old, new in (MIDDLEWARE, BACKEND)})
        suites.replace_in(
            tests, {'    "django.contrib.staticfiles",\n]': '    "django.contrib.staticfiles",\n    "tokens",\n]'}
        )
    return tests


def _run_all(names: list[str], tests: Path) -> dict[str, Results]:
    return {name: _run(tests, name) for name in names}


def _run(tests: Path, suite: str) -> Results:
    results = tests / "results.json"
    results.unlink(missing_ok=True)
    ours = "yes" if tests.parts[-3] == "ours" else ""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RESULTS": str(results), "OURS": ours}
    # Without --parallel=1 a failure has to be pickled, for which Django needs a further package.
    options = ["--settings=tests.foreign.django_settings", "--noinput", "--parallel=1"]
    command = [sys.executable, "runtests.py", *options, suite]
    done = subprocess.run(command, cwd=tests, env=environment, capture_output=True, text=True)
    if not results.exists():
        raise SystemExit(f"{suite} did not run:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    return Results(**json.loads(results.read_text("utf-8")))


if __name__ == "__main__":
    sys.exit(main())
