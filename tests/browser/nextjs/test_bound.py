"""A session that is bound to its device, behind Next.js: the browser refreshes it, and the guard lets it through."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import contexts_of
from tests.browser.device_bound.devices import REFRESH_BOUND, Device, bound_sessions
from tests.browser.device_bound.test_account import rename
from tests.browser.nextjs.deployments import Deployment, built, deployed
from tests.browser.steps import REFRESH, cookie

pytestmark = [pytest.mark.exhaustive, pytest.mark.chromium_only("no other browser binds sessions to keys")]


@pytest.fixture(scope="module", params=["16"], ids=lambda version: f"Next.js {version}")
def deployment(request, tmp_path_factory, shared_folder, database_url, certificate) -> Iterator[Deployment]:
    """The app and its Latchkey, which offers to bind sessions. Otherwise these sessions would rotate."""
    folder = tmp_path_factory.mktemp("deployment")
    with built(request.param, shared_folder) as app, deployed(app, folder, database_url, certificate) as found:
        yield found


@pytest.fixture
def bound(chromium_with_keys, deployment, person) -> Iterator[Device]:
    """A browser that has signed in at the app, and has proved its key once. Before, the refresh token counts too."""
    with contexts_of(chromium_with_keys, base_url=deployment.origin) as new_context:
        device = Device(new_context(), deployment.site)
        device.sign_in(person, path="/sign-in?next=/account")
        device.expire()
        device.page.goto("/account")
        device.wait_for_refresh()
        assert bound_sessions(deployment.site, person)
        device.forget()
        yield device


def facts(device: Device) -> str:
    return device.page.get_by_test_id("facts").inner_text()


def test_a_page_is_shown_after_the_browser_has_refreshed(bound, deployment, person):
    for _ in range(2):
        bound.expire()
        bound.page.goto("/account")
        assert bound_sessions(deployment.site, person)[0] in facts(bound)
    assert (bound.proofs, cookie(bound.context, REFRESH)) == ([200, 200], None)


def test_a_refresh_cookie_that_was_left_over_leads_to_no_error(bound, deployment):
    left_over = {"name": REFRESH, "value": "latchkey_rt_x", "url": deployment.origin, "httpOnly": True, "secure": True}
    bound.context.add_cookies([{**left_over, "sameSite": "Lax"}])
    bound.expire()
    bound.page.goto("/account")
    expect(bound.page.get_by_test_id("facts")).to_be_visible()


def test_an_outage_of_the_refresh_is_not_answered_by_the_page_to_sign_in(bound, deployment):
    bound.expire()
    with deployment.site.stand_in(REFRESH_BOUND, 503):
        answer = bound.page.goto("/account")
    assert (answer.status, "/sign-in" in bound.page.url) == (503, False)


def test_a_change_of_the_account_is_repeated_through_the_app(bound, deployment, person):
    assert (rename(bound, deployment.site, person, "mine"), bound.proofs) == (200, [200])
