"""Flows: logic that is written once for WSGI and ASGI.

A flow is a generator. To wait for the database it yields a job, which is a function without arguments. It gets back
what the job returns or raises. `run` calls each job directly. `arun` calls it in a thread, and holds the thread only
during the job.
"""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from asgiref.sync import sync_to_async

T = TypeVar("T")
Flow = Generator[Callable[[], Any], Any, T]


def run(flow: Flow[T]) -> T:
    """Run a flow and return its result."""
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
    """Run a flow without blocking the event loop, and return its result."""
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
