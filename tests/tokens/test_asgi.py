"""Under ASGI: nothing blocks the event loop, and no thread is held while a view waits."""

import asyncio
import threading
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from tests.browsers import ACCESS, REFRESH, login
from tests.urls import Waiting
from tokens.flow import arun, run
from tokens.service.feed import feed

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

REQUESTS = 50


def carry_over(api: Client) -> AsyncClient:
    """The same browser, in front of an ASGI server."""
    browser = AsyncClient()
    browser.cookies = api.cookies
    return browser


def test_no_thread_is_held_while_views_wait(api, user, clock):
    login(api, user)
    feed.is_revoked(uuid4())
    before = threading.active_count()

    async def crowd() -> tuple[int, list[Any]]:
        waiting = Waiting.begin(REQUESTS)
        requests = [asyncio.create_task(carry_over(api).get("/probe/wait")) for _ in range(REQUESTS)]
        await waiting.all_there.wait()
        held = threading.active_count() - before
        waiting.go_on.set()
        return held, await asyncio.gather(*requests)

    held, responses = asyncio.run(crowd())
    assert held <= 1  # The one in which Django runs middleware that is not async.
    assert {response.content.decode() for response in responses} == {str(user.pk)}


def test_an_async_view_is_served_as_the_user_and_refreshed_unseen(api, user, clock):
    login(api, user)
    clock.forward(601)
    response = async_to_sync(carry_over(api).get)("/probe/async")
    assert response.content.decode() == user.email
    assert set(response.cookies) == {ACCESS, REFRESH}


@pytest.mark.parametrize("driver", [run, lambda flow: async_to_sync(arun)(flow)], ids=["run", "arun"])
def test_a_flow_is_given_what_its_jobs_return_and_raise(driver):
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
