"""Make small changes ("mutants") in the source code, one at a time, and report how many of them the tests detect.

    python -m tests.measures.mutants --seed 16 --count 200 --out mutants.json tokens/protocol tokens/service

A mutant changes one expression or statement inside a function. The same seed draws the same mutants from the same
source code. For each mutant the script runs the tests that execute the changed line, but at most 150 of them, the
quickest first, and stops at the first failure. A mutant that no test executes counts as not detected, a test run that
takes too long as detected.

The script works in a temporary copy of the tracked files. Three files are kept: the results (``--out``), and beside
them, with other suffixes, the coverage data (``.coverage``) and the durations of the tests (``.xml``). Start the script
again to continue after an interruption. Delete the three files to begin anew after a change of the code.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psycopg
from coverage import CoverageData

from tests.databases import start_server
from tests.measures.changes import Mutant, draw
from tests.settings import PG_URL

TESTED_BY = ("tests/tokens", "tests/accounts", "tests/factors", "tests/attacks", "tests/config")
MAX_TESTS = 150
CHECKED_FIRST = 3
"""Before the first mutant, the tests of this many mutants must pass on the unchanged code."""
MARKERS = "not browser and not scale and not faults and not exhaustive and not gettext"
"""The default markers of pyproject.toml, and the tests that the default run leaves out on PostgreSQL: all run there."""
PYTEST = (
    *(sys.executable, "-m", "pytest", "-n0", "-q", f"-m{MARKERS}"),
    *("--tb=short", "-pno:cacheprovider", "-ptests.measures.order"),
)


class Copy:
    """A temporary copy of the tracked files, in which tests run."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._folder, self._url = folder / "copy", database_url
        (folder / "tmp").mkdir()
        folder.chmod(0o711)  # As root, PostgreSQL runs as another user, who has to reach its folder below "tmp".
        self._environment = {**os.environ, "DATABASE_URL": database_url, "TMPDIR": str(folder / "tmp")}
        listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
        for name in [*listed.strip("\0").split("\0"), *map(str, Path("tests/measures").glob("*.py"))]:
            if Path(name).is_file():
                (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(name, self._folder / name)

    def run(self, *arguments: str, tests: Iterable[str], timeout: float | None = None, **more: str) -> tuple[int, str]:
        """Run pytest on these tests. Return its exit status and its output; the status is -1 if it took too long."""
        (self._folder / "tests.txt").write_text("\n".join(tests))
        with (self._folder / "output.txt").open("w+") as output:
            process = subprocess.Popen(
                [*PYTEST, *arguments, "@tests.txt"],
                cwd=self._folder,
                env={**self._environment, **more},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = process.wait(timeout)
            except subprocess.TimeoutExpired:
                status = -1
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._disconnect()
            output.seek(0)
            return status, output.read()

    def _disconnect(self) -> None:
        """Close the connections that a killed test run left open: the next run could not create its database anew."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test\\_latchkey%'"
            )

    @contextmanager
    def changed(self, mutant: Mutant) -> Iterator[None]:
        """Change the file within the copy, and restore it afterwards."""
        path = self._folder / mutant.file
        original = path.read_bytes()
        try:
            self._write(path, mutant.apply(original))
            yield
        finally:
            self._write(path, original)

    @staticmethod
    def _write(path: Path, source: bytes) -> None:
        path.write_bytes(source)
        # Python would use the old bytecode if the file has the same size and was written within the same second.
        for bytecode in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            bytecode.unlink()


class Tests:
    """Which tests execute a line, and how long each of them takes."""

    def __init__(self, coverage: Path, durations: Path, existing: set[str]) -> None:
        self._data = CoverageData(str(coverage))
        self._data.read()
        self._existing = existing
        self._seconds: dict[str, float] = defaultdict(lambda: 1.0)
        for case in ElementTree.parse(durations).iter("testcase"):  # noqa: S314 (pytest wrote it)
            self._seconds[f"{case.get('classname')}.{case.get('name')}"] = float(case.get("time", 1))

    def of(self, mutant: Mutant) -> list[str]:
        """Return the tests that execute the changed line, the quickest first.

        A line that is executed when its module is imported belongs to no test. Then those of the whole file are taken.
        """
        measured = [file for file in self._data.measured_files() if file.endswith(f"/{mutant.file}")]
        contexts = self._data.contexts_by_lineno(measured[0]) if measured else {}
        names = self._on(contexts, mutant.lines) or self._on(contexts, mutant.statement_lines)
        if names == {""}:
            names = self._on(contexts, contexts)
        return sorted(names & self._existing, key=self._order)

    def chosen(self, mutant: Mutant) -> list[str]:
        """Return at most ``MAX_TESTS`` of these tests, of as many test functions as possible, the quickest first."""
        by_function = defaultdict(list)
        for name in self.of(mutant):
            by_function[name.partition("[")[0]].append(name)
        one_of_each = filter(None, chain.from_iterable(zip_longest(*by_function.values())))
        return sorted(islice(one_of_each, MAX_TESTS), key=self._order)

    def _order(self, name: str) -> tuple[float, str]:
        return self.seconds(name), name

    def seconds(self, name: str) -> float:
        """Return how long the test took."""
        path, bracket, parameters = name.partition("[")
        module = re.sub(r"\.py(?=::)", "", path).replace("/", ".").replace("::", ".")
        return self._seconds[f"{module}{bracket}{parameters}"]

    @staticmethod
    def _on(contexts: Mapping[int, Iterable[str]], lines: Iterable[int]) -> set[str]:
        return {context.rpartition("|")[0] for line in lines for context in contexts.get(line, ())}


class Results:
    """The results so far, in a file that is written again after each mutant."""

    def __init__(self, path: Path, drawn: dict[str, object]) -> None:
        self._path = path
        self._content: dict[str, Any] = {**drawn, "mutants": []}
        if path.exists():
            self._content = json.loads(path.read_text())
            if {name: self._content.get(name) for name in drawn} != drawn:
                sys.exit(f"{path} holds the results of another draw. Delete it, or choose another --out.")

    @property
    def mutants(self) -> list[dict[str, Any]]:
        """The finished mutants, in the order in which they were drawn."""
        return list(self._content["mutants"])

    def append(self, result: dict[str, Any]) -> None:
        """Add one finished mutant."""
        self._content["mutants"].append(result)
        unfinished = self._path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(self._content, indent=1))
        unfinished.replace(self._path)


def measure_coverage(copy: Copy, coverage: Path, durations: Path) -> None:
    """Run the suite once, and record which test executes which line and how long each test takes."""
    status, output = copy.run(
        *("--cov", "--cov-branch", "--cov-context=test", "--cov-report=", "-k", "not sqlite"),
        "--dist=no",  # pytest-cov records no contexts if pytest-xdist's option is left at worksteal
        *(f"--junitxml={durations.absolute()}", "-ojunit_family=xunit1"),  # xunit2 knows no record_property
        tests=TESTED_BY,
        COVERAGE_FILE=str(coverage.absolute()),
    )
    if status:
        coverage.unlink(missing_ok=True)
        sys.exit(f"The tests do not pass on the unchanged code.\n{output[-5000:]}")


def existing_tests(copy: Copy) -> set[str]:
    """Return the names of the tests that pytest finds, without those on SQLite."""
    _, output = copy.run("--collect-only", tests=TESTED_BY)
    return {line for line in output.splitlines() if "::" in line and "sqlite" not in line.lower()}


def check(copy: Copy, selections: Iterable[list[str]]) -> None:
    """Exit if one of these selections of tests fails on the unchanged code."""
    for tests in selections:
        status, output = copy.run("-x", tests=tests)
        if status:
            sys.exit(f"These tests do not pass on the unchanged code.\n{output[-5000:]}")


def measure(copy: Copy, mutant: Mutant, tests: Tests, seed: int) -> dict[str, Any]:
    """Run the tests of one mutant and return its result."""
    chosen, started = tests.chosen(mutant), time.monotonic()
    detected_by, error = "", ""
    if chosen:
        timeout = 60 + 10 * sum(map(tests.seconds, chosen))
        with copy.changed(mutant):
            status, output = copy.run("-x", f"--hypothesis-seed={seed}", tests=chosen, timeout=timeout)
        if status:
            detected_by, error = ("timeout", "") if status < 0 else failure(output, chosen)
    return {
        "file": mutant.file,
        "line": mutant.line,
        "function": mutant.function,
        "change": mutant.change,
        "detected": bool(detected_by),
        "detected_by": detected_by,
        "error": error,
        "tests": len(tests.of(mutant)),
        "tests_run": len(chosen),
        "seconds": round(time.monotonic() - started, 1),
    }


def failure(output: str, names: Iterable[str]) -> tuple[str, str]:
    """Return the name of the test that failed, and the error; without a failed test, the last lines of the output."""
    error = next((line.removeprefix("E").strip() for line in output.splitlines() if line.startswith("E  ")), "")
    for line in output.rpartition("short test summary info")[2].splitlines():
        if line.startswith(("FAILED ", "ERROR ")):
            rest = line.split(" ", 1)[1]
            return next((name for name in names if rest == name or rest.startswith(f"{name} - ")), rest), error
    return "pytest, which could not run the tests", error or output[-500:]


def show(number: int, result: dict[str, Any]) -> str:
    """Return a result in one line."""
    place = f"{result['file']}:{result['line']} {result['function']}"
    verdict = f"detected by {result['detected_by']}"
    if not result["detected"]:
        verdict = f"NOT DETECTED by {result['tests_run']} of {result['tests']} tests"
    return f"{number:4} {place}: {textwrap.shorten(result['change'], 120)}: {verdict}"


def summary(results: list[dict[str, Any]]) -> str:
    """Return the number of detected mutants, in all and of each file, and the list of the others."""
    lines = [f"{sum(result['detected'] for result in results)} of {len(results)} mutants were detected."]
    for file in sorted({result["file"] for result in results}):
        of_file = [result["detected"] for result in results if result["file"] == file]
        lines.append(f"  {file}: {sum(of_file)} of {len(of_file)}")
    lines += [show(number, result) for number, result in enumerate(results, 1) if not result["detected"]]
    return "\n".join(lines)


@contextmanager
def database() -> Iterator[str]:
    """Give the URL of the PostgreSQL server of ``DATABASE_URL``, or of a server that is stopped afterwards."""
    if PG_URL.startswith("postgres"):
        yield PG_URL
        return
    url, server = start_server()
    try:
        yield url
    finally:
        server.cleanup()


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="FILE", help="a file of source code, or a folder")
    parser.add_argument("--seed", type=int, default=16, help="another seed draws other mutants; default: 16")
    parser.add_argument("--count", type=int, default=200, help="how many mutants are drawn; default: 200")
    parser.add_argument("--out", type=Path, default=Path("mutants.json"), help="the results; default: mutants.json")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped. Start it again to continue."))
    drawn = draw(options.names, options.seed, options.count)
    results = Results(options.out, {"names": options.names, "seed": options.seed, "count": options.count})
    coverage, durations = options.out.with_suffix(".coverage"), options.out.with_suffix(".xml")
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, database() as url:
        copy = Copy(Path(folder), url)
        if not coverage.exists():
            measure_coverage(copy, coverage, durations)
        tests = Tests(coverage, durations, existing_tests(copy))
        remaining = drawn[len(results.mutants) :]
        check(copy, islice(filter(None, map(tests.chosen, remaining)), CHECKED_FIRST))
        for number, mutant in enumerate(remaining, len(results.mutants) + 1):
            results.append(measure(copy, mutant, tests, options.seed))
            print(show(number, results.mutants[-1]), flush=True)
    print(summary(results.mutants))


if __name__ == "__main__":
    main()
