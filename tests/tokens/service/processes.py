"""Other processes on a database of the tests: real concurrency, with the project's own settings.

`Process` starts one, which carries out jobs, each in threads of its own that start together; `together` lets several
processes start at the same instant. `WebServer` is a process that serves the project over HTTP.

What is asked of a process is one of the functions below `serve`, by name. It runs where only `config.settings` is
there, so this module imports nothing of the tests' own settings.
"""

import json
import os
import select
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

ROOT = Path(__file__).resolve().parents[3]
_CHILD = "import django; django.setup(); from tests.tokens.service import processes; processes.{}()"


def url_of(database: dict[str, Any]) -> str:
    """Return the ``DATABASE_URL`` of one of Django's ``DATABASES``."""
    if database["ENGINE"].endswith("sqlite3"):
        return f"sqlite:///{database['NAME']}"
    login = f"{quote(database['USER'])}:{quote(database['PASSWORD'])}"
    options = {name: value for name, value in database["OPTIONS"].items() if name != "pool"}
    port = f":{database['PORT']}" if database["PORT"] else ""
    return f"postgresql://{login}@{quote(database['HOST'], safe='')}{port}/{database['NAME']}?{urlencode(options)}"


class Process:
    """A process of the project on the database ``url``; its settings are those of the tests.

    ``environment``: what it is told beside.
    """

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
        """Ask for ``job`` in one thread for each of these arguments; return when all threads wait for the start.

        ``tokens``: settings of the project, for this job.
        """
        self._in.write(json.dumps({"job": job, "each": [list(arguments) for arguments in each], "tokens": tokens}))
        self._in.write("\n")
        self._in.flush()
        assert self._out.readline() == "ready\n"

    def start(self) -> None:
        """Let all threads go."""
        self._in.write("go\n")
        self._in.flush()

    def has_finished(self) -> bool:
        """Whether `finish` would not have to wait."""
        readable, _, _ = select.select([self._out], [], [], 0)
        return bool(readable)

    def finish(self) -> list[dict[str, Any]]:
        """Wait for all threads, and return how each ended: with a ``value``, or an ``error``."""
        ends: list[dict[str, Any]] = json.loads(self._out.readline())
        return ends

    def run(self, job: str, *arguments: Any, **tokens: Any) -> Any:
        """Do one job, in one thread, and return its result."""
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


class WebServer(Process):
    """A process that serves the project, with threads. ``port``: where it listens: a free one, or LISTEN."""

    def __init__(self, url: str, **environment: str) -> None:
        super().__init__(url, "serve_http", **environment)
        self.port = int(self._out.readline())


def together(processes: Sequence[Process]) -> list[list[Any]]:
    """Let the processes carry out what they have prepared, all at once; return the results of each."""
    for process in processes:
        process.start()
    # All of them are read before one can fail the test: the processes are used again.
    ends = [process.finish() for process in processes]
    return [values_of(found) for found in ends]


def values_of(ends: Sequence[dict[str, Any]]) -> list[Any]:
    """Return what the threads returned. An exception in one of them is a failure of the test."""
    errors = [end["error"] for end in ends if "error" in end]
    assert not errors, f"{len(errors)} of {len(ends)} threads failed, the first one so:\n{errors[0]}"
    return [end["value"] for end in ends]


def serve() -> None:
    """The main loop of a process: one line for a job, one line for its results."""
    from django.db import connections
    from django.test import override_settings

    from tokens.service import acknowledgements
    from tokens.service.feed import feed

    for line in sys.stdin:
        job = json.loads(line)
        acknowledgements.forget()
        feed.__init__()  # type: ignore[misc]
        results: list[Any] = [None] * len(job["each"])
        barrier = threading.Barrier(len(results) + 1)

        def work(index: int, job: Any = job, results: Any = results, barrier: Any = barrier) -> None:
            barrier.wait()
            try:
                results[index] = {"value": globals()[job["job"]](*job["each"][index])}
            except Exception:
                results[index] = {"error": traceback.format_exc()}
            finally:
                connections.close_all()

        with override_settings(TOKENS=job["tokens"]):
            threads = [threading.Thread(target=work, args=(index,)) for index in range(len(results))]
            for thread in threads:
                thread.start()
            _say("ready")
            sys.stdin.readline()
            barrier.wait()
            for thread in threads:
                thread.join()
        _say(json.dumps(results))


