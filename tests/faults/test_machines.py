"""What the machines below do: clocks that step, a disk that is full."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import psycopg
import pytest

from tests.faults.people import Crowd, at_work
from tests.faults.site import Site, started
from tests.scale.cluster import wait_for

Report = Callable[[Crowd], None]
LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
STEPS = -30, 30, -3600, 3600, 0
"""Where a clock stands, in seconds from the true time."""
MEGABYTES = 300


class Clock:
    """The clock of a process that is started with ``environment``."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.step(0)
        self.environment = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def step(self, seconds: int) -> None:
        self._file.write_text(f"{seconds:+d}s\n")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user may read."""
    folder = Path(mkdtemp(prefix="latchkey-open-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def clock(open_folder: Path) -> Clock:
    if LIBRARY is None:
        pytest.skip("libfaketime is not installed: apt-get install libfaketime")
    return Clock(open_folder)


def test_the_clock_of_the_database_steps_back_and_forward(tmp_path, clock, report):
    with started(tmp_path, to_primary=clock.environment) as site, at_work(site) as crowd:
        report(crowd)
        for seconds in STEPS:
            clock.step(seconds)
            wait_for(lambda seconds=seconds: abs(site.clock_offset() - seconds) < 5, "the step")  # type: ignore[misc]
            crowd.count("steps")
            crowd.wait_for_rounds(1)


def test_the_clock_of_a_node_steps_back_and_forward(tmp_path, clock, report):
    with started(tmp_path, to_b=clock.environment) as site, at_work(site) as crowd:
        report(crowd)
        for seconds in STEPS:
            clock.step(seconds)
            crowd.count("steps")
            crowd.wait_for_rounds(2)


@pytest.fixture
def small_disk(open_folder: Path) -> Iterator[Path]:
    disk = open_folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=755", "latchkey", disk], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_the_disk_is_full(tmp_path, small_disk, report):
    """First no table can grow, then the log of writes cannot, and PostgreSQL stops, until somebody makes room."""
    with started(tmp_path, data=small_disk) as site, at_work(site) as crowd:
        report(crowd)
        ballast = small_disk / "ballast"
        fill(ballast)
        with pytest.raises(psycopg.errors.DiskFull):
            site.ask("CREATE TABLE more AS SELECT generate_series(1, 1000) AS number")
        crowd.count("disks filled")
        crowd.wait_for_rounds(1)
        wait_for(lambda: not writes(site), "the end of the log")
        crowd.wait_for_an_outage()
        ballast.unlink()
        wait_for(site.primary.is_up_again, "PostgreSQL")
        for number in (0, 1):
            site.wait_until_it_works(number)


def writes(site: Site) -> bool:
    """Let the primary begin another file of its log; return whether it can."""
    try:
        site.ask("SELECT pg_switch_wal()")
    except psycopg.Error:
        return False
    return True


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(65536)):
                pass
        except OSError:
            pass
