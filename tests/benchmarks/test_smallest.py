"""Each benchmark runs in a small size. Otherwise nobody would notice that a change of the project has broken it."""

import os
import subprocess
import sys

import pytest

from tests.scale.cluster import ROOT

SMALLEST = {
    "cost": ["--turns=1", "--requests=20"],
    "growth": ["--sessions=30000", "--refreshes=5000"],
    "lists": ["--large=30000", "--repeats=1"],
    "purge": ["--rows=200000", "--rounds=1"],
    "startup": ["--rounds=1"],
}


@pytest.mark.exhaustive
@pytest.mark.parametrize(("name", "options"), SMALLEST.items(), ids=SMALLEST)
def test_the_benchmark_runs(name, options):
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}", *options], cwd=ROOT, env=environment, check=True)
