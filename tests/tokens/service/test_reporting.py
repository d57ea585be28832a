"""What commands tell their operator: progress only on long work, one last line, and what was done before Ctrl-C."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.core.management import BaseCommand, CommandError

from tokens.service import reporting
from tokens.service.reporting import EVERY, INTERRUPTED, PIPE_CLOSED, Report, counted


class Terminal(StringIO):
    """A terminal. Without it a bar that a log gets too would go unnoticed."""

    def isatty(self) -> bool:
        return True


class Seconds:
    """A clock that stands still until a test moves it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    """The clock of the report. With the real one, a test of long work would last as long as the work."""
    return Seconds()


def command(err: Any) -> BaseCommand:
    return BaseCommand(stdout=StringIO(), stderr=err)


def worked(report: Report, seconds: Seconds, pauses: list[float]) -> int:
    """Follow a task that does ten things after each of these pauses."""

    def counts() -> Any:
        for pause in pauses:
            seconds.now += pause
            yield 10

    return report.follow("sessions", "deleted", counts(), lambda: 10 * len(pauses))


@pytest.mark.parametrize(
    ("pauses", "lines"),
    [
        ([1, 1, 1], []),
        ([EVERY - 0.1, 0], []),
        ([1, EVERY, 1, 1], ["sessions: 20 deleted so far"]),
        ([EVERY, 1, EVERY], ["sessions: 10 deleted so far", "sessions: 30 deleted so far"]),
    ],
    ids=["short", "just short", "one line", "two lines"],
)
def test_a_log_gets_a_line_every_few_seconds_and_nothing_about_short_work(pauses, lines, seconds):
    err = StringIO()
    with Report(command(err), 1, seconds=seconds) as report:
        assert worked(report, seconds, pauses) == 10 * len(pauses)
    assert err.getvalue().splitlines() == lines


def test_a_terminal_gets_a_bar_with_the_total_and_without_tqdm_it_gets_the_lines(seconds, monkeypatch):
    def shown() -> str:
        terminal = Terminal()
        with Report(command(terminal), 1, seconds=seconds) as report:
            worked(report, seconds, [1, 9])
        return terminal.getvalue()

    assert shown() == "", "The bar's own clock says that the work was short."
    monkeypatch.setattr(reporting, "BAR_AFTER", 0)
    assert "sessions: 100%" in shown()
    assert "20/20" in shown()
    monkeypatch.setattr(reporting, "find_spec", lambda name: None)
    assert shown() == "sessions: 20 deleted so far\n"


def test_verbosity_0_is_silent(seconds):
    terminal = Terminal()
    found = command(terminal)
    with Report(found, 0, seconds=seconds) as report:
        worked(report, seconds, [EVERY] * 3)
        report.say("a result")
        report.note("a note")
    assert (found.stdout.getvalue(), terminal.getvalue()) == ("", "")


@pytest.mark.parametrize("is_whole", [False, True], ids=["in batches", "in one transaction"])
def test_an_interruption_says_what_was_done_and_has_the_exit_code_of_shells(is_whole, seconds):
    def interrupted() -> None:
        with Report(command(StringIO()), 1, is_whole=is_whole, seconds=seconds) as report:
            worked(report, seconds, [1, 1])
            raise KeyboardInterrupt

    with pytest.raises(CommandError) as stopped:
        interrupted()
    assert stopped.value.returncode == INTERRUPTED
    done = "nothing" if is_whole else "sessions: 20 deleted"
    assert str(stopped.value) == f"interrupted after 2.0 s. Done until then: {done}. Run it again to go on"


@pytest.mark.parametrize(
    ("passed", "said"), [(0, "0.0 s"), (4.25, "4.2 s"), (59.9, "59.9 s"), (60, "1 min 0 s"), (3725, "62 min 5 s")]
)
def test_the_duration_is_in_seconds_or_in_minutes(passed, said, seconds):
    report = Report(command(StringIO()), 1, seconds=seconds)
    seconds.now += passed
    assert report.duration == said


def test_a_count_has_the_right_noun():
    assert [counted(n, "session") for n in (0, 1, 2)] == ["0 sessions", "1 session", "2 sessions"]
    assert counted(2, "address", "addresses") == "2 addresses"


PROGRAM = """
import sys, time
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # Python ignores it if the tests run in the background.
from django.conf import settings
settings.configure()
from django.core.management import BaseCommand
from tokens.service.reporting import Report

class Command(BaseCommand):
    requires_system_checks = []
    def handle(self, *, verbosity, **options):
        with Report(self, verbosity) as report, report.task("rows", "deleted") as step:
            step(7)
            print("ready", flush=True)
            if sys.stdin.readline() == "print\\n":
                for number in range(100_000):
                    self.stdout.write("a row of a list")
            time.sleep(60)

Command().run_from_argv(["manage.py", "it"])
"""


@contextmanager
def ready_process(program: str = PROGRAM) -> Iterator[Any]:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        killer = threading.Timer(60, process.kill)
        killer.start()
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        killer.cancel()


def test_a_reader_that_has_read_enough_ends_a_real_process_quietly():
    with ready_process() as process:
        process.stdout.close()
        process.stdin.write("print\n")
        process.stdin.flush()
        assert process.wait() == PIPE_CLOSED
        assert process.stderr.read() == ""


def test_work_goes_on_if_nobody_reads_its_progress_any_more():
    program = PROGRAM.replace("step(7)", "reporting.EVERY = 0").replace("time.sleep(60)", "step(7); step(7)")
    program = program.replace("import sys, time", "import sys\nfrom tokens.service import reporting")
    program += "\nprint('done')"
    with ready_process(program) as process:
        process.stderr.close()
        process.stdin.write("go on\n")
        process.stdin.close()
        assert process.stdout.read() == "done\n"
    assert process.returncode == 0


def test_ctrl_c_ends_a_real_process_without_a_traceback():
    with ready_process() as process:
        process.send_signal(2)
        _out, err = process.communicate()
    assert process.returncode == INTERRUPTED
    assert err.startswith("CommandError: interrupted after ")
    assert "Done until then: rows: 7 deleted." in err
    assert "Traceback" not in err
