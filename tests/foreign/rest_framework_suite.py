"""Run REST framework's own tests twice, with Django's middleware and backend and with ours, and compare.

python -m tests.foreign.rest_framework_suite [--sources folder] [--verbose]
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.foreign import suites
from tests.foreign.suites import BACKEND, MIDDLEWARE, ROOT, Results

LISTED = {
    "tests.test_requests_client.RequestsClientTests.test_auth": (
        "ref/settings, SESSION_COOKIE_SECURE: such a cookie is sent over https only. The test speaks http."
    )
}
"""The tests that fail only with ours, and the place in the documentation that does not promise what they want."""

SETTINGS = """        ORIGIN='https://testserver',
        TOKENS={'THROTTLES': 'off'},
        AUTHENTICATION_BACKENDS=['tokens.backends.ModelBackend'],
        MIDDLEWARE=("""


def main() -> int:
    options = suites.options(__doc__ or "").parse_args()
    with tempfile.TemporaryDirectory(prefix="latchkey-") as scratch:
        archives = options.sources or Path(scratch)
        packages = Path(scratch) / "packages"
        suites.install(["dj-database-url"], packages)
        copies = [_copy(archives, Path(scratch), ours=ours) for ours in (False, True)]
        with ThreadPoolExecutor(2) as pool:
            before, after = pool.map(partial(_run, packages=packages), copies)
    suites.head()
    return len(suites.report("rest_framework", before, after, LISTED, verbose=options.verbose))


def _copy(archives: Path, scratch: Path, *, ours: bool) -> Path:
    """Return a folder with the source, whose tests name Django's middleware and backend or ours."""
    folder = suites.source("djangorestframework", archives, scratch / ("ours" if ours else "django"))
    if ours:
        suites.replace_in(folder / "tests", {f"'{old}'": f"'{new}'" for old, new in (MIDDLEWARE, BACKEND)})
        suites.replace_in(
            folder / "tests",
            {
                "        MIDDLEWARE=(": SETTINGS,
                "SECRET_KEY='not very secret in tests'": f"SECRET_KEY={'a secret for tests ' * 3!r}",
                "'rest_framework.authtoken',": "'rest_framework.authtoken', 'tokens',",
            },
        )
    return folder


def _run(folder: Path, packages: Path) -> Results:
    found = folder / "results.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={found}", "tests"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (folder, packages, ROOT)))}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if not found.exists():
        raise SystemExit(f"The tests did not run:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return suites.results_of(found)


if __name__ == "__main__":
    sys.exit(main())
