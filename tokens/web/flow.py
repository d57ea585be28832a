"""Flows: logic written once, for WSGI and ASGI.

A flow is a generator. Where it has to wait for the database it yields a job, a function without arguments, and is
given what that returned, or raised. `run` carries the jobs out at once; `arun` in a thread that is held for the job
alone, so that nothing is held while a view runs.
"""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from asgiref.sync import sync_to_async

T = TypeVar("T")
Flow = Generator[Callable[[], Any], Any, T]


def run(flow: Flow[T]) -> T:
    """Return what the flow returns."""
    try:
        job = next(flow)
        while True:
            try:
                result = job()
            except Exception as error:
                job = flow.throw(error)
            else:
                job = flow.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value


async def arun(flow: Flow[T]) -> T:
    """Return what the flow returns, without blocking the event loop."""
    try:
        job = next(flow)
        while True:
            try:
                result = await sync_to_async(job)()
            except Exception as error:
                job = flow.throw(error)
            else:
                job = flow.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value
