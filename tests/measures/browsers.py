"""Runs the suites of ``tests/browser`` in each browser, and writes the table in ``docs/reference/browsers.md``.

    python -m tests.measures.browsers                  all browsers, which takes about an hour
    python -m tests.measures.browsers firefox webkit   only the rows of these; the others stay
    python -m tests.measures.browsers firefox pages    only the row of this suite

The table has the version of each browser, the day, and how many tests have passed, failed and been skipped.
"""

import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from tests.browser import engines, webkit

PAGE = Path(__file__).parents[2] / "docs/reference/browsers.md"
BEGIN, END = "<!-- Written by tests/measures/browsers.py -->", "<!-- The end of the table -->"
HEADING = "| browser | suite | passed | failed | skipped | day |\n| --- | --- | --- | --- | --- | --- |"
NAMES = {engines.CHROMIUM: "Chromium", engines.FIREFOX: "Firefox", engines.WEBKIT: "WebKitGTK"}
VERSION = re.compile(r"\d+(\.\d+)+")
_FOLDER = "tests/browser"
_OF_PAGES = (
    *("pages", "pages_without_javascript", "cross_site_page", "going_on", "leaving", "lost_answers", "other_sites"),
)
SUITES = {
    "the session client": [f"{_FOLDER}/session"],
    "pages": [f"{_FOLDER}/test_{name}.py" for name in _OF_PAGES],
    "cookies of sibling hosts": [f"{_FOLDER}/test_{name}.py" for name in ("sibling_hosts", "cookie_prefixes")],
    "device binding": [f"{_FOLDER}/device_bound"],
}


def version_of(engine: str) -> str:
    """Return the version that the browser's program, or its driver, says."""
    if engine == engines.WEBKIT:  # Its driver prints none.
        with (
            tempfile.TemporaryDirectory() as folder,
            webkit.started(engines.program_of(engine), Path(folder), []) as browser,
        ):
            browser.new_context().close()
            return browser.version
    printed = subprocess.run([engines.program_of(engine), "--version"], capture_output=True, text=True, check=True)
    found = VERSION.search(printed.stdout)
    assert found, printed.stdout
    return found[0]


def counts(engine: str, paths: list[str]) -> tuple[int, int, int]:
    """Run these tests in a browser. Return how many have passed, failed and been skipped."""
    with tempfile.TemporaryDirectory() as folder:
        report = f"{folder}/report.xml"
        options = ["-q", "-n0", "-mbrowser and not exhaustive", f"--engine={engine}", f"--junitxml={report}"]
        subprocess.run([sys.executable, "-m", "pytest", *options, *paths], check=False)
        suite = ElementTree.parse(report).getroot().find("testsuite")  # noqa: S314 (pytest has written it)
    assert suite is not None
    all_of_them, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
    failed = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    return all_of_them - failed - skipped, failed, skipped


def write(engine: str, version: str, suite: str, found: tuple[int, int, int]) -> None:
    """Write a row of the table. Rows of other versions of this browser are dropped."""
    before, rest = PAGE.read_text().split(BEGIN)
    table, after = rest.split(END)
    browser = f"| {NAMES[engine]} {version}"
    rows = {tuple(row.split(" | ")[:2]): row for row in table.strip().splitlines()[2:]}
    rows = {key: row for key, row in rows.items() if key[0] == browser or not key[0].startswith(f"| {NAMES[engine]} ")}
    rows[browser, suite] = " | ".join([browser, suite, *map(str, found), f"{datetime.now(UTC):%Y-%m-%d} |"])
    lines = "\n".join(rows[key] for key in sorted(rows))
    PAGE.write_text(f"{before}{BEGIN}\n\n{HEADING}\n{lines}\n\n{END}{after}")


def main(asked: list[str]) -> None:
    for engine in [one for one in asked if one in engines.ENGINES] or engines.ENGINES:
        version = version_of(engine)
        for suite in [one for one in asked if one in SUITES] or SUITES:
            write(engine, version, suite, counts(engine, SUITES[suite]))


if __name__ == "__main__":
    main(sys.argv[1:])
