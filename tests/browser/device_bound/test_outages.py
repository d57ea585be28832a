"""The server, or a proxy in front of it, does not answer a refresh: the session continues afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Error as PlaywrightError

from tests.browser.conftest import at_length
from tests.browser.device_bound.devices import REFRESH_BOUND, REGISTER, Device, bound_sessions
from tests.browser.sites import Site
from tests.browser.steps import ACCESS, EXPIRED, NOTE, REFRESH, cookie, sign_in

SETTINGS = "from django.db import connections\nsettings = connections.settings['default']\n"


@contextmanager
def without_database(site: Site) -> Iterator[None]:
    """Let the site connect to a port on which nothing listens. It opens a connection for each request."""
    site.do(f"{SETTINGS}settings['USUAL'], settings['PORT'] = settings['PORT'], '1'")
    try:
        yield
    finally:
        site.do(f"{SETTINGS}settings['PORT'] = settings.pop('USUAL')")


def outage(site: Site, kind: str) -> Any:
    """Return the outage of this kind as a context manager; a number is the status of a proxy's answer."""
    if kind == "no database":
        return without_database(site)
    return site.stand_in(REFRESH_BOUND, 0 if kind == "a cut connection" else int(kind))


@pytest.mark.parametrize("kind", ["no database", "a cut connection", *at_length("503", "500")])
def test_after_an_outage_the_same_user_is_signed_in(bound, site, person, kind):
    bound.sees(person)
    kept = {one["name"] for one in bound.context.cookies()}
    bound.expire()
    with outage(site, kind):
        assert_unavailable(bound)
    assert {one["name"] for one in bound.context.cookies()} == kept - {ACCESS}
    bound.forget()
    bound.sees(person)
    assert (bound.proofs, site.reasons(person)) == ([200], [""])


def assert_unavailable(device: Device) -> None:
    """Check that a page and a script get 503 with Retry-After, instead of a request to sign in."""
    answer = device.page.goto("/password/change")
    assert (answer.status, "/sign-in" in device.page.url) == (503, False)
    assert int(answer.headers["retry-after"]) > 0
    status, after = device.page.evaluate(
        "fetch('/api/auth/me').then((answer) => [answer.status, answer.headers.get('Retry-After')])"
    )
    assert (status, int(after) > 0) == (503, True)


def test_a_proxy_s_429_ends_the_session_in_the_browser(bound, site, person):
    """This is why binding is off by default: Chromium deletes its key after any 401, 403, 404 or 429 to a refresh.

    The draft says that it should keep the key after a 429. A session that is not bound survives all of them.
    """
    bound.expire()
    with site.stand_in(REFRESH_BOUND, 429):
        bound.sees(None)
        assert bound.wait_for_end() == "RefreshFatalError"
    bound.sees(None)
    assert bound_sessions(site, person), "the server keeps the session, which no browser can use any more"


def test_a_refresh_whose_answer_is_lost_is_repeated(bound, site, person):
    bound.expire()
    with site.lose_answers(REFRESH_BOUND):
        assert_unavailable(bound)
    bound.sees(person)
    assert site.reasons(person) == [""]


def test_a_first_proof_whose_answer_is_lost_is_repeated(device, site, person):
    """The server has then bound the session and ended its refresh token, and the browser knows neither."""
    with site.lose_answers(REFRESH_BOUND):
        device.sign_in(person)
        device.sees(person)
        device.wait_for_refresh("Unreachable")
    assert bound_sessions(site, person)
    device.sees(person)
    device.expires_and_sees(person)
    assert site.reasons(person) == [""]


@pytest.mark.parametrize("failure", ["a lost answer", "a lost request", *at_length("a 503")])
def test_after_a_failed_registration_the_session_uses_rotation(device, site, person, failure):
    lost = site.lose_answers(REGISTER)
    with lost if failure == "a lost answer" else site.stand_in(REGISTER, 503 if failure == "a 503" else 0):
        sign_in(device.page, person)
        device.wait_until(lambda: device.happened("creation"), "an attempt to register")
        assert device.happened("creation")[0]["fetchResult"] != "Success"
    for generation in (1, 2):
        site.forward(EXPIRED)
        device.sees(person)
        assert cookie(device.context, REFRESH)
        assert site.generations(person) == [generation]
    assert device.asked() == bound_sessions(site, person) == []


def test_after_a_while_without_a_network_the_same_user_is_signed_in(bound, person):
    bound.sees(person)
    bound.expire()
    bound.context.set_offline(True)
    with pytest.raises(PlaywrightError, match="ERR_INTERNET_DISCONNECTED"):
        bound.page.goto(NOTE)
    bound.context.set_offline(False)
    bound.sees(person)
