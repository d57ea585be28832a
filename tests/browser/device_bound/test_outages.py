"""What does not answer, or answers what a proxy does, ends nobody's session: the same user is there afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import expect

from tests.browser.conftest import at_length
from tests.browser.device_bound.devices import NOTE, REFRESH_BOUND, REGISTER, Device, bound_sessions
from tests.browser.sites import Site
from tests.browser.steps import REFRESH, cookie, sign_in


@contextmanager
def without_database(site: Site) -> Iterator[None]:
    """Nobody listens where the database was; connections are made anew for each request."""
    site.do(
        "from django.db import connections\n"
        "settings = connections.settings['default']\n"
        "settings['USUAL'], settings['PORT'] = settings['PORT'], '1'"
    )
    try:
        yield
    finally:
        site.do(
            "from django.db import connections\n"
            "settings = connections.settings['default']\n"
            "settings['PORT'] = settings.pop('USUAL')"
        )


@contextmanager
def a_proxy_that_answers(site: Site, status: int, path: str = REFRESH_BOUND) -> Iterator[None]:
    """0: it cuts the connection."""
    site.stand_in(path, status)
    try:
        yield
    finally:
        site.deliver()


OUTAGES: dict[str, Any] = {
    "no database": without_database,
    "503": lambda site: a_proxy_that_answers(site, 503),
    "500": lambda site: a_proxy_that_answers(site, 500),
    "cut": lambda site: a_proxy_that_answers(site, 0),
}


@pytest.mark.parametrize("outage", ["no database", "cut", *at_length("503", "500")])
def test_after_an_outage_the_same_user_is_signed_in(bound, site, person, outage):
    bound.sees(person)
    kept = {one["name"] for one in bound.context.cookies()}
    bound.expire()
    with OUTAGES[outage](site):
        is_told_to_come_back(bound)
    assert {one["name"] for one in bound.context.cookies()} == kept - {"__Host-access"}
    bound.forget()
    bound.sees(person)
    assert bound.proofs == [200]
    assert [row["revoked_reason"] for row in site.sessions(person)] == [""]


def is_told_to_come_back(device: Device) -> None:
    """A page and a script are told 503 with a time, and neither that somebody must sign in."""
    answer = device.page.goto("/password/change")
    assert answer is not None
    assert (answer.status, "/sign-in" in device.page.url) == (503, False)
    assert int(answer.headers["retry-after"]) > 0
    status, after = device.page.evaluate(
        "fetch('/api/auth/me').then((answer) => [answer.status, answer.headers.get('Retry-After')])"
    )
    assert (status, int(after) > 0) == (503, True)


def test_a_refusal_of_a_proxys_own_ends_it_in_the_browser(bound, site, person):
    """Why it is not the default: Chromium gives its key up for any 401, 403, 404 or 429, whoever says so.

    The draft says that it should keep it for a 429. An unbound session survives all of them.
    """
    bound.expire()
    with a_proxy_that_answers(site, 429):
        bound.sees(None)
        assert bound.wait_for_end() == "RefreshFatalError"
    bound.sees(None)
    assert bound_sessions(site, person), "the session lives, and nobody can have it any more"


def test_an_answer_that_is_lost_when_the_server_has_done_its_work_is_asked_for_again(bound, site, person):
    bound.expire()
    site.lose_answers(REFRESH_BOUND)
    is_told_to_come_back(bound)
    assert site.deliver() >= 1
    bound.sees(person)
    assert [row["revoked_reason"] for row in site.sessions(person)] == [""]


def test_the_first_proof_whose_answer_is_lost_is_asked_for_again(device, site, person):
    """The key is bound then, the refresh token has ended, and the browser has neither been told."""
    site.lose_answers(REFRESH_BOUND)
    device.sign_in(person)
    device.sees(person)
    device.wait_for_refresh("Unreachable")
    assert site.deliver() >= 1
    assert bound_sessions(site, person)
    device.sees(person)
    device.expire()
    device.sees(person)
    assert [row["revoked_reason"] for row in site.sessions(person)] == [""]


@pytest.mark.parametrize("lost", ["answer", "request", "503"])
def test_a_registration_that_fails_leaves_the_session_to_rotation(device, site, person, lost):
    if lost == "answer":
        site.lose_answers(REGISTER)
    else:
        site.stand_in(REGISTER, 503 if lost == "503" else 0)
    sign_in(device.page, person)
    device.wait_until(lambda: device.happened("creation"), "an attempt to register")
    assert device.happened("creation")[0]["fetchResult"] != "Success"
    site.deliver()
    for generation in (1, 2):
        site.forward(601)
        device.sees(person)
        assert cookie(device.context, REFRESH)
        assert [row["generation"] for row in site.sessions(person)] == [generation]
    assert device.asked() == []
    assert bound_sessions(site, person) == []


def test_a_network_that_is_gone_and_comes_back(bound, person):
    bound.sees(person)
    bound.expire()
    bound.context.set_offline(True)
    with pytest.raises(PlaywrightError, match="ERR_INTERNET_DISCONNECTED"):
        bound.page.goto(NOTE)
    bound.context.set_offline(False)
    bound.sees(person)


def test_whose_browser_signs_no_more_is_told_to_come_back(bound, site, person):
    """Chromium signs six times in nine minutes."""
    for _ in range(4):
        bound.expire()
        bound.sees(person)
    bound.expire()
    is_told_to_come_back(bound)
    assert bound.happened("refresh")[-1]["refreshResult"] != "Refreshed"
    assert [row["revoked_reason"] for row in site.sessions(person)] == [""]
    expect(bound.page.locator("body")).to_be_visible()
