"""What the processes of `tests.tokens.service.processes` do: the main loop, and below it the jobs.

This module is imported in those processes only, which use ``config.settings``. It must not import the tests' settings.
"""

import json
import os
import sys
import threading
import traceback
from datetime import timedelta
from itertools import cycle
from socketserver import ThreadingMixIn
from typing import Any
from uuid import UUID
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections
from django.test import override_settings
from django.utils import timezone

from tests.benchmarks.rotations import rotate_at_random  # noqa: F401  A job.
from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken
from tokens.protocol.rotation import Decision
from tokens.service import (
    acknowledgements,
    binding,
    impersonation,
    opening,
    queries,
    refreshing,
    revocation,
    throttles,
    users,
)
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens
from tokens.service.purge import purges
from tokens.service.revocation_feed import feed


def serve() -> None:
    """Run the jobs that are read from the input: one line for a job, and one line of output for its results."""
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
    """Serve the project over HTTP until the input ends."""
    from config.wsgi import application  # `wsgi` loads all middlewares and URLs, which the other processes do not need.

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


def _client(device_token: str | None = None) -> Client:
    return Client("192.0.2.7", "Firefox", device_token)


def refresh(text: str) -> dict[str, Any]:
    """Present a refresh token. Return whether it was ``granted``, and then the ``successor`` and the ``generation``."""
    answer = refreshing.refresh(text, ("cookie",), _client())
    if isinstance(answer, refreshing.Refusal):
        return {"granted": False}
    return {"granted": True, "successor": answer.refresh_token, "generation": answer.access.generation}


def prove(session_id: str, proof: str) -> str:
    """Present a device's proof, and return the type of the answer."""
    return type(binding.refresh(UUID(session_id), proof, _client())).__name__


def refresh_in_turn(texts: list[str], count: int) -> dict[str, Any]:
    """Refresh these sessions one after the other, again and again, until ``count`` of the refreshes were rotations.

    Return the current tokens as ``texts``, beginning with the session that is next, and the number of refreshes that
    were ``repeated``.
    """
    rotated = repeated = 0
    for place in cycle(range(len(texts))):
        if rotated == count:
            texts = texts[place:] + texts[:place]
            break
        answer = refreshing.refresh(texts[place], ("cookie",), _client())
        assert isinstance(answer, IssuedTokens)
        texts[place] = answer.refresh_token or texts[place]
        rotated += answer.decision is Decision.ROTATE
        repeated += answer.decision is Decision.REPEAT
    return {"texts": texts, "repeated": repeated}


def sign_in(user_id: str, device_token: str | None = None) -> dict[str, Any]:
    """Open a session for the user, in the browser that has this device token."""
    user = get_user_model()._default_manager.get(pk=user_id)
    issued = opening.open_session(user, _client(device_token), mode="cookie")
    return {"session": str(issued.session.id), "token": issued.refresh_token, "device": str(issued.session.device_id)}


def end(session_id: str, reason: str = "signed_out") -> int:
    """End a session. Return how many sessions that ended."""
    return len(revocation.revoke(RefreshToken.objects.filter(id=session_id), RefreshToken.Reason(reason)))


def end_selected(session_ids: list[str], reason: str) -> int:
    """End these sessions in one transaction. Return how many sessions that ended."""
    return len(revocation.revoke(RefreshToken.objects.filter(id__in=session_ids), RefreshToken.Reason(reason)))


def end_others(user_id: str, session_id: str) -> int:
    """End all other sessions of the user of this session, as a change of the account does. Return how many ended."""
    alias = writer(RefreshToken)
    with durable(alias):
        user, _ = users.lock_signed_in(alias, UUID(user_id), UUID(session_id))
        others = queries.live_sessions(user).exclude(id=session_id)
        return len(revocation.revoke_all(others, RefreshToken.Reason.ENDED_BY_USER))


def impersonate(actor_id: str, session_id: str, user_id: str, device_token: str) -> bool:
    """Begin an impersonation. Return False if the actor's own session has ended."""
    try:
        impersonation.begin(UUID(actor_id), UUID(session_id), UUID(user_id), _client(device_token))
    except users.SessionEnded:
        return False
    return True


def release(session_id: str, device_token: str) -> bool:
    """End an impersonation. Return False if it or the actor's own session has ended."""
    try:
        impersonation.end(UUID(session_id), _client(device_token))
    except users.SessionEnded:
        return False
    return True


def purge(batch_size: int) -> dict[str, int]:
    """Purge the database. Return how many rows of each kind were deleted."""
    return {purge.name: sum(purge.batches(batch_size)) for purge in purges()}


def acknowledge(session_id: str, generation: int) -> bool:
    """Write an acknowledgement of a generation of the session."""
    acknowledgements._pending[""] = {UUID(session_id): generation}
    return acknowledgements.flush()


def migrate() -> None:
    """Create the tables."""
    call_command("migrate", verbosity=0)


def count(whom: str, times: int) -> None:
    """Count so many attempts of something that is throttled."""
    for _ in range(times):
        throttles.count(throttles.Tally("reset_network", whom))


def open_account(email: str, password: str | None = None) -> str:
    """Create a user, by default with an unusable password. Return their primary key."""
    return str(get_user_model()._default_manager.create_user(email, password).pk)


def put_back(session_id: str, generation: int, seconds_ago: int) -> None:
    """Change the session's row: it is at this generation, which began so long ago."""
    since = timezone.now() - timedelta(seconds=seconds_ago)
    RefreshToken.objects.filter(id=session_id).update(generation=generation, since=since, acknowledged=False)
