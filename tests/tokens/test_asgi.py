"""ASGI: the middleware does not block the event loop, and holds no thread while a view waits."""

import asyncio
import threading
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from tests.browsers import ACCESS, REFRESH
from tests.tokens.edge import EXPIRED
from tests.urls import Waiting
from tokens.flow import arun, run
from tokens.service.feed import feed

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

REQUESTS = 50


def carry_over(client: Client) -> AsyncClient:
    """Return the same browser, in front of an ASGI server."""
    browser = AsyncClient()
    browser.cookies = client.cookies
    return browser


def test_no_thread_is_held_while_views_wait(clock, signed_in, user):
    feed.is_revoked(uuid4())
    before = threading.active_count()

    async def request_at_the_same_time() -> tuple[int, list[Any]]:
        waiting = Waiting.begin(REQUESTS)
        requests = [asyncio.create_task(carry_over(signed_in).get("/probe/wait")) for _ in range(REQUESTS)]
        await waiting.all_there.wait()
        held = threading.active_count() - before
        waiting.go_on.set()
        return held, await asyncio.gather(*requests)

    held, responses = asyncio.run(request_at_the_same_time())
    assert held <= 1, "Django runs sync middleware in one thread."
    assert {response.content.decode() for response in responses} == {str(user.pk)}


def test_an_async_view_gets_the_user_and_its_request_is_refreshed(clock, signed_in, user):
    clock.forward(EXPIRED)
    response = async_to_sync(carry_over(signed_in).get)("/probe/async")
    assert response.content.decode() == user.email
    assert set(response.cookies) == {ACCESS, REFRESH}


@pytest.mark.parametrize("driver", [run, lambda flow: async_to_sync(arun)(flow)], ids=["run", "arun"])
def test_a_flow_gets_what_its_jobs_return_and_raise(driver):
    def flow() -> Any:
        first = yield lambda: 20
        try:
            yield lambda: 1 // 0
        except ZeroDivisionError:
            return first + 1

    def fails() -> Any:
        yield lambda: 1 // 0

    assert driver(flow()) == 21
    with pytest.raises(ZeroDivisionError):
        driver(fails())
