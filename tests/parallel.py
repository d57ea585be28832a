"""Several jobs at the same time, each in a thread that has database connections of its own."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from threading import Barrier
from typing import Any

from tests.tokens.service.holders import PATIENCE
from tests.tokens.service.threads import in_thread


def at_once(*jobs: Callable[[], Any]) -> list[Any]:
    """Run jobs that begin at the same moment. Return their results, that of the first job to end first."""
    together, found = Barrier(len(jobs)), []

    def run(job: Callable[[], Any]) -> None:
        together.wait(PATIENCE)
        found.append(job())

    with ExitStack() as threads:
        for job in jobs:
            threads.enter_context(in_thread(partial(run, job)))
    return found
