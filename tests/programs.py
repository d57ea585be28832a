"""Programs that tests and scripts run to their end. This module imports no Django, which scripts set up later."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.documents import ROOT

SECONDS = 300
"""The time limit of a program. On a machine that is busy with other tests, one minute is too short."""


def completed(*command: object, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end. ``options``: those of `subprocess.run`.

    Raise `AssertionError` with what it has printed if it fails.
    """
    given = {"capture_output": True, "text": True, "timeout": SECONDS, **options}
    done: subprocess.CompletedProcess[str] = subprocess.run([*map(str, command)], **given)
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout[-6000:]}{done.stderr[-6000:]}"
    return done


def free_port() -> int:
    """Return a port for a server that cannot listen at one that `tests.browser.proxies.reserved_port` holds."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def built_wheel(folder: Path, source: Path = ROOT) -> Path:
    """Return the wheel that ``pip install`` of this checkout, or of another ``source``, makes."""
    completed(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder, cwd=source)
    [found] = folder.glob("*.whl")
    return found
