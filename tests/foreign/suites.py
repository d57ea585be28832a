"""What the scripts of this folder share: the source of a package, two runs of its tests, and the comparison."""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
MIDDLEWARE = "django.contrib.auth.middleware.AuthenticationMiddleware", "tokens.middleware.TokenMiddleware"
BACKEND = "django.contrib.auth.backends.ModelBackend", "tokens.backends.ModelBackend"


@dataclass
class Results:
    """``run``: how many tests ran. ``failed``: the traceback of each test that failed."""

    run: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def __iadd__(self, other: "Results") -> "Results":
        return Results(self.run + other.run, {**self.failed, **other.failed})


def results_of(report: Path) -> Results:
    """Return the results that pytest has written as XML."""
    results = Results()
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314  pytest has written it.
        broken = [child for child in case if child.tag in {"failure", "error"}]
        results.run += not any(child.tag == "skipped" for child in case)
        if broken:
            results.failed[f"{case.get('classname')}.{case.get('name')}"] = broken[0].text or ""
    return results


def source(package: str, archives: Path, target: Path) -> Path:
    """Unpack the source distribution of the installed version, and return its folder.

    pip downloads it to ``archives``, unless it is there.
    """
    name = f"{package}-{version(package)}"
    if not (archive := archives / f"{name}.tar.gz").exists():
        command = [_python_with_pip(), "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", package]
        subprocess.run([*command, "--ignore-requires-python", "--dest", archives, name.replace("-", "==")], check=True)
    with tarfile.open(archive) as opened:
        opened.extractall(target, filter="data")
    return target / name


def install(packages: Sequence[str], target: Path, *, with_dependencies: bool = False) -> None:
    """Install packages that a suite needs, and this project does not, into a folder."""
    command = [_python_with_pip(), "-m", "pip", "install", "--quiet", "--target", target, *packages]
    subprocess.run([*command, *([] if with_dependencies else ["--no-deps"])], check=True)


def _python_with_pip() -> str:
    """Return an interpreter that has pip. The environments of uv have none."""
    for candidate in (sys.executable, "python3", "python"):
        path = shutil.which(candidate)
        # Not the one of an active environment, which comes first in PATH.
        for found in filter(None, (path, *(_others(candidate) if path else ()))):
            if subprocess.run([found, "-m", "pip", "--version"], capture_output=True).returncode == 0:
                return found
    raise SystemExit("No Python with pip was found in PATH. Install pip: it downloads the sources.")


def _others(name: str) -> list[str]:
    places = os.environ.get("PATH", "").split(os.pathsep)
    return [str(path) for place in places if (path := Path(place) / name).exists()]


def replace_in(folder: Path, replacements: Mapping[str, str]) -> None:
    """Replace texts in all Python files below a folder."""
    for path in folder.rglob("*.py"):
        text = before = path.read_text("utf-8")
        for old, new in replacements.items():
            text = text.replace(old, new)
        if text != before:
            path.write_text(text, "utf-8")


def report(name: str, before: Results, after: Results, listed: Mapping[str, str], *, verbose: bool) -> list[str]:
    """Print how many tests ran and failed, and what fails only with ours. Return what of this is not listed."""
    only_ours = sorted(after.failed.keys() - before.failed.keys())
    print(f"{name:<24}{after.run:>7}{len(before.failed):>10}{len(after.failed):>10}{len(only_ours):>12}")
    for test in only_ours:
        print(f"  listed: {test}\n          {listed[test]}" if test in listed else f"  NEW:    {test}")
        if verbose and test not in listed:
            print(after.failed[test])
    return [test for test in only_ours if test not in listed]


def head() -> None:
    """Print the head of the table whose rows `report` prints."""
    print(f"{'suite':<24}{'tests':>7}{'failed':>10}{'with ours':>10}{'only ours':>12}")


def options(doc: str) -> argparse.ArgumentParser:
    """Return the parser of the options that every script has."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=Path, help="a folder in which pip keeps the downloaded sources")
    parser.add_argument("--verbose", action="store_true", help="print the tracebacks of what fails only with ours")
    return parser
