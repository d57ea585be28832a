"""A slow answer to an old request arrives after a new sign-in, and does not undo it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import ACCESS, REFRESH, cookie, sign_in, sign_in_by_api

Ask = Callable[[Page], None]


def by_script(page: Page) -> None:
    page.evaluate("void fetch('/probe/slow').then(r => r.text()).then(text => (window.answer = text))")


def by_navigation(page: Page) -> None:
    page.evaluate("void (location.href = '/probe/slow')")


def arrived(page: Page) -> None:
    page.wait_for_function(
        "() => window.answer || location.pathname === '/probe/slow' && document.readyState === 'complete'"
    )


asked = pytest.mark.parametrize("ask", [by_script, by_navigation])


@asked
def test_that_brings_an_older_sessions_tokens(page, context, site, person, ask):
    another = site.new_person()
    sign_in(page, person)
    site.forward(601)
    site.shut_gate()
    ask(page)
    site.wait_for_gate()
    sign_in_by_api(context.new_page(), another)
    new = cookie(context, ACCESS), cookie(context, REFRESH)
    site.open_gate()
    arrived(page)
    assert (cookie(context, ACCESS), cookie(context, REFRESH)) == new
    page.goto("/probe/note")
    expect(page.locator("#who")).to_have_text(another.email)


@asked
def test_that_says_that_an_older_session_has_ended(page, context, site, person, ask):
    sign_in(page, person)
    site.revoke(person)
    site.forward(601)
    site.shut_gate()
    ask(page)
    site.wait_for_gate()
    sign_in_by_api(context.new_page(), person)
    new = cookie(context, ACCESS), cookie(context, REFRESH)
    assert None not in new
    site.open_gate()
    arrived(page)
    assert (cookie(context, ACCESS), cookie(context, REFRESH)) == new
    page.goto("/probe/note")
    expect(page.locator("#who")).to_have_text(person.email)
