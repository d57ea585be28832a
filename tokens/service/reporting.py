"""What a management command tells its operator: its progress, a last line, and what was done if it is interrupted.

The results go to the standard output. Progress and what is only for people goes to the standard error::

    sessions: 120000 deleted so far

On a terminal, and if tqdm is installed (the extra ``progress``), a task has a progress bar. Otherwise it has a line
every `EVERY` seconds, for a log. A short task has neither. With ``--verbosity 0`` a command prints only errors, and the
rows that it was asked to list.

Ctrl-C ends a command with `INTERRUPTED`, and a message that says what was done until then.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from importlib.util import find_spec
from time import monotonic
from types import TracebackType
from typing import Any, Self

from django.core.management import BaseCommand, CommandError

EVERY = 5.0
"""Seconds between two lines about the progress of a task."""
BAR_AFTER = 1.0
"""Seconds after which a task gets its progress bar."""
PIPE_CLOSED = 141
"""The exit code if the output was piped into a program that has ended: 128 and the number of the signal."""
INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 and the number of the signal, as shells say it."""


class Report:
    """The report of one run of a command, as a context manager around its work.

    ``verbosity`` is Django's option. ``is_whole``: the work is one transaction, so an interruption undoes all of it.
    ``seconds`` is a clock for durations.
    """

    def __init__(
        self,
        command: BaseCommand,
        verbosity: int,
        *,
        is_whole: bool = False,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        self._out, self._err = command.stdout, command.stderr
        self._is_silent, self._is_whole, self._seconds = verbosity < 1, is_whole, seconds
        self._began = seconds()
        self._done: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            done = "" if self._is_whole else ", ".join(self._done.values())
            text = f"interrupted after {self.duration}. Done until then: {done or 'nothing'}. Run it again to go on"
            raise CommandError(text, returncode=INTERRUPTED) from None
        if kind is not None and issubclass(kind, BrokenPipeError):
            # The reader, such as `head`, has read enough.
            _discard(sys.stdout)
            raise SystemExit(PIPE_CLOSED) from None

    @property
    def seconds(self) -> float:
        """How long the command has been running, in seconds."""
        return self._seconds() - self._began

    @property
    def duration(self) -> str:
        """How long the command has been running, for people."""
        minutes, seconds = divmod(self.seconds, 60)
        return f"{int(minutes)} min {int(seconds)} s" if minutes else f"{seconds:.1f} s"

    def say(self, text: str) -> None:
        """Print a line with a result."""
        if not self._is_silent:
            self._out.write(text)

    def note(self, text: str) -> None:
        """Print a line that is only for people, and not part of a result that a program may read."""
        if not self._is_silent:
            try:
                self._err.write(text, str)
            except BrokenPipeError:  # Nobody reads on. The work must not end in its middle because of that.
                _discard(sys.stderr)

    @contextmanager
    def task(
        self, name: str, done: str, total: Callable[[], int] | None = None, *, is_shown: bool = True
    ) -> Iterator[Callable[[int], None]]:
        """Report on a task. The block calls what it gets with each number of things that are done.

        ``done`` says what was done with them, such as "deleted". ``total`` counts all. It is called only if a bar is
        shown, because counting may take long. ``is_shown``: whether progress is shown at all.
        """
        is_shown = is_shown and not self._is_silent
        has_bar = is_shown and self._err.isatty() and find_spec("tqdm") is not None
        count, last = 0, self._seconds()
        with _bar(name, total and total(), self._err) if has_bar else nullcontext() as bar:

            def step(more: int) -> None:
                nonlocal count, last
                count += more
                self._done[name] = f"{name}: {count} {done}"
                if bar is not None:
                    bar.update(more)
                elif is_shown and self._seconds() - last >= EVERY:
                    last = self._seconds()
                    self.note(f"{name}: {count} {done} so far")

            yield step

    def follow(self, name: str, done: str, counts: Iterable[int], total: Callable[[], int] | None = None) -> int:
        """Report on a task that yields how many things are done each time, and return their sum. See `task`."""
        found = 0
        with self.task(name, done, total) as step:
            for count in counts:
                found += count
                step(count)
        return found


def _discard(stream: Any) -> None:
    """Let what is written to a pipe that nobody reads go nowhere. Python would complain when it flushes at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def counted(count: int, singular: str, plural: str = "") -> str:
    """Return a count with its noun: "1 session", "2 sessions"."""
    return f"{count} {singular if count == 1 else plural or singular + 's'}"


def at(instant: datetime) -> str:
    """Return a time as commands print it."""
    return f"{instant:%Y-%m-%d %H:%M:%S %Z}"


def is_confirmed(command: BaseCommand, question: str) -> bool:
    """Ask a question, and return whether the answer is yes. Without an answer it is no."""
    command.stdout.write(f"{question} [y/N] ", ending="")
    command.stdout.flush()
    try:
        return input().strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def _bar(name: str, total: int | None, stream: Any) -> Any:
    """Return a progress bar of tqdm, which must be there. Django's wrapper of the stream would add line ends."""
    from tqdm import tqdm  # An extra, which may be missing.

    return tqdm(total=total, desc=name, unit=" rows", delay=BAR_AFTER, file=getattr(stream, "_out", stream))
