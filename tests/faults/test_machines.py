"""Faults of the machines: clocks that jump, and a disk that is full."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import psycopg
import pytest

from tests.faults.site import Site, started
from tests.scale.cluster import wait_for

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
STEPS = -30, 30, -3600, 3600, 0
"""By how many seconds a clock is wrong, one after the other."""
MEGABYTES = 300


class Clock:
    """The clock of a process that is started with ``environment``."""

    def __init__(self, file: Path) -> None:
        self._file = file
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


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder that every user may read. PostgreSQL does not run as root, and cannot read pytest's own folders."""
    folder = Path(mkdtemp(prefix="latchkey-open-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def clocks(open_folder: Path) -> dict[str, Clock]:
    """The clocks of the database and of a node. Each test sets its own right at the end."""
    if LIBRARY is None:
        pytest.skip("libfaketime is not installed: apt-get install libfaketime")
    return {name: Clock(open_folder / name) for name in ("database", "node")}


@pytest.fixture(scope="module")
def site(clocks: dict[str, Clock], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose database and node B have clocks that can be moved. Those of `conftest.site` follow the machine."""
    of_primary, of_b = (clock.environment for clock in clocks.values())
    with started(tmp_path_factory.mktemp("site"), replicated=False, of_primary=of_primary, of_b=of_b) as found:
        yield found


def test_the_clock_of_the_database_jumps_back_and_forward(site, clocks, under_load):
    with under_load(site) as load:
        for seconds in STEPS:
            clocks["database"].step(seconds)
            wait_for(lambda seconds=seconds: abs(site.clock_offset() - seconds) < 5, "the step")  # type: ignore[misc]
            load.events.append("steps")
            load.wait_for_rounds(1)


def test_the_clock_of_a_node_jumps_back_and_forward(site, clocks, under_load):
    with under_load(site) as load:
        for seconds in STEPS:
            clocks["node"].step(seconds)
            load.events.append("steps")
            load.wait_for_rounds(2)


@pytest.fixture
def small_disk(open_folder: Path) -> Iterator[Path]:
    """A disk that is soon full. On the real one, filling it would stop the whole machine."""
    disk = open_folder / "disk"
    disk.mkdir()
    options = f"size={MEGABYTES}m,mode=755"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "latchkey", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_the_disk_is_full(tmp_path, small_disk, under_load):
    """First no table can grow. Then the log of writes cannot, and PostgreSQL stops until there is room again."""
    with started(tmp_path, replicated=False, data=small_disk) as site, under_load(site) as load:
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(65536)):
                pass
        with pytest.raises(psycopg.errors.DiskFull):
            site.ask("CREATE TABLE more AS SELECT generate_series(1, 1000) AS number")
        load.events.append("disks filled")
        load.wait_for_answers(20)
        wait_for(lambda: not begins_a_log_file(site), "the end of the log")
        load.wait_for_an_outage()
        ballast.unlink()
        wait_for(site.primary.is_up_again, "PostgreSQL")
        site.wait_until_ready()


def begins_a_log_file(site: Site) -> bool:
    """Let the primary begin another file of its log of writes. Return whether it can."""
    try:
        site.ask("SELECT pg_switch_wal()")
    except psycopg.Error:
        return False
    return True
