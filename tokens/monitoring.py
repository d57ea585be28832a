"""Health checks and metrics: a middleware that answers ``/health/live``, ``/health/ready`` and ``/metrics``.

- ``/health/live`` answers 200 if the process answers.
- ``/health/ready`` answers 200 if the database answers in time and all migrations are applied, else 503.
- ``/metrics`` answers Prometheus at the addresses of METRICS_ALLOWED. For all others it does not exist, and for nobody
  without prometheus-client.

It also removes the header that says the scheme (`distrust_scheme`), before any other middleware can read it.

It is the first middleware, and not a view: probes address a server by its IP address, which is not in ALLOWED_HOSTS,
and need no cookies. The database is asked in one separate thread for all requests that wait at the same time. So
neither a database that hangs nor many probes take more than one thread.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextvars import Context
from threading import Lock, Thread
from typing import Any, Generic, TypeVar

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.db import Error, ProgrammingError, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from django.views.decorators.http import require_safe

from tokens import metrics
from tokens.conf import token_settings
from tokens.database.transactions import bounded, writer
from tokens.metrics import GaugeMetricFamily, Metric
from tokens.models import RefreshToken
from tokens.service.purge import Run, last_run
from tokens.web.http import problems
from tokens.web.http.client import distrust_scheme, is_within

PATIENCE = 2.0
"""Seconds that the database may take to accept a connection and to answer."""
NO_STORE = {"Cache-Control": "no-store"}
TEXT = "text/plain; charset=utf-8"
View = Callable[[HttpRequest], HttpResponse]
T = TypeVar("T")


class Question(Generic[T]):
    """A question to the database, asked in one thread at a time. All requests that wait get the same answer."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = Lock()
        self._answer: Future[T] | None = None

    def answer(self) -> T:
        """Return the answer. Raise `django.db.Error` if the database fails, or `TimeoutError` if it takes too long."""
        with self._lock:
            if self._answer is None or self._answer.done():
                self._answer = Future()
                # In an empty context: threads of Python without a global lock begin in that of the request, with its
                # tenant and its language.
                Thread(target=Context().run, args=(self._run, self._answer), daemon=True).start()
            answer = self._answer
        return answer.result(PATIENCE)

    def _run(self, answer: Future[T]) -> None:
        alias = writer(RefreshToken)
        try:
            with bounded(alias):
                found = self._ask()
        except BaseException as error:
            answer.set_exception(error)
        else:
            answer.set_result(found)
        finally:
            connections[alias].close()


class Migrations:
    """Whether all migrations are applied. A positive answer is remembered, because migrations are not undone in use."""

    def __init__(self) -> None:
        self._applied = False

    def are_applied(self) -> bool:
        connection = connections[writer(RefreshToken)]
        if self._applied:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        else:
            executor = MigrationExecutor(connection)
            self._applied = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        return self._applied


_readiness = Question(Migrations().are_applied)
_last_purge = Question(last_run)


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Answer 200: this process handles requests. The database is not asked."""
    return HttpResponse("live\n", content_type=TEXT, headers=NO_STORE)


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Answer 200 if the database answers and all migrations are applied, and else 503."""
    try:
        is_ready = _readiness.answer()
    except (Error, TimeoutError):
        is_ready = False
    if is_ready:
        return HttpResponse("ready\n", content_type=TEXT, headers=NO_STORE)
    return HttpResponse("not ready\n", content_type=TEXT, status=503, headers=problems.UNAVAILABLE.headers)


@require_safe
def show_metrics(request: HttpRequest) -> HttpResponse:
    """Answer with the metrics of all processes of this node, in Prometheus's text format."""
    return HttpResponse(metrics.exposition(_of_the_database()), content_type=metrics.CONTENT_TYPE, headers=NO_STORE)


VIEWS: dict[str, View] = {"/health/live": live, "/health/ready": ready, "/metrics": show_metrics}


@sync_and_async_middleware
def middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Answer the paths in `VIEWS` before any other middleware, to the clients that may have them."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            distrust_scheme(request)
            view = _view_of(request)
            # Django's synchronous code shares one thread, which may be waiting for the database. Use another one.
            answer = get_response if view is None else sync_to_async(view, thread_sensitive=False)
            response: HttpResponseBase = await answer(request)
            return response

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        distrust_scheme(request)
        response: HttpResponseBase = (_view_of(request) or get_response)(request)
        return response

    return middleware


def _view_of(request: HttpRequest) -> View | None:
    view = VIEWS.get(request.path_info)
    if view is show_metrics and not (metrics.IS_AVAILABLE and is_within(request, token_settings().metrics_allowed)):
        return None
    return view


def _of_the_database() -> Iterator[Metric]:
    """Yield the metrics that come from the database, because commands have no metrics of their own."""
    run: Run | None = None
    try:
        run, is_up = _last_purge.answer(), True
    except ProgrammingError:
        is_up = True  # It has answered. Where each tenant has a schema, the table is not in the public one.
    except (Error, TimeoutError):
        is_up = False
    yield GaugeMetricFamily("latchkey_database_up", "Whether the database answered this scrape.", float(is_up))
    if run is not None:
        at, took = run.ended_at.timestamp(), run.seconds
        yield GaugeMetricFamily("latchkey_purge_last_success_timestamp_seconds", "When the last purge ended.", at)
        yield GaugeMetricFamily("latchkey_purge_duration_seconds", "How long the last purge took.", took)
        rows = GaugeMetricFamily("latchkey_purge_rows", "How many rows the last purge deleted.", labels=["kind"])
        for kind, count in run.deleted.items():
            rows.add_metric([kind], count)
        yield rows
