"""A slow answer to an old request arrives after a new sign-in, and does not undo it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.browser.sites import Site
from tests.browser.steps import EXPIRED, assert_user, sign_in_by_api, tokens

GATE = "from tests.browser.urls import Gate\n"
REQUESTS = {
    "a script's request": "fetch('/probe/slow').then(r => r.text()).then(text => (window.answer = text))",
    "a navigation": "(location.href = '/probe/slow')",
}
ARRIVED = "() => window.answer || location.pathname === '/probe/slow' && document.readyState === 'complete'"


@pytest.fixture
def closed_gate(site) -> Iterator[None]:
    """Lets the view at /probe/slow wait. The middleware then handles its answer only after the new sign-in."""
    site.do(GATE + "Gate.reached.clear(); Gate.open.clear()")
    yield
    site.do(GATE + "Gate.open.set()")


def send(page: Page, site: Site, kind: str) -> None:
    """Send a request without waiting for its answer, and wait until it has reached the view."""
    page.evaluate(f"void {REQUESTS[kind]}")
    assert site.do(GATE + "result = Gate.reached.wait(10)"), "no request came"


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("revoked", [False, True], ids=["new tokens of an older session", "an older session's end"])
def test_a_slow_answer_does_not_undo_a_new_sign_in(signed_in, context, site, person, closed_gate, kind, revoked):
    if revoked:
        site.revoke(person)
    newcomer = person if revoked else site.new_person()
    site.forward(EXPIRED)
    send(signed_in, site, kind)
    sign_in_by_api(context.new_page(), newcomer)
    new = tokens(context)
    assert None not in new
    site.do(GATE + "Gate.open.set()")
    signed_in.wait_for_function(ARRIVED)
    assert tokens(context) == new
    assert_user(signed_in, newcomer)
