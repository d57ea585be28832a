"""Two people who impersonate each other by django-hijack at the same time do not wait for each other for ever."""

from contextlib import ExitStack
from threading import Barrier
from typing import Any

import pytest
from django.test import Client

from tests.attacks.test_impersonation import _urls, by_hijack, release_by_hijack
from tests.browsers import FIREFOX, login
from tests.factories import AdminFactory
from tests.tokens.service.holders import PATIENCE
from tests.tokens.service.threads import in_thread
from tokens.models import RefreshToken

__all__ = ["_urls"]

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 8


def at_once(*steps: Any) -> list[int]:
    """Take these steps at the same time, and return the statuses of their responses."""
    barrier, statuses = Barrier(len(steps)), []

    def work(step: Any) -> None:
        barrier.wait(PATIENCE)
        statuses.append(step().status_code)

    with ExitStack() as threads:
        for step in steps:
            threads.enter_context(in_thread(lambda step=step: work(step)))
    return statuses


def test_two_people_impersonate_each_other_and_are_released():
    people = AdminFactory(), AdminFactory()
    browsers = [Client(headers={"User-Agent": FIREFOX}) for _ in people]
    for browser, person in zip(browsers, people, strict=True):
        login(browser, person)
    for _ in range(ROUNDS):
        acquired = at_once(*(lambda b=b, p=p: by_hijack(b, p) for b, p in zip(browsers, reversed(people), strict=True)))
        assert acquired == [302, 302]
        assert RefreshToken.objects.live().exclude(actor=None).count() == 2
        assert at_once(*(lambda b=b: release_by_hijack(b) for b in browsers)) == [302, 302]
        assert not RefreshToken.objects.live().exclude(actor=None).exists()


def test_a_user_who_does_not_exist_is_not_found(db):
    browser = Client(headers={"User-Agent": FIREFOX})
    person = AdminFactory()
    login(browser, person)
    person.pk = "01890000-0000-7000-8000-000000000000"
    assert by_hijack(browser, person).status_code == 404
