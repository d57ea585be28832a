"""Other processes on a database of the tests, for real concurrency. They use the project's own settings.

A `Process` carries out jobs. Each job runs in several threads that start together. `together` lets several processes
start at the same instant. `WebServer` is a process that serves the project over HTTP. The jobs are in
`tests.tokens.service.jobs`.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

ROOT = Path(__file__).resolve().parents[3]
_CHILD = "import django; django.setup(); from tests.tokens.service import jobs; jobs.{}()"


def url_of(database: dict[str, Any]) -> str:
    """Return the ``DATABASE_URL`` of one of Django's ``DATABASES``."""
    if database["ENGINE"].endswith("sqlite3"):
        return f"sqlite:///{database['NAME']}"
    login = f"{quote(database['USER'])}:{quote(database['PASSWORD'])}"
    options = {name: value for name, value in database["OPTIONS"].items() if name != "pool"}
    port = f":{database['PORT']}" if database["PORT"] else ""
    return f"postgresql://{login}@{quote(database['HOST'], safe='')}{port}/{database['NAME']}?{urlencode(options)}"


class Process:
    """A process of the project, on the database ``url``. ``environment``: further environment variables."""

    def __init__(self, url: str, main: str = "serve", **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD.format(main)],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout

    def prepare(self, job: str, each: Sequence[Sequence[Any]], **tokens: Any) -> None:
        """Prepare a thread for each of these lists of arguments. Return when all threads wait for the start.

        ``job``: the name of a function in `tests.tokens.service.jobs`. ``tokens``: the setting ``TOKENS`` for this job.
        """
        self._send(json.dumps({"job": job, "each": [list(arguments) for arguments in each], "tokens": tokens}))
        assert self._out.readline() == "ready\n"

    def start(self) -> None:
        """Let all threads start."""
        self._send("go")

    def has_finished(self) -> bool:
        """Return whether `finish` would return without waiting."""
        readable, _, _ = select.select([self._out], [], [], 0)
        return bool(readable)

    def finish(self) -> list[dict[str, Any]]:
        """Wait for all threads, and return a dict for each: with a ``value`` or an ``error``."""
        ends: list[dict[str, Any]] = json.loads(self._out.readline())
        return ends

    def run(self, job: str, *arguments: Any, **tokens: Any) -> Any:
        """Run a job in one thread and return its result."""
        self.prepare(job, [arguments], **tokens)
        self.start()
        return values_of(self.finish())[0]

    def stop(self) -> None:
        self._in.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._out.close()

    def _send(self, line: str) -> None:
        self._in.write(f"{line}\n")
        self._in.flush()


class WebServer(Process):
    """A process that serves the project, with threads. ``port``: LISTEN from the environment, or else a free port."""

    def __init__(self, url: str, **environment: str) -> None:
        super().__init__(url, "serve_http", **environment)
        self.port = int(self._out.readline())


def several(url: str, count: int) -> Iterator[list[Process]]:
    """Yield so many processes on this database, and stop them at the end: the body of a fixture."""
    found = [Process(url) for _ in range(count)]
    yield found
    for process in found:
        process.stop()


def together(processes: Sequence[Process]) -> list[list[Any]]:
    """Let the processes run the jobs that they have prepared, all at the same time. Return the results of each."""
    for process in processes:
        process.start()
    # Read all results before one of them can fail the test, because the processes are used again.
    ends = [process.finish() for process in processes]
    return [values_of(found) for found in ends]


def values_of(ends: Sequence[dict[str, Any]]) -> list[Any]:
    """Return what the threads returned. An exception in one of them fails the test."""
    errors = [end["error"] for end in ends if "error" in end]
    assert not errors, f"{len(errors)} of {len(ends)} threads failed, the first with:\n{errors[0]}"
    return [end["value"] for end in ends]
