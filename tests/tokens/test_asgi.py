"""Under ASGI nothing blocks the event loop, and no thread is occupied while a view waits."""

import asyncio
import threading
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from tests.browsers import ACCESS, REFRESH
from tests.urls import Waiting
from tokens.service.revocation_feed import feed
from tokens.web.flow import arun, run

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

REQUESTS = 50


def over_asgi(browser: Client) -> AsyncClient:
    """Return a browser with the same cookies, in front of an ASGI server."""
    client = AsyncClient()
    client.cookies = browser.cookies
    return client


def test_no_thread_is_occupied_while_views_wait(clock, signed_in, user):
    feed.is_revoked(uuid4())
    before = threading.active_count()

    async def send_all() -> tuple[int, list[Any]]:
        waiting = Waiting.begin(REQUESTS)
        requests = [asyncio.create_task(over_asgi(signed_in).get("/probe/wait")) for _ in range(REQUESTS)]
        await waiting.all_there.wait()
        occupied = threading.active_count() - before
        waiting.go_on.set()
        return occupied, await asyncio.gather(*requests)

    occupied, responses = asyncio.run(send_all())
    assert occupied <= 1  # Django runs middleware that is not async in one thread.
    assert {response.content.decode() for response in responses} == {str(user.pk)}


def test_an_async_view_sees_the_user_after_a_refresh(clock, signed_in, user):
    clock.forward(601)
    response = async_to_sync(over_asgi(signed_in).get)("/probe/async")
    assert response.content.decode() == user.email
    assert set(response.cookies) == {ACCESS, REFRESH}


@pytest.mark.parametrize("driver", [run, lambda flow: async_to_sync(arun)(flow)], ids=["run", "arun"])
def test_a_flow_receives_the_results_and_the_exceptions_of_its_jobs(driver):
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