def serve_http() -> None:
    """The main function of a `WebServer`: serve until the end of its input."""
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    from config.wsgi import application

    class Handler(WSGIRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True
        request_queue_size = 512

    with make_server("127.0.0.1", int(os.environ.get("LISTEN", 0)), application, Server, Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _say(str(server.server_port))
        sys.stdin.read()
        server.shutdown()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def refresh(text: str) -> dict[str, Any]:
    """Present a refresh token. What comes back: ``granted``, and then the successor and the generation."""
    from tokens.service import refreshing

    answer = refreshing.refresh(text, ("cookie",), _somebody())
    if isinstance(answer, refreshing.Refusal):
        return {"granted": False}
    return {"granted": True, "successor": answer.refresh_token, "generation": answer.access.generation}


def prove(session_id: str, proof: str) -> str:
    """Present a device's proof; what comes back is the kind of answer."""
    from uuid import UUID

    from tokens.service import binding

    return type(binding.refresh(UUID(session_id), proof, _somebody())).__name__


def refresh_in_turn(texts: list[str], count: int) -> dict[str, Any]:
    """Refresh these sessions one after the other, over and over, until ``count`` were rotated.

    What comes back: the ``texts`` of the tokens that they have then, whose turn is next first, and how many refreshes
    were ``repeated``.
    """
    from tokens.rotation import Decision
    from tokens.service import refreshing

    rotated = repeated = 0
    for place in cycle(range(len(texts))):
        if rotated == count:
            texts = texts[place:] + texts[:place]
            break
        answer = refreshing.refresh(texts[place], ("cookie",), _somebody())
        assert isinstance(answer, refreshing.Grant)
        texts[place] = answer.refresh_token or texts[place]
        rotated += answer.decision is Decision.ROTATE
        repeated += answer.decision is Decision.REPEAT
    return {"texts": texts, "repeated": repeated}


def sign_in(user_id: str, device_token: str | None = None) -> dict[str, Any]:
    """Open a session for the user, from the browser that has this device token."""
    from django.contrib.auth import get_user_model

    from tokens.service.opening import open_session

    user = get_user_model()._default_manager.get(pk=user_id)
    grant = open_session(user, _somebody(device_token), mode="cookie")
    return {"session": str(grant.session.id), "token": grant.refresh_token, "device": str(grant.session.device_id)}


def end(session_id: str, reason: str = "signed_out") -> int:
    """End a session; return how many ended by it."""
    from tokens.models import RefreshToken
    from tokens.service.ending import end

    return len(end(RefreshToken.objects.filter(id=session_id), RefreshToken.Reason(reason)))


def purge(batch_size: int) -> dict[str, int]:
    """Purge; return how many rows of each kind were deleted."""
    from tokens.service.purge import purges

    return {purge.name: sum(purge.batches(batch_size)) for purge in purges()}


def acknowledge(session_id: str, generation: int) -> bool:
    """Write an acknowledgement of the session's generation."""
    from uuid import UUID

    from tokens.service import acknowledgements

    acknowledgements._pending[UUID(session_id)] = generation
    return acknowledgements.flush()


def migrate() -> None:
    """Make the tables."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def count(whom: str, times: int) -> None:
    """Count so often what is throttled."""
    from tokens import throttles

    for _ in range(times):
        throttles.count(throttles.Tally("reset_network", whom))


def open_account(email: str, password: str | None = None) -> str:
    """Make a user, without a password one whose is unusable; return their primary key."""
    from django.contrib.auth import get_user_model

    return str(get_user_model()._default_manager.create_user(email, password).pk)


def put_back(session_id: str, generation: int, seconds_ago: int) -> None:
    """Let the session be at this generation, begun so long ago."""
    from datetime import timedelta

    from django.utils import timezone

    from tokens.models import RefreshToken

    since = timezone.now() - timedelta(seconds=seconds_ago)
    RefreshToken.objects.filter(id=session_id).update(generation=generation, since=since, acknowledged=False)


def _somebody(device_token: str | None = None) -> Any:
    from tokens.service.client import Client

    return Client("192.0.2.7", "Firefox", device_token)
